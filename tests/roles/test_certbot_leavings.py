"""Taking a host's certificate away: its keys go, whoever else's stay (S0.6)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "ansible" / "roles" / "certbot_cloudflare" / "files" / "leavings.py"


def issued(root: Path, name: str, number: int, kept: int) -> tuple[Path, Path]:
    """The `number`th key of a lineage as certbot 2.1 leaves it: in the archive, and as the `kept`th copy beside it."""
    for folder in (f"archive/{name}", "keys", "csr"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    key, request = root / f"keys/{kept:04}_key-certbot.pem", root / f"csr/{kept:04}_csr-certbot.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    (root / f"archive/{name}/privkey{number}.pem").write_bytes(key.read_bytes())
    return key, request


def openssl(*command: object) -> None:
    subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)


def remove(root: Path, name: str) -> list[str]:
    done = subprocess.run([sys.executable, SCRIPT, name, root], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.promise("S0.6")
def test_every_copy_of_our_keys_goes_and_no_other(tmp_path: Path) -> None:
    theirs = issued(tmp_path, "whisper.example.com", 1, 0)
    first, second = issued(tmp_path, "ai.example.com", 1, 1), issued(tmp_path, "ai.example.com", 2, 3)
    # numbers of requests and keys may drift apart: whose it is, the key tells
    (tmp_path / "csr/0003_csr-certbot.pem").rename(tmp_path / "csr/0002_csr-certbot.pem")
    (tmp_path / "keys/0009_key-certbot.pem").write_text("no key at all")
    gone = remove(tmp_path, "ai.example.com")
    assert sorted(map(Path, gone)) == sorted([*first, second[0], tmp_path / "csr/0002_csr-certbot.pem"])
    assert all(path.exists() for path in theirs)
    assert (tmp_path / "keys/0009_key-certbot.pem").exists()
    assert remove(tmp_path, "ai.example.com") == []


def test_a_host_whose_certbot_keeps_no_copies(tmp_path: Path) -> None:
    assert remove(tmp_path, "ai.example.com") == []
