"""Secrets on the loose: looks for given values wherever a secret must not be.

A value is looked for as it is and in Base64 at all three offsets, as an Authorization header or Docker's login would
hold it.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from host.lab import engine

SAMPLE_EVERY_S = 0.05
# A process is looked at so often, and then known: it has become what it was started to be.
LOOKS = 4


def shapes(value: str) -> list[bytes]:
    """The byte strings that give `value` away."""
    raw = value.encode()
    found = [raw]
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + raw)
        # the characters at both ends depend on the neighbours
        found.append(encoded[4 if offset else 0 : -4])
    return found


def in_text(secrets: Mapping[str, str], text: str) -> list[str]:
    """The names of the secrets that occur in `text`."""
    raw = text.encode()
    return [name for name, value in secrets.items() if any(shape in raw for shape in shapes(value))]


@contextmanager
def watching_processes(secrets: Mapping[str, str]) -> Iterator[list[str]]:
    """Look at every process of this machine, hosts' processes included, while it is young; yields the findings.

    A finding is `name of the secret: command line`; environments count too.
    """
    findings: list[str] = []
    done = threading.Event()
    wanted = {name: shapes(value) for name, value in secrets.items()}

    def watch() -> None:
        looks: dict[Path, int] = {}
        while not done.wait(SAMPLE_EVERY_S):
            looks = {folder: looks.get(folder, 0) + 1 for folder in Path("/proc").iterdir() if folder.name.isdigit()}
            for folder, times in looks.items():
                if times <= LOOKS:
                    _look_at(folder, wanted, findings)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield findings
    finally:
        done.set()
        thread.join()


def _look_at(process: Path, wanted: Mapping[str, list[bytes]], findings: list[str]) -> None:
    try:
        line = (process / "cmdline").read_bytes()
        surroundings = (process / "environ").read_bytes()
    except OSError:  # ended meanwhile
        return
    for name, shaped in wanted.items():
        if any(shape in line or shape in surroundings for shape in shaped):
            finding = f"{name}: {line.replace(bytes(1), b' ')[:120].decode(errors='replace')}"
            if finding not in findings:
                findings.append(finding)


def on_host(container: str, secrets: Mapping[str, str], *tops: str) -> dict[str, list[str]]:
    """The files below `tops` that hold a secret, by the secret's name."""
    found: dict[str, list[str]] = {}
    for name, value in secrets.items():
        patterns = "\n".join(shape.decode() for shape in shapes(value))
        listed = engine.run_in(
            container,
            ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--no-messages", "--file=-", *tops],
            stdin=patterns + "\n", check=False,
        )  # fmt: skip
        found[name] = sorted(listed.splitlines())
    return found
