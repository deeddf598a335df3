"""Encryption of archives: files of the format age, made and opened here by pyrage, on hosts by Debian's `age`.

An archive is sealed to recipients (age or ssh-ed25519 public keys), as a stream. With a passphrase it is sealed in
memory: the library has no stream for that, so such archives are bounded.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyrage

from ai_services.exits import BLOCKED, USAGE, OperatorError

MAGIC: Final = b"age-encryption.org/v1\n"
# Sealed with a passphrase, all of it is in memory at once, twice.
PASSPHRASE_LIMIT_BYTES: Final = 128 * 2**20
# What sealing adds: a header, and 16 bytes to each 64 KiB.
_SEAL_LIMIT_BYTES: Final = 2**20
_IDENTITY_LIMIT_BYTES: Final = 2**20
_NO_OPENER: Final = (pyrage.DecryptError,)


@dataclass(frozen=True)
class Seal:
    """To whom an archive is sealed: public keys, or a passphrase instead."""

    recipients: tuple[str, ...] = ()
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True)
class Keys:
    """What opens archives: files with identities, and a passphrase (of the archive, or of an identity file)."""

    identities: tuple[Path, ...] = ()
    passphrase: str = field(default="", repr=False)


def recipient(words: str) -> Any:
    """Return what pyrage makes of a public key.

    Raises:
        OperatorError: it is none, or a private one.
    """
    text = words.strip()
    if text.startswith(("AGE-SECRET-KEY-", "-----BEGIN")):
        raise OperatorError(
            "A private key was given as a recipient.",
            hint="Give its public part: age1… (age-keygen -y FILE) or ssh-ed25519 …",
            exit_code=USAGE,
        )
    try:
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text)
        if text.startswith("ssh-ed25519 "):
            return pyrage.ssh.Recipient.from_str(text)
    except pyrage.RecipientError:
        pass
    raise OperatorError(
        f'"{text[:80]}" is no recipient.', hint="Give an age public key (age1…) or ssh-ed25519 ….", exit_code=USAGE
    )


def new_identity() -> tuple[str, str]:
    """Make an identity. Returns the file's text, which is the secret, and its recipient."""
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    return f"# public key: {public}\n{identity}\n", public


def seal(source: Any, out: BinaryIO, to: Seal) -> None:
    """Write what `source.read(n)` gives to `out`, encrypted.

    Raises:
        OperatorError: nobody to seal it to, or too large for a passphrase. Whatever `source` and `out` raise.
    """
    if to.passphrase:
        content = bytearray()
        while block := source.read(2**18):
            content += block
            if len(content) > PASSPHRASE_LIMIT_BYTES:
                raise OperatorError(
                    f"This backup is larger than the {PASSPHRASE_LIMIT_BYTES >> 20} MiB that a passphrase can seal.",
                    hint="Seal it to a public key: --recipient age1…",
                    exit_code=BLOCKED,
                )
        out.write(pyrage.passphrase.encrypt(bytes(content), to.passphrase))
        return
    if not to.recipients:
        raise OperatorError("Nobody could open this backup.", hint="Name a recipient: --recipient age1…")
    to_whom = [recipient(words) for words in to.recipients]
    try:
        with _own_errors(_Remembering(source), _Remembering(out)) as (reading, writing):
            pyrage.encrypt_io(reading, writing, to_whom)
    except pyrage.EncryptError as error:
        raise OperatorError(f"The backup cannot be sealed: {error}") from None


@contextlib.contextmanager
def opened(source: BinaryIO, keys: Keys) -> Iterator[BinaryIO]:
    """Open a sealed archive: yields its plain content as a stream.

    Raises:
        OperatorError: it is no such file, or none of the keys opens it. While it is read: it is damaged.
    """
    head = source.read(len(MAGIC))
    if head != MAGIC:
        raise OperatorError("It is no backup of ai-services: it is not encrypted with age.", exit_code=BLOCKED)
    source.seek(0)
    if _by_passphrase(source):
        yield io.BytesIO(_open_by_passphrase(source, keys))
        return
    source.seek(0)
    found = [identity for path in keys.identities for identity in identities(path, keys.passphrase)]
    if not found:
        raise OperatorError("Nothing was given to open it with.", hint="--identity FILE", exit_code=USAGE)
    with _Decrypted(source, found).reading() as plain:
        yield plain


def _by_passphrase(source: BinaryIO) -> bool:
    source.seek(len(MAGIC))
    return source.read(10) == b"-> scrypt "


def _open_by_passphrase(source: BinaryIO, keys: Keys) -> bytes:
    if not keys.passphrase:
        raise OperatorError("It is sealed with a passphrase.", hint="--passphrase-file FILE", exit_code=USAGE)
    source.seek(0)
    most = PASSPHRASE_LIMIT_BYTES + _SEAL_LIMIT_BYTES
    content = source.read(most + 1)
    if len(content) > most:
        raise OperatorError(
            f"It is sealed with a passphrase, and larger than the {PASSPHRASE_LIMIT_BYTES >> 20} MiB that such a "
            "backup has at most.",
            hint="One of ours is sealed to a key when it is larger: give the right file.",
            exit_code=BLOCKED,
        )
    try:
        return bytes(pyrage.passphrase.decrypt(content, keys.passphrase))
    except _NO_OPENER as error:
        raise _wrong(error, "The passphrase does not open it, or it is damaged.") from None


def identities(path: Path, passphrase: str = "") -> list[Any]:
    """Return the identities in a file: age's, an SSH key, or age's sealed with a passphrase.

    Raises:
        OperatorError: there are none, others can read them, or the passphrase is another one.
    """
    try:
        if path.stat().st_mode & 0o077 and os.geteuid() == path.stat().st_uid:
            raise OperatorError(
                f"{path} can be read by others than you.", hint=f"Close it: chmod 600 {path}", exit_code=BLOCKED
            )
        with path.open("rb") as stream:
            content = stream.read(_IDENTITY_LIMIT_BYTES)
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.", exit_code=USAGE) from None
    try:
        if content.startswith(MAGIC):
            content = pyrage.passphrase.decrypt(content, passphrase)
        if content.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, UnicodeDecodeError, *_NO_OPENER):
        found = []
    if not found:
        raise OperatorError(
            f"{path} holds no identity that can be used.",
            hint="Give a file with AGE-SECRET-KEY-1…, or an ssh-ed25519 key without a passphrase of its own.",
            exit_code=USAGE,
        )
    return found


def _wrong(error: BaseException, otherwise: str) -> OperatorError:
    if "no matching" in str(error).lower():
        return OperatorError("None of the given identities opens it.", hint="--identity FILE", exit_code=USAGE)
    return OperatorError(otherwise, exit_code=BLOCKED, detail=str(error)[:300])


class _Remembering:
    """Reads from a stream, or writes to it, and remembers what that raised."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.raised: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except BaseException as error:
            self.raised = error
            raise

    def write(self, block: bytes) -> int:
        try:
            return int(self._stream.write(block))
        except BaseException as error:
            self.raised = error
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BaseException as error:
            self.raised = error
            raise


@contextlib.contextmanager
def _own_errors(source: _Remembering, out: _Remembering) -> Iterator[tuple[_Remembering, _Remembering]]:
    # The library makes its own error of whatever its streams raise, also of Ctrl-C and of a full disk.
    try:
        yield source, out
    except Exception:
        if own := source.raised or out.raised:
            raise own from None
        raise


class _Decrypted:
    """Decrypts in a thread, which writes into a pipe, so that the content can be read at the reader's pace."""

    def __init__(self, source: BinaryIO, identities: Sequence[Any]) -> None:
        self._source, self._identities = source, list(identities)
        self._error: BaseException | None = None
        receiving, sending = os.pipe()
        self._plain, self._sending = os.fdopen(receiving, "rb"), os.fdopen(sending, "wb")
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            with self._sending, _own_errors(_Remembering(self._source), _Remembering(self._sending)) as (source, out):
                pyrage.decrypt_io(source, out, self._identities)
        except BaseException as error:
            self._error = error

    def _ended(self) -> None:
        self._thread.join()
        if self._error is not None and not isinstance(self._error, BrokenPipeError):
            if isinstance(self._error, OSError) and self._error.errno:  # without: the library's own
                words = f"It cannot be read: {self._error.strerror or self._error}."
                raise OperatorError(words, exit_code=BLOCKED) from None
            raise _wrong(self._error, "It is damaged, or cut off.")

    @contextlib.contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        self._thread.start()
        try:
            yield _Ending(self._plain, self._ended)  # type: ignore[misc]  # read() is all that is asked of it
        finally:
            self._plain.close()
            self._thread.join()


class _Ending(io.RawIOBase):
    """A reader that asks at the end of what it reads whether that was really the end."""

    def __init__(self, source: BinaryIO, ended: Any) -> None:
        self._inner, self._ended = source, ended

    def read(self, size: int = -1) -> bytes:
        block = self._inner.read(size)
        if not block and size != 0:
            self._ended()
        return block

    def readable(self) -> bool:
        return True
