"""Sound files for tests: the formats people send, and sounds without a word in them. Written by PyAV, never by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

Pcm = npt.NDArray[np.int16]

# name: (file suffix, container, codec, sample format, sample rate that the codec takes)
FORMATS = {
    "wav": (".wav", "wav", "pcm_s16le", "s16", None),
    "mp3": (".mp3", "mp3", "libmp3lame", "s16p", 44100),
    "flac": (".flac", "flac", "flac", "s16", None),
    "ogg-opus": (".ogg", "ogg", "libopus", "s16", 48000),
    "m4a": (".m4a", "mp4", "aac", "fltp", 44100),
    "webm": (".webm", "webm", "libopus", "s16", 48000),
    "aiff": (".aiff", "aiff", "pcm_s16be", "s16", None),
}


def write(path: Path, pcm: Pcm, rate: int, form: str = "wav", *, channels: int = 1) -> Path:
    """Encode int16 `pcm` (mono, shape (samples,), `rate` in Hz) as one of FORMATS; `channels` copies it."""
    _, container, codec, sample_format, codec_rate = FORMATS[form]
    with av.open(str(path), "w", format=container) as output:
        stream = _audio_stream(output, codec, codec_rate or rate, sample_format, channels)
        _encode(output, stream, pcm, rate)
    return path


def write_video(path: Path, pcm: Pcm | None, rate: int = 22050, *, seconds: float = 3, container: str = "mp4") -> Path:
    """A small moving picture, with `pcm` as its sound or (None) without any."""
    with av.open(str(path), "w", format=container) as output:
        video = output.add_stream("mpeg4" if container in {"mp4", "avi", "matroska"} else "libvpx", rate=10)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = None if pcm is None else _audio_stream(output, "aac", 44100, "fltp", 1)
        for number in range(int(seconds * 10)):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number % 255, np.uint8), format="rgb24")
            picture.pts = number
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        if pcm is not None and sound is not None:
            _encode(output, sound, pcm, rate)
    return path


def resample(pcm: Pcm, rate: int, new_rate: int) -> Pcm:
    """int16 mono samples at another rate (8000 makes a telephone of it)."""
    resampler = av.AudioResampler("s16", "mono", new_rate)
    frames = [*resampler.resample(_frame(pcm, rate)), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(np.int16)


def silence(seconds: float, rate: int = 16000) -> Pcm:
    """Digital silence."""
    return np.zeros(int(seconds * rate), np.int16)


def noise(seconds: float, rate: int = 16000, *, level: float = 0.1, kind: str = "white") -> Pcm:
    """Noise of a fixed seed, `level` of full scale (RMS): `white`, `pink`, or `hum` (mains at 50 Hz with overtones)."""
    count = int(seconds * rate)
    generator = np.random.default_rng(7)
    if kind == "hum":
        time = np.arange(count) / rate
        wave = sum(np.sin(2 * np.pi * 50 * n * time) / n for n in (1, 2, 3, 5))
        wave = np.asarray(wave) + 0.02 * generator.standard_normal(count)
    else:
        wave = generator.standard_normal(count)
        if kind == "pink":
            spectrum = np.fft.rfft(wave)
            spectrum /= np.sqrt(np.arange(1, len(spectrum) + 1))
            wave = np.fft.irfft(spectrum, count)
    return _to_int16(wave / np.sqrt(np.mean(np.square(wave))) * level)


def music(seconds: float, rate: int = 16000, *, level: float = 0.15) -> Pcm:
    """Chords of plucked tones with a bass and a beat: clearly music, without a voice."""
    count = int(seconds * rate)
    wave = np.zeros(count)
    beat = rate // 2
    generator = np.random.default_rng(11)
    chords = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
    for index, start in enumerate(range(0, count, beat)):
        time = np.arange(min(beat * 2, count - start)) / rate
        chord = chords[(index // 4) % len(chords)]
        for tone in (*chord, chord[0] / 2, chord[index % 3] * 2):
            for overtone in (1, 2, 3, 4):
                wave[start : start + len(time)] += (
                    np.sin(2 * np.pi * tone * overtone * time) * np.exp(-4 * overtone * time) / overtone
                )
        drum = generator.standard_normal(len(time)) * np.exp(-40 * time)
        wave[start : start + len(time)] += drum
    return _to_int16(wave / np.max(np.abs(wave)) * level * 4)


def sung_notes(seconds: float, rate: int = 16000) -> Pcm:
    """A voice-like tone with overtones, vowel resonances and vibrato that sings notes without a word."""
    count = int(seconds * rate)
    time = np.arange(count) / rate
    notes = np.random.default_rng(1).choice([220, 247, 262, 294, 330, 392, 440], int(seconds * 4) + 1)
    pitch = np.repeat(notes, rate // 4 + 1)[:count] * (1 + 0.03 * np.sin(2 * np.pi * 6 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    wave = np.asarray(sum(np.sin(overtone * phase) / overtone for overtone in range(1, 30)))
    frequency = np.fft.rfftfreq(count, 1 / rate)
    throat = np.asarray(sum(1 / (1 + ((frequency - center) / 80) ** 2) for center in (700, 1200, 2600)))
    wave = np.fft.irfft(np.fft.rfft(wave) * throat, count)
    return _to_int16(wave / np.max(np.abs(wave)) * 0.6)


def mixed(parts: Sequence[Pcm], shift: int) -> Pcm:
    """All of `parts` at once, each rotated by `shift` samples more than the one before: a room full of people."""
    count = min(len(part) for part in parts)
    wave = np.sum([np.roll(part[:count].astype(float), number * shift) for number, part in enumerate(parts)], axis=0)
    return _to_int16(wave / np.max(np.abs(wave)) * 0.6)


def _to_int16(wave: npt.NDArray[np.float64]) -> Pcm:
    return (np.clip(wave, -1, 1) * 32767).astype(np.int16)


def _frame(pcm: Pcm, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    return frame


def _audio_stream(
    output: av.container.OutputContainer, codec: str, rate: int, sample_format: str, channels: int
) -> AudioStream:
    stream = output.add_stream(codec, rate=rate)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = "mono" if channels == 1 else "stereo"
    stream.codec_context.format = sample_format
    return stream


def _encode(output: av.container.OutputContainer, stream: AudioStream, pcm: Pcm, rate: int) -> None:
    context = stream.codec_context
    # frame_size: codecs that take frames of one size only (aac, opus, mp3) get them from the resampler
    resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, context.frame_size or None)
    second = max(rate, 1)
    for start in range(0, len(pcm), second):
        for frame in resampler.resample(_frame(pcm[start : start + second], rate)):
            frame.pts = None
            output.mux(stream.encode(frame))
    if len(pcm):
        for frame in resampler.resample(None):
            frame.pts = None
            output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
