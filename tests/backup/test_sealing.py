"""Only whom it is sealed to opens an archive, and what was changed in it is noticed (issue 6)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ai_services.backup import opening, sealing
from ai_services.backup.sealing import Keys, Seal
from ai_services.exits import OperatorError

from .archives import archive, identity, sealed


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
