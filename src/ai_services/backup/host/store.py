"""Where archives are kept: a directory, or a bucket of an S3-compatible store. Whole under their name, or not there."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ai_services.backup.host.archive import MARK_DIGITS, Manifest

_NAME = re.compile(r"ai-backup_(?P<host>[A-Za-z0-9._-]{1,64})_(?P<time>\d{8}T\d{6}Z)_(?P<id>[0-9a-f]{16})\.age")
_SCRATCH = re.compile(rf"\.{_NAME.pattern}\.[0-9a-f]{{8}}")
_BLOCK_BYTES = 2**20
_DEAD_AFTER_S = 86_400
S3 = "s3://"


class StoreError(Exception):
    """An archive could not be kept or found; the message says why."""


def name_of(manifest: Manifest, called: str = "") -> str:
    """Return the file name of an archive: host (as it is `called`, else as it calls itself), UTC time, number."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", called or manifest.host)[:64] or "host"
    return f"ai-backup_{host}_{re.sub('[^0-9TZ]', '', manifest.made)}_{manifest.id}.age"


def doomed(names: list[str], newest: str, keep: int) -> list[str]:
    """Return which of `names` go, so that `keep` of the same host stay; never `newest`, and none when `keep` is 0.

    Machines share names like `debian`, and places: the mark that begins the number has to be the same as well.
    """
    found = _NAME.fullmatch(newest)
    if keep <= 0 or found is None:
        return []
    of_host = [match for name in names if (match := _NAME.fullmatch(name)) and _whose(match) == _whose(found)]
    older = sorted((match["time"], match[0]) for match in of_host if match[0] != newest)
    return [name for _, name in older[: max(0, len(older) - keep + 1)]]


def _whose(match: re.Match[str]) -> tuple[str, str]:
    return match["host"], match["id"][:MARK_DIGITS]


@dataclass(frozen=True)
class Kept:
    """An archive as it is kept: where, how many bytes, and their SHA-256 (hex), read back from there."""

    where: str
    size: int
    sha256: str


# Writes the bytes of an archive, or raises.
Produce = Callable[[BinaryIO], None]


class Store(Protocol):
    """A place for archives."""

    def keep(self, name: str, produce: Produce) -> Kept:
        """Keep what `produce` writes under `name`, read it back, and say what is there: nothing, if it raises."""

    def names(self) -> list[str]:
        """Every name there."""

    def remove(self, name: str) -> None:
        """Remove one."""


class _Summing(io.RawIOBase):
    """Writes on, and knows size and sum of what it wrote."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self.digest, self.size = hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        block = bytes(block)
        self._out.write(block)
        self.digest.update(block)
        self.size += len(block)
        return len(block)

    def flush(self) -> None:
        if not self._out.closed:  # once more when this is thrown away
            self._out.flush()


@dataclass(frozen=True)
class Folder:
    """A directory, made for its owner alone if it is not there."""

    path: Path

    def keep(self, name: str, produce: Produce) -> Kept:
        """See `Store`."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        place = self.path / name
        scratch = self.path / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                with suppress(OSError):  # some places that are mounted know no locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                summing = _Summing(file)
                produce(summing)  # type: ignore[arg-type]  # it is written to, and no more
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                digest, size = _sum(file.read)
            if (digest, size) != (summing.digest.hexdigest(), summing.size):
                raise StoreError(f"{self.path} does not give back what was written to it. Look at its disk.")
            scratch.rename(place)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return Kept(str(place), size, digest)

    def names(self) -> list[str]:
        """See `Store`."""
        return sorted(path.name for path in self.path.iterdir()) if self.path.is_dir() else []

    def remove(self, name: str) -> None:
        """See `Store`."""
        (self.path / name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what runs left that were killed: the half of an archive is none. One that lives holds its own."""
        for path in self.path.iterdir():
            if _SCRATCH.fullmatch(path.name):
                with suppress(OSError):
                    _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    except OSError:
        # No locks here: whoever writes has written something for a day.
        if time.time() - os.fstat(descriptor).st_mtime < _DEAD_AFTER_S:
            return
    finally:
        os.close(descriptor)
    path.unlink()


def _sum(read: Callable[[int], bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := read(_BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


class Bucket:
    """s3://BUCKET/PREFIX. `client` is boto3's."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket = client, bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def keep(self, name: str, produce: Produce) -> Kept:
        """See `Store`. Uploaded in parts while it is made; what is broken off is no object."""
        from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped,unused-ignore]  # it has no types

        self._sweep()
        key = self._prefix + name
        receiving, sending = os.pipe()
        wrong: list[BaseException] = []
        summing: list[_Summing] = []

        def make() -> None:
            with suppress(BrokenPipeError), os.fdopen(sending, "wb") as out:
                summing.append(_Summing(out))
                try:
                    produce(summing[0])  # type: ignore[arg-type]  # the same
                except BaseException as error:
                    wrong.append(error)

        thread = threading.Thread(target=make, daemon=True)
        with os.fdopen(receiving, "rb") as source:
            thread.start()
            limits = TransferConfig(multipart_threshold=8 * 2**20, multipart_chunksize=8 * 2**20, max_concurrency=2)
            try:
                self._client.upload_fileobj(_Failing(source, thread, wrong), self._bucket, key, Config=limits)
            except BaseException as error:
                source.close()
                thread.join()
                raise wrong[0] if wrong else self._error(error, f"cannot keep {name}") from None
        try:
            digest, size = _sum(self.open(name).read)
            if (digest, size) != (summing[0].digest.hexdigest(), summing[0].size):
                raise StoreError(f"{S3}{self._bucket} does not give back what was sent to it.")
        except BaseException:
            # Nobody has seen it whole, so it must not count as one when the oldest go.
            with suppress(StoreError):
                self.remove(name)
            raise
        return Kept(f"{S3}{self._bucket}/{key}", size, digest)

    def names(self) -> list[str]:
        """See `Store`."""
        found = []
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                found += [str(entry["Key"])[len(self._prefix) :] for entry in page.get("Contents", [])]
        except Exception as error:
            raise self._error(error, "cannot be listed") from None
        return sorted(name for name in found if "/" not in name)

    def remove(self, name: str) -> None:
        """See `Store`."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)
        except Exception as error:
            raise self._error(error, f"cannot remove {name}") from None

    def open(self, name: str) -> Any:
        """Return the object as a stream; what breaks off is a StoreError."""
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"]
        except Exception as error:
            raise self._error(error, f"cannot give {name}") from None
        return _Body(body, lambda error: self._error(error, f"broke off while it gave {name}"))

    def _sweep(self) -> None:
        """Give up uploads that runs began and were killed in: they are no objects, and are paid for all the same.

        A store that does not list them, or a key that may not, is no reason to make no backup.
        """
        with suppress(Exception):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for upload in page.get("Uploads", []):
                    ours = _NAME.fullmatch(str(upload["Key"])[len(self._prefix) :])
                    if ours and time.time() - upload["Initiated"].timestamp() > _DEAD_AFTER_S:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )

    def _error(self, error: BaseException, what: str) -> BaseException:
        if not isinstance(error, Exception):
            return error
        # Where nothing was answered at all, the client's errors have a response that is None.
        code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code", "")
        advice = {
            "AccessDenied": "The key may not do that there.",
            "NoSuchBucket": "Make the bucket first.",
            "InvalidAccessKeyId": "The store does not know this key.",
            "SignatureDoesNotMatch": "The secret does not belong to the key.",
        }.get(code, "")
        words = f"{type(error).__name__}: {str(error)[:300]}"
        return StoreError(f"{S3}{self._bucket} {what}: {words.rstrip('.')}. {advice}".strip())


class _Body:
    """What a store gives: the errors of its client, which are none of Python's own, become ours."""

    def __init__(self, body: Any, ours: Callable[[Exception], BaseException]) -> None:
        self._body, self._ours = body, ours

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._body.read(None if size < 0 else size))
        except Exception as error:
            raise self._ours(error) from None


class _Failing:
    """A reader that ends with an error where the writer at the other end did."""

    def __init__(self, source: BinaryIO, writer: threading.Thread, wrong: list[BaseException]) -> None:
        self._source, self._writer, self._wrong = source, writer, wrong

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        if size < 0 or len(block) < size:
            self._writer.join()
            if self._wrong:
                raise StoreError("what was to be kept did not come to its end")
        return block


def bucket(words: str, **client: Any) -> Bucket:
    """Return the bucket that s3://BUCKET/PREFIX names; `client` goes to boto3, whose own ways find key and region.

    Raises:
        StoreError: it names none, or boto3 is not here.
    """
    name, _, prefix = words[len(S3) :].partition("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        raise StoreError(f"{words} names no bucket: give s3://BUCKET/PREFIX.")
    try:
        import boto3
        from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # it has no types
    except ImportError:
        raise StoreError("boto3 is missing here, which speaks to S3: apt-get install python3-boto3") from None
    limits: dict[str, Any] = {"connect_timeout": 20, "read_timeout": 60, "retries": {"max_attempts": 5}}
    # Newer clients send sums that only Amazon's own store understands, unless they are told not to.
    plain: dict[str, Any] = {
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    try:
        config = Config(**limits, **plain)
    except TypeError:
        config = Config(**limits)
    try:
        return Bucket(boto3.client("s3", config=config, **client), name, prefix)
    except Exception as error:
        raise StoreError(f"{words}: {type(error).__name__}: {str(error)[:200]}") from None
