"""Files that are not recordings: a 4xx that says why, and a server that goes on."""

from __future__ import annotations

import http.server
import io
import struct
import threading
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from support import audio, speech
from support.whisper import WhisperServer, whisper_server

from .conftest import Sounds

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="audio/mp4"><Representation id="a" bandwidth="1"><BaseURL>{}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>"
)
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\n"


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("speech.wav", b"RIFF" * 1000)
    return content.getvalue()


def _picture(path: Path) -> None:
    with av.open(str(path), "w", format="image2") as output:
        stream = output.add_stream("png", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode(None))


def _wav(channels: int, rate: int, bits: int) -> bytes:
    """A header that claims what no microphone does."""
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", 1, channels, rate, min(rate * block, 2**32 - 1), block % 65536, bits)
    data = bytes(200_000)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + head + (
        b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip


NOT_AUDIO = {
    "text": b"Please transcribe me.\n" * 500,
    "json": b'{"audio": "no"}',
    "html": b"<!doctype html><audio src=file:///etc/passwd></audio>",
    "zip": _zip(),
    "random": np.random.default_rng(3).bytes(100_000),
    "subtitles": b"1\n00:00:00,000 --> 00:00:02,000\nhello\n\n" * 50,
    "one-byte": b"\0",
    "wav-of-65535-channels": _wav(65535, 48000, 16),
    "wav-of-no-channel": _wav(0, 16000, 16),
    "wav-of-2-GHz": _wav(1, 2**31 - 1, 16),
    "wav-of-no-bits": _wav(1, 16000, 0),
    "wav-of-200-channels": _wav(200, 384_000, 32),
    "hls": HLS.format("segment.wav").encode(),
    "hls-absolute": HLS.format("file:///etc/passwd").encode(),
    "dash": DASH.format("file:///etc/passwd").encode(),
    "concat": b"ffconcat version 1.0\nfile 'speech.wav'\nfile '/etc/passwd'\n",
    "sdp": SDP.format(5004).encode(),
    "ffmetadata": b";FFMETADATA1\ntitle=x\n",
    "smil": b'<smil><body><audio src="http://127.0.0.1/"/></body></smil>',
    "pls": b"[playlist]\nFile1=http://127.0.0.1/\nNumberOfEntries=1\n",
}


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("kind", NOT_AUDIO)
def test_what_is_no_recording_is_refused_with_a_reason(server: WhisperServer, sounds: Sounds, kind: str) -> None:
    answer = server.transcribe(sounds.bytes(kind, NOT_AUDIO[kind]))
    assert answer.status_code == 400
    assert answer.json()["code"] in {"not_audio", "no_sound", "audio_damaged"}
    assert answer.json()["param"] == "file"
    assert "server fail" not in answer.json()["detail"]


@pytest.mark.promise("S3.1")
def test_an_empty_file_is_refused(server: WhisperServer, sounds: Sounds) -> None:
    answer = server.transcribe(sounds.bytes("empty", b""))
    assert (answer.status_code, answer.json()["code"]) == (400, "empty_file")


def test_an_image_is_refused(server: WhisperServer, sounds: Sounds) -> None:
    answer = server.transcribe(sounds.get("picture.png", _picture))
    assert (answer.status_code, answer.json()["code"]) == (400, "not_audio")


def test_a_video_without_sound_is_refused(server: WhisperServer, sounds: Sounds) -> None:
    answer = server.transcribe(sounds.get("mute.mp4", lambda path: audio.write_video(path, None)))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_sound")
    assert "no sound track" in answer.json()["detail"]


def test_a_recording_of_no_length_is_refused(server: WhisperServer, sounds: Sounds) -> None:
    with wave.open(content := io.BytesIO(), "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
    answer = server.transcribe(sounds.bytes("nothing.wav", content.getvalue()))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_sound")


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "aiff", "webm", "m4a"])
def test_a_file_that_was_cut_off_is_refused(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, form: str
) -> None:
    """Half a file would give half a text, and nobody would notice."""
    whole = sounds.spoken(sentence, form).read_bytes()
    answer = server.transcribe(sounds.bytes(f"half-{form}", whole[: len(whole) // 2]))
    assert answer.status_code == 400
    # An m4a without its end has no index, so nothing in it can be found.
    assert answer.json()["code"] == ("not_audio" if form == "m4a" else "audio_truncated")


@pytest.mark.parametrize("form", list(audio.FORMATS))
def test_the_first_bytes_alone_are_refused(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, form: str
) -> None:
    whole = sounds.spoken(sentence, form).read_bytes()
    assert server.transcribe(sounds.bytes(f"head-{form}", whole[:60])).status_code == 400


@pytest.mark.parametrize("form", list(audio.FORMATS))
def test_damage_never_breaks_the_server(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, form: str
) -> None:
    damaged = bytearray(sounds.spoken(sentence, form).read_bytes())
    for position in np.random.default_rng(5).integers(60, len(damaged), len(damaged) // 50):
        damaged[position] ^= 0xA5
    answer = server.transcribe(sounds.bytes(f"damaged-{form}", bytes(damaged)))
    assert answer.status_code in {200, 400}
    assert server.health()["engine"]["restarts"] == 0


def test_a_streamed_wav_of_unknown_length_is_taken(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech
) -> None:
    """A recorder that cannot seek back writes 0xFFFFFFFF for the lengths: that announces nothing."""
    content = bytearray(sounds.spoken(sentence).read_bytes())
    data = content.index(b"data")
    content[4:8] = content[data + 4 : data + 8] = b"\xff\xff\xff\xff"
    answer = server.transcribe(sounds.bytes("streamed.wav", bytes(content)))
    assert answer.status_code == 200
    assert "window" in answer.json()["text"]


class _Trap(http.server.BaseHTTPRequestHandler):
    visits: list[str] = []  # noqa: RUF012  # one trap, one list

    def do_GET(self) -> None:
        self.visits.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def trap() -> Iterator[str]:
    """A server on the loopback that notes who calls."""
    _Trap.visits.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Trap) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/inside"
        listening.shutdown()
        thread.join()


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("playlist", [HLS, DASH, "ffconcat version 1.0\nfile {}\n", "#EXTM3U\n{}\n"])
def test_a_playlist_makes_nobody_fetch_anything(
    server: WhisperServer, sounds: Sounds, trap: str, playlist: str
) -> None:
    answer = server.transcribe(sounds.bytes("playlist", playlist.format(trap).encode()))
    assert answer.status_code == 400
    assert _Trap.visits == []


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperServer]:
    """Small limits; the model is not even loaded."""
    with whisper_server(
        tmp_path_factory.mktemp("strict"),
        LOAD_MODEL_ON_STARTUP="0",
        MAX_AUDIO_S="60",
        MAX_UPLOAD_MIB="1",
        UPLOAD_IDLE_TIMEOUT_S="1",
    ) as running:
        yield running


@pytest.mark.promise("S3.1")
def test_a_recording_that_is_too_long_is_refused(strict_server: WhisperServer, sounds: Sounds) -> None:
    file = sounds.get("61s.flac", lambda path: audio.write(path, audio.silence(61), 16000, "flac"))
    answer = strict_server.transcribe(file)
    assert (answer.status_code, answer.json()["code"]) == (413, "audio_too_long")
    assert "60 s" in answer.json()["detail"]


@pytest.mark.promise("S3.1")
def test_a_decompression_bomb_is_counted_while_it_unpacks(strict_server: WhisperServer, sounds: Sounds) -> None:
    """115 MB of samples in 650 KB, whose header says nothing of its length."""

    def bomb(path: Path) -> None:
        audio.write(path, audio.silence(3600, 8000), 8000, "flac")
        content = bytearray(path.read_bytes())
        content[21] &= 0xF0  # STREAMINFO's 36 bits of total samples: unknown
        content[22:26] = bytes(4)
        path.write_bytes(bytes(content))

    file = sounds.get("bomb.flac", bomb)
    assert file.stat().st_size * 100 < 3600 * 32_000
    answer = strict_server.transcribe(file)
    assert (answer.status_code, answer.json()["code"]) == (413, "audio_too_long")
    assert not strict_server.recordings()
