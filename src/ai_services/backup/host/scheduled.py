"""The backup that a host makes by itself: collected, sealed by Debian's `age`, kept, recorded. See role `backup`."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, NoReturn

from ai_services.backup.host import record, store
from ai_services.backup.host.archive import ArchiveError
from ai_services.backup.host.certificates import CertificateError
from ai_services.backup.host.collect import Collected, CollectError, collect
from ai_services.backup.host.docker import DockerError
from ai_services.backup.host.services import DeclarationError
from ai_services.backup.host.store import Folder, Kept, Store, StoreError, doomed, name_of
from ai_services.backup.host.writer import write

FOLDER = Path("/opt/ai/backup")
# Held by whoever changes this host; what it has in the middle of that is nobody's host.
RUN_LOCK = Path("/run/ai-services/lock")
_WAIT_S, _LOOK_EVERY_S = 3600.0, 1.0
_BLOCK_BYTES = 2**18
_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
EXPECTED = (ArchiveError, CertificateError, CollectError, DeclarationError, DockerError, StoreError, OSError)


class SealError(StoreError):
    """`age` is not here, or did not like a recipient; the message has its words."""


def run(folder: Path = FOLDER) -> Kept:
    """Make one backup and keep it, and note how that went.

    Raises:
        Exception: mostly one of EXPECTED; noted as well, whatever it is.
    """
    try:
        plan = _plan(folder)
        with _alone(folder):
            wait_for_quiet(_WAIT_S)
            found = collect({})
            place = _place(plan)
            name = name_of(found.manifest)
            kept = place.keep(name, lambda out: _seal(found, folder / "recipients", out))
            made = {"ok": True, "id": found.manifest.id, "where": kept.where, "bytes": kept.size, "next": next_due()}
            record.note({"made": made})
            _remove_oldest(place, name, int(plan["keep"]))
    except Exception as error:
        with suppress(OSError):
            record.note({"made": {"ok": False, "detail": words(error), "where": ""}})
        raise
    return kept


def next_due() -> str:
    """Return when the timer makes the next one, as `record.utc_now` writes times; empty where it does not say."""
    asked = ["systemctl", "show", "ai-backup.timer", "--property=NextElapseUSecRealtime", "--value", "--timestamp=utc"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False, env=_PLAIN).stdout
        return record.written(datetime.strptime(f"{said.strip()} +0000", "%a %Y-%m-%d %H:%M:%S UTC %z"))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""


def _remove_oldest(place: Store, newest: str, keep: int) -> None:
    try:
        for old in doomed(place.names(), newest, keep):
            place.remove(old)
    except (OSError, StoreError) as error:
        raise StoreError(f"{newest} is made and kept, and the oldest cannot be removed: {words(error)}") from None


def stop_with_words() -> None:
    """Have a run that is told to stop end like one that fails: nothing half-made is kept, and it is noted."""

    def stop(*_: object) -> NoReturn:
        raise CollectError("It was told to stop before it was done: somebody did, or it took longer than its unit may.")

    signal.signal(signal.SIGTERM, stop)


def note_the_killed(environment: Mapping[str, str]) -> None:
    """Note a run that could not do it itself, by what systemd tells after the end of a unit (systemd.exec(5))."""
    if environment.get("EXIT_CODE") in ("killed", "dumped"):
        detail = f"It was ended by {environment.get('EXIT_STATUS', '?')} ({environment.get('SERVICE_RESULT', '?')})"
        record.note({"made": {"ok": False, "detail": detail, "where": ""}})


def attempt(folder: Path = FOLDER) -> None:
    """Do everything but keeping it. Raises as `run` does."""
    _plan(folder)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  (no file)
        _seal(collect({}), folder / "recipients", nowhere)


def words(error: BaseException) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _plan(folder: Path) -> dict[str, Any]:
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        plan["to"], plan["keep"]
        if not (folder / "recipients").read_text(encoding="utf-8").strip():
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise CollectError(
            "This host makes no backups by itself: nobody is named who could open them (ai_backup_recipients)."
        ) from None
    return dict(plan)


def _place(plan: dict[str, Any]) -> Store:
    to = str(plan["to"])
    if to.startswith(store.S3):
        return store.bucket(to, **({"endpoint_url": plan["endpoint"]} if plan.get("endpoint") else {}))
    return Folder(Path(to))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of backups, so that two do not remove each other's."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise CollectError("Another backup is being made.") from None
    try:
        yield
    finally:
        os.close(descriptor)


def wait_for_quiet(wait_s: float, vain: str = "no backup was made") -> None:
    """Wait until nobody changes this host, but no longer than that; `vain` says what was not done then.

    Raises:
        CollectError: somebody still does.
    """
    until = time.monotonic() + wait_s
    while _is_locked():
        if time.monotonic() > until:
            raise CollectError(f"Somebody has been changing this host for {wait_s:.0f} s and more: {vain}.")
        time.sleep(_LOOK_EVERY_S)


def _is_locked() -> bool:
    try:
        descriptor = os.open(RUN_LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _seal(found: Collected, recipients: Path, out: BinaryIO) -> None:
    """Write the archive through `age` to `out`.

    Raises:
        SealError: `age` failed.
        DockerError: a service's command did.
    """
    wrong: list[BaseException] = []
    with tempfile.TemporaryFile() as errors:
        process = thread = None
        try:
            with _told_to_stop_later():
                process = _age(recipients, errors)
            thread = threading.Thread(target=_feed, args=(found, process, wrong), daemon=True)
            thread.start()
            assert process.stdout is not None  # noqa: S101  (asked for in _age)
            while block := process.stdout.read(_BLOCK_BYTES):
                out.write(block)
            thread.join()
            status = process.wait()
        except BaseException:
            if process:
                process.kill()
            raise
        finally:
            if thread and thread.ident:
                thread.join()
            if process:
                with process:
                    pass
        errors.seek(0)
        said = " ".join(errors.read(4096).decode("utf-8", "replace").split())
    if wrong and not isinstance(wrong[0], BrokenPipeError):
        raise wrong[0]
    if status != 0 or wrong:
        raise SealError(f"`age` failed ({status}): {said[:400]}")


def _age(recipients: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["age", "--encrypt", "--recipients-file", str(recipients)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    except OSError:
        raise SealError("`age` is not on this host, which seals backups: apt-get install age") from None


@contextmanager
def _told_to_stop_later() -> Iterator[None]:
    """Have SIGTERM wait: in the middle of starting a process, it would leave one that nobody knows."""
    stop = signal.getsignal(signal.SIGTERM)
    came: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
        for number in came:
            signal.raise_signal(number)


def _feed(found: Collected, process: subprocess.Popen[bytes], wrong: list[BaseException]) -> None:
    assert process.stdin is not None  # noqa: S101  (asked for above)
    try:
        write(process.stdin, found.manifest, found.contents, found.open_stream)  # type: ignore[arg-type]  # a BinaryIO
        process.stdin.close()
    except BaseException as error:
        wrong.append(error)
        # Half an archive must not become a whole file.
        process.kill()
        with suppress(OSError):
            process.stdin.close()
