"""Which files count as sound, and how one becomes 16 kHz mono. Runs only inside the sandboxed decoder child.

Formats are chosen by content, never by name. The list holds containers of samples; playlists and scripts
(HLS, DASH, concat, SDP, ...) are not on it: FFmpeg would follow what they name to other files and hosts.
Decoders are listed too, so that the pictures of a video never reach a decoder at all.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
from typing import BinaryIO, Protocol, cast

import av
import av.error
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from whisper_api.announced import HEAD_BYTES, announced_seconds

SAMPLE_RATE = 16000
BYTES_PER_SECOND = SAMPLE_RATE * 2

CONTAINERS = (
    "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,"
    "asf,avi,mpegts,mpeg,flv,amr,ac3,eac3,wv,ape,tta"
)
DECODERS = (
    "aac,aac_latm,ac3,adpcm_g722,adpcm_g726,adpcm_g726le,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,adpcm_yamaha,"
    "alac,amrnb,amrwb,ape,eac3,flac,g722,gsm,gsm_ms,ilbc,libopus,mp1float,mp1,mp2float,mp2,mp3float,mp3,opus,"
    "pcm_alaw,pcm_bluray,pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,"
    "pcm_s16le_planar,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u16be,pcm_u16le,pcm_u8,"
    "speex,tta,vorbis,wavpack,wmapro,wmav1,wmav2,wmavoice"
)
# A file that ends this much before the end it announces was cut off on its way.
MISSING_S = 1.0
MISSING_SHARE = 0.05


class SoundError(Exception):
    """The file cannot be turned into sound. `code` is stable, the message is for whoever sent the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Writable(Protocol):
    """Where the samples go."""

    def write(self, data: bytes, /) -> int | None: ...  # noqa: D102  # as every file's


def decode(source: BinaryIO, target: Writable, max_audio_s: float) -> float:
    """Write the first sound of `source` to `target` as 16 kHz mono signed 16-bit little-endian samples.

    Returns the seconds written. Raises SoundError: `not_audio`, `no_sound`, `audio_too_long`, `audio_truncated`,
    `audio_damaged`. The length is counted while decoding, whatever the file says of itself.
    """
    head = source.read(HEAD_BYTES)
    source.seek(0)
    try:
        container = av.open(
            source,
            "r",
            options={"format_whitelist": CONTAINERS, "codec_whitelist": DECODERS, "protocol_whitelist": ""},
            metadata_errors="ignore",
        )
    except av.error.FFmpegError as error:
        raise _not_audio() from error
    with container:
        stream = _sound_of(container)
        announced_s = announced_seconds(container, stream, head)
        if announced_s is not None and announced_s > max_audio_s:
            raise _too_long(max_audio_s)
        written = _write_samples(container, stream, target, int(max_audio_s * BYTES_PER_SECOND))
    seconds = written / BYTES_PER_SECOND
    if written == 0:
        raise SoundError("no_sound", "The file holds no sound: its audio track is empty or cannot be decoded.")
    if announced_s is not None and announced_s - seconds > max(MISSING_S, MISSING_SHARE * announced_s):
        raise SoundError(
            "audio_truncated",
            f"The file announces {announced_s:.1f} s of sound and ends after {seconds:.1f} s: it was cut off.",
        )
    return seconds


def warm_up() -> None:
    """Decode a tenth of a second, so that a child forked later needs no module that is not loaded yet."""
    for module in ("av.audio.stream", "av.video.stream", "av.subtitles.stream", "av.audio.codeccontext"):
        importlib.import_module(module)
    samples = bytes(3200)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 3200, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", 3200
    )
    decode(io.BytesIO(header + samples), io.BytesIO(), 1.0)
    with contextlib.suppress(SoundError):
        decode(io.BytesIO(b"not a recording" * 100), io.BytesIO(), 1.0)


def _sound_of(container: InputContainer) -> AudioStream:
    best = container.streams.best("audio")
    if best is None:
        if container.streams.video:
            raise SoundError("no_sound", "The video has no sound track.")
        raise SoundError("no_sound", "The file holds no audio track.")
    stream = cast("AudioStream", best)
    if stream.codec_context is None:
        raise _unknown_codec()
    stream.codec_context.thread_count = 1  # the sandbox has no call left that starts a thread
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def _write_samples(container: InputContainer, stream: AudioStream, target: Writable, budget: int) -> int:
    samples = _Samples(target, budget)
    good = bad = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.EOFError):
            break
        except av.error.InvalidDataError:
            bad += 1
            break  # junk behind the last packet is common; a file cut short shows by its announced length
        except av.error.FFmpegError as error:
            raise SoundError("audio_damaged", "The file is damaged: it cannot be read to its end.") from error
        try:
            frames = packet.decode()
            good += 1
        except av.error.InvalidDataError:
            bad += 1
            continue
        except av.error.FFmpegError as error:
            raise _unknown_codec() from error
        for frame in frames:
            samples.add(frame)
    samples.flush()
    if bad > good:
        raise SoundError("audio_damaged", f"The file is damaged: {bad} of {bad + good} packets cannot be decoded.")
    return samples.written


class _Samples:
    """Resamples frames into `target`; at most `budget` bytes."""

    def __init__(self, target: Writable, budget: int) -> None:
        self.written = 0
        self._target = target
        self._budget = budget
        self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE)
        self._shape: tuple[object, ...] | None = None

    def add(self, frame: av.AudioFrame) -> None:
        """Write `frame`. Rate and channels may change on the way, as they do in radio recordings."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._shape not in {None, shape}:
            self.flush()
            self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE)
        self._shape = shape
        frame.pts = None  # gaps in the timestamps are no sound; the resampler would complain of them
        self._write(frame)

    def flush(self) -> None:
        """Write what the resampler still holds."""
        if self._shape is not None:
            self._write(None)

    def _write(self, frame: av.AudioFrame | None) -> None:
        try:
            pieces = self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise SoundError("audio_damaged", "The file is damaged: its sound has no sensible shape.") from error
        for piece in pieces:
            data = memoryview(piece.planes[0])[: piece.samples * 2]
            self.written += len(data)
            if self.written > self._budget:
                raise _too_long(self._budget / BYTES_PER_SECOND)
            self._target.write(bytes(data))


def _too_long(max_audio_s: float) -> SoundError:
    return SoundError(
        "audio_too_long", f"The recording is longer than {max_audio_s:g} s, the longest that this server takes."
    )


def _unknown_codec() -> SoundError:
    return SoundError("not_audio", "The sound in this file is compressed in a way that is not taken.")


def _not_audio() -> SoundError:
    return SoundError(
        "not_audio",
        "The file is not a recording in a format that is taken (wav, mp3, flac, ogg, m4a, webm, mp4, mkv and others).",
    )
