"""A whole setup, once, by two calls at a time, in a checkout with blanks in its name; then what later calls do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# One setup is enough: all of these run in one process.
pytestmark = [pytest.mark.xdist_group("setup"), pytest.mark.long]
PARTS = ("ai", "pyproject.toml", "README.md", "LICENSE", "requirements", "src", "libs", "images")


@dataclass
class Installed:
    """The checkout and what the two first calls said."""

    checkout: Path
    first: list[tuple[int, str, str]]


def ai(checkout: Path, *arguments: str, path: Path | None = None, **extra: str | None) -> subprocess.Popen[str]:
    environment = {**os.environ, "AI_HOME": str(checkout.parent / "home"), "CI": "true", **extra}
    return subprocess.Popen(
        [path or checkout / "ai", *arguments],
        env={name: value for name, value in environment.items() if value is not None},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    checkout = tmp_path_factory.mktemp("a place with blanks") / "check out"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *PARTS]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    both = [ai(checkout, "version"), ai(checkout, "version")]
    yield Installed(checkout, [answer(process) for process in both])
    shutil.rmtree(checkout.parent)


# The order of these tests matters to none of them: each leaves a checkout that is set up.


def test_two_first_calls_at_once(installed: Installed) -> None:
    assert [code for code, _, _ in installed.first] == [0, 0]
    assert all(out.startswith("ai-services ") for _, out, _ in installed.first)
    said = sorted((err for _, _, err in installed.first), key=len)
    assert said[0] == "Another ./ai is setting this checkout up; waiting for it.\n"
    for line in ("Making .venv with Python", "Bringing uv", "locked packages", "Set up in"):
        assert line in said[1]


def test_a_later_call_sets_nothing_up(installed: Installed) -> None:
    uv = installed.checkout / ".venv" / "bin" / "uv"
    kept = uv.rename(uv.with_name("uv.kept"))
    try:
        code, out, err = answer(ai(installed.checkout, "version"))
    finally:
        kept.rename(uv)
    assert (code, err) == (0, "")
    assert out.startswith("ai-services ")


def test_called_through_a_link_from_elsewhere(installed: Installed, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.symlink_to(installed.checkout / "ai")
    (tmp_path / "ai").symlink_to("inner")
    code, out, err = answer(ai(installed.checkout, "version", path=tmp_path / "ai"))
    assert (code, err) == (0, "")
    assert out.startswith("ai-services ")


def test_without_home_and_with_an_empty_terminal(installed: Installed) -> None:
    code, out, _ = answer(ai(installed.checkout, "status", HOME=None, XDG_DATA_HOME=None, AI_HOME=None, TERM="dumb"))
    assert code in (0, 3, 4), "whatever runs on this machine, the home was found"
    assert out
    assert "\x1b" not in out


def test_verbs_that_must_always_work_do_not_wait_for_a_setup(installed: Installed) -> None:
    """After `git pull` brought new locks, and without a network, a running stack can still be seen and ended."""
    lock = installed.checkout / "requirements" / "local.txt"
    before = lock.read_text()
    lock.write_text(before + "# newer\n")
    try:
        for verb, expected in (("status", 3), ("down", 0), ("version", 0)):
            code, _, err = answer(ai(installed.checkout, verb))
            assert (verb, code, err) == (verb, expected, "")
        # `restart` is not one of them
        _, _, err = answer(ai(installed.checkout, "restart", UV_OFFLINE="1"))
        assert "locked packages" in err
    finally:
        lock.write_text(before)
        answer(ai(installed.checkout, "--help"))


def test_an_interrupted_installation_is_done_over(installed: Installed) -> None:
    venv = installed.checkout / ".venv"
    (venv / "ai-unfinished").write_text("packages")
    (broken,) = venv.glob("lib/python*/site-packages/rich/console.py")
    broken.unlink()  # it may be a hard link into uv's cache: written in place, it would be broken in every environment
    broken.write_text("half a fi")
    code, out, err = answer(ai(installed.checkout, "version"))
    assert code == 0, err
    assert out.startswith("ai-services ")
    assert "half a fi" not in broken.read_text()
    assert not (venv / "ai-unfinished").exists()


def test_a_moved_checkout_is_set_up_again(installed: Installed) -> None:
    moved = installed.checkout = installed.checkout.rename(installed.checkout.with_name("moved"))
    code, out, err = answer(ai(moved, "version"))
    assert code == 0, err
    assert "Making .venv anew: it was made for another place." in err
    assert out.startswith("ai-services ")
