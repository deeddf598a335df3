"""Only whom it is sealed to opens an archive, and what was changed in it is noticed (issue 6)."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ai_services.backup import opening, sealing
from ai_services.backup.sealing import Keys, Seal
from ai_services.exits import OperatorError

from .archives import DUMP, archive, identity, sealed


def proven(path: Path, keys: Keys) -> str:
    with path.open("rb") as source:
        return opening.prove(source, keys, lambda done, total=None: None).manifest.host


def refusal(path: Path, keys: Keys) -> str:
    with pytest.raises(OperatorError) as raised:
        proven(path, keys)
    return raised.value.message


def test_each_recipient_opens_it_and_nobody_else(tmp_path: Path) -> None:
    (one, first), (two, second), (three, _) = (identity(tmp_path, name) for name in ("1", "2", "3"))
    path = sealed(tmp_path / "a.age", archive(), Seal((first, second)))
    assert proven(path, Keys((one,))) == proven(path, Keys((two,))) == proven(path, Keys((three, two))) == "gpu-1"
    assert "None of the given identities" in refusal(path, Keys((three,)))
    assert "Nothing was given" in refusal(path, Keys())
    assert b"canary" not in path.read_bytes()


def test_an_ssh_key_opens_it(tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    path = sealed(tmp_path / "a.age", archive(), Seal((key.with_suffix(".pub").read_text().strip(),)))
    assert proven(path, Keys((key,))) == "gpu-1"


@pytest.mark.long  # a passphrase costs a second each time, on purpose
def test_a_passphrase_opens_it_and_another_does_not(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.age", archive(), Seal(passphrase="correct horse"))
    assert proven(path, Keys(passphrase="correct horse")) == "gpu-1"
    assert "does not open it" in refusal(path, Keys(passphrase="wrong horse"))
    assert "sealed with a passphrase" in refusal(path, Keys())


@pytest.mark.long
def test_an_identity_file_may_be_sealed_itself(tmp_path: Path) -> None:
    import pyrage

    plain, public = identity(tmp_path)
    locked = tmp_path / "locked.age"
    locked.touch(mode=0o600)
    locked.write_bytes(pyrage.passphrase.encrypt(plain.read_bytes(), "open sesame"))
    path = sealed(tmp_path / "a.age", archive(), Seal((public,)))
    assert proven(path, Keys((locked,), "open sesame")) == "gpu-1"
    assert "holds no identity" in refusal(path, Keys((locked,), "something else"))


def test_an_identity_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key, public = identity(tmp_path)
    path = sealed(tmp_path / "a.age", archive(), Seal((public,)))
    key.chmod(0o644)
    assert "can be read by others" in refusal(path, Keys((key,)))


@pytest.mark.parametrize("words", ["age1nobody", "ssh-rsa AAAA", "", "AGE-SECRET-KEY-1X", "somebody"])
def test_what_is_no_recipient_is_refused(words: str) -> None:
    with pytest.raises(OperatorError):
        sealing.recipient(words)


def test_damage_is_noticed(tmp_path: Path) -> None:
    key, public = identity(tmp_path)
    whole = sealed(tmp_path / "a.age", archive(), Seal((public,))).read_bytes()
    broken = tmp_path / "b.age"
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:300], whole + b"x", whole[:-50] + b"y" + whole[-49:]):
        broken.write_bytes(content)
        assert "damaged" in refusal(broken, Keys((key,)))
    for content in (b"", b"hello" * 100, archive()):
        broken.write_bytes(content)
        assert "no backup of ai-services" in refusal(broken, Keys((key,)))


def test_well_sealed_nonsense_is_refused(tmp_path: Path) -> None:
    key, public = identity(tmp_path)
    path = sealed(tmp_path / "a.age", b"not an archive" * 1000, Seal((public,)))
    assert "This archive is refused" in refusal(path, Keys((key,)))


@pytest.mark.skipif(
    shutil.which("age") is None, reason="no `age` here; the lab's hosts have it, and test_backup.py uses it"
)
def test_the_program_age_opens_it_too(tmp_path: Path) -> None:
    key, public = identity(tmp_path)
    path = sealed(tmp_path / "a.age", archive(), Seal((public,)))
    done = subprocess.run(["age", "--decrypt", "--identity", str(key), str(path)], capture_output=True, check=True)
    assert done.stdout == archive()


@pytest.mark.long
def test_a_large_backup_takes_little_memory(tmp_path: Path) -> None:
    """512 MiB of a dump are sealed, kept, read back and proven within 160 MiB of memory more than Python's own."""
    script = f"""
        import io, os, resource, threading
        from pathlib import Path
        from ai_services.backup import opening, sealing
        from ai_services.backup.host.archive import Manifest, Stream
        from ai_services.backup.host.store import Folder
        from ai_services.backup.host.writer import write

        folder = Path({str(tmp_path)!r})
        text, public = sealing.new_identity()
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_text(text)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        words = ("0123456789abcdef", "2026-11-21T20:30:00Z", "h", "", "1")
        told = Manifest(*words, {{}}, {{}}, [], [], [Stream("s", "d", "dump")])
        left = [512 * 2**20]
        block = os.urandom(2**18)

        def read(most):
            size = min(most, left[0], len(block))
            left[0] -= size
            return block[:size]

        def produce(out):
            receiving, sending = os.pipe()
            def feed():
                with os.fdopen(sending, "wb") as pipe:
                    write(pipe, told, {{}}, lambda stream: read)
            threading.Thread(target=feed).start()
            with os.fdopen(receiving, "rb") as source:
                sealing.seal(source, out, sealing.Seal((public,)))

        kept = Folder(folder / "kept").keep("large.age", produce)
        with open(kept.where, "rb") as source:
            opening.prove(source, sealing.Keys((key,)), lambda done, total=None: None)
        print(kept.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    size, grown_kib = map(int, done.stdout.split())
    assert size > 512 * 2**20
    assert grown_kib < 160 * 1024


class Failing(io.RawIOBase):
    """A stream that raises when a few blocks have passed."""

    def __init__(self, error: BaseException) -> None:
        self._error, self._left = error, 3

    def read(self, size: int = -1) -> bytes:
        self._count()
        return bytes(min(size, 1000))

    def write(self, block: Any) -> int:
        self._count()
        return len(block)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error


@pytest.mark.parametrize(
    "error",
    [OperatorError("the host went away", hint="look"), OSError(28, "No space left on device"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_what_goes_wrong_on_the_way_is_raised_as_it_is(error: BaseException, tmp_path: Path) -> None:
    """Not as the library's own error, which nobody answers: it said neither what to do nor that Ctrl-C was pressed."""
    _, public = identity(tmp_path)
    for source, out in ((Failing(error), io.BytesIO()), (io.BytesIO(bytes(2**20)), Failing(error))):
        with pytest.raises(type(error)) as raised:
            sealing.seal(source, out, Seal((public,)))  # type: ignore[arg-type]  # reads and writes as one does
        assert raised.value is error


def test_a_disk_that_cannot_be_read_is_no_damaged_archive(tmp_path: Path) -> None:
    key, public = identity(tmp_path)

    class Bad(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 200_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    large = archive(dumps={DUMP: bytes(2**20)})
    source = Bad(sealed(tmp_path / "a.age", large, Seal((public,))).read_bytes())
    with pytest.raises(OperatorError, match="cannot be read: Input/output error"):
        opening.prove(source, Keys((key,)), lambda done, total=None: None)


def test_one_that_is_too_large_for_a_passphrase_says_so_before_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "PASSPHRASE_LIMIT_BYTES", 1 << 20)
    with pytest.raises(OperatorError, match="larger than the 1 MiB that a passphrase can seal") as raised:
        sealing.seal(io.BytesIO(bytes(2**21)), io.BytesIO(), Seal(passphrase="correct horse"))
    assert "--recipient" in raised.value.hint
    path = tmp_path / "a.age"
    path.write_bytes(sealing.MAGIC + b"-> scrypt salt 18\n" + bytes(2**21))
    assert "larger than the 1 MiB" in refusal(path, Keys(passphrase="correct horse"))


def test_what_was_opened_in_memory_goes_even_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run removes it: keys must not lie there until this machine is started anew."""
    monkeypatch.setattr(opening, "_MEMORY", tmp_path)
    script = (
        "import os, signal; from pathlib import Path; from ai_services.backup import opening\n"
        f"opening._MEMORY = Path({str(tmp_path)!r})\n"
        "with opening.in_memory() as folder: (folder / 'key').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("key"))) == 1
    with opening.in_memory() as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []
