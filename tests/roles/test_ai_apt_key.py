"""A repository's key is taken only with the fingerprint that was expected (S0.6)."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from roles.own_module import imported, ran

# RFC 9580, appendix A.1: the sample version 4 key, and the fingerprint printed beside it.
SAMPLE = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEU/NfCxYJKwYBBAHaRw8BAQdAPwmJlL3ZFu1AUxl5NOSofIBzOhKA1i+AEJku
Q+47JAY=
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINT = "C959BDBAFA32A2F89A153B678CFDE12197965A9A"
OTHER = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"

pytestmark = pytest.mark.promise("S0.6")


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that has the key."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "gpg").write_text(SAMPLE)
    (folder / "page").write_text("<html>sign in to the proxy</html>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_fingerprint_is_the_one_the_standard_prints() -> None:
    module = imported("ai_apt_key")
    binary = module.dearmoured(SAMPLE.encode())
    assert binary == base64.b64decode("".join(SAMPLE.split("\n")[2:4]))
    assert module.fingerprints(binary) == [FINGERPRINT]


def test_a_comment_and_a_checksum_in_the_armour_do_not_count() -> None:
    module = imported("ai_apt_key")
    lines = SAMPLE.replace("BLOCK-----\n\n", "BLOCK-----\nComment: hello\n\n").replace("JAY=\n", "JAY=\n=abcd\n")
    assert module.fingerprints(module.dearmoured(lines.encode())) == [FINGERPRINT]


@pytest.mark.parametrize("text", [b"", b"<html>", b"\x99", b"\x98\x33\x03short", b"\xff\xff\xff\xff"])
def test_what_is_no_key_has_no_fingerprint(text: bytes) -> None:
    module = imported("ai_apt_key")
    assert module.fingerprints(module.dearmoured(text)) == []


def test_a_key_of_another_version_beside_the_expected_one_is_refused(published: str, tmp_path: Path) -> None:
    """Debian 13's apt knows version 6; a proxy that adds one must not be trusted with it."""
    sample = imported("ai_apt_key").dearmoured(SAMPLE.encode())
    (tmp_path / "web" / "two").write_bytes(sample + b"\xc6\x05\x06strange"[:7])
    path = tmp_path / "key.gpg"
    ask = {"url": f"{published}/two", "path": str(path), "fingerprints": [FINGERPRINT]}
    assert "a key of version 6" in ran("ai_apt_key", ask)["msg"]
    assert not path.exists()
    path.write_bytes((tmp_path / "web" / "two").read_bytes())
    assert ran("ai_apt_key", ask | {"url": f"{published}/gpg"})["changed"] is True
    assert path.read_bytes() == sample


def test_the_expected_key_is_kept_and_not_fetched_again(published: str, tmp_path: Path) -> None:
    path = tmp_path / "key.gpg"
    spaced = " ".join(FINGERPRINT[at : at + 4] for at in range(0, 40, 4)).lower()
    ask = {"url": f"{published}/gpg", "path": str(path), "fingerprints": [spaced]}
    assert ran("ai_apt_key", ask, check=True)["changed"] is True
    assert not path.exists()
    assert ran("ai_apt_key", ask)["changed"] is True
    assert imported("ai_apt_key").fingerprints(path.read_bytes()) == [FINGERPRINT]
    assert ran("ai_apt_key", ask | {"url": "http://127.0.0.1:9/gone"})["changed"] is False


@pytest.mark.parametrize(
    ("page", "expected", "said"),
    [
        ("gpg", OTHER, "sits between this host and the publisher"),
        ("page", FINGERPRINT, "no OpenPGP key"),
        ("nowhere", FINGERPRINT, "could not be fetched"),
    ],
)
def test_anything_else_is_refused_and_not_written(
    published: str, tmp_path: Path, page: str, expected: str, said: str
) -> None:
    path = tmp_path / "key.gpg"
    result = ran("ai_apt_key", {"url": f"{published}/{page}", "path": str(path), "fingerprints": [expected]})
    assert result["failed"] is True
    assert said in result["msg"]
    assert not path.exists()
