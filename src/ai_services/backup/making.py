"""Makes an archive of a host: its own words are checked while they stream past, sealed, kept, and read back."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ai_services.backup.host.archive import ArchiveError, Manifest
from ai_services.backup.host.reader import events
from ai_services.backup.host.store import Folder, Kept, Store, StoreError, doomed, name_of
from ai_services.backup.onhost import Call
from ai_services.backup.sealing import Seal, seal
from ai_services.console import Advance
from ai_services.exits import OperatorError
from ai_services.host.target import Target


@dataclass(frozen=True)
class Made:
    """An archive that was made, where it is kept, the names of those that went for it, and why one did not."""

    manifest: Manifest
    kept: Kept
    removed: list[str]
    sealed: Seal
    not_removed: str = ""


def make(
    target: Target,
    store: Store,
    to: Callable[[Manifest], Seal],
    given: Mapping[str, Any],
    keep: int,
    advance: Advance,
) -> Made:
    """Back up the host.

    `to` decides by what the host says of itself to whom it is sealed, `given` are the operator's public settings,
    `keep` is how many archives of the host stay (0: all).

    Raises:
        OperatorError: the host said why it cannot be, or what it said is no archive. Nothing is kept then.
        StoreError: it could not be kept.
    """
    call = Call(target, "collect")
    checked = _Checked(call, advance)
    try:
        call.send(json.dumps({"given": dict(given)}).encode())
        manifest = checked.manifest()
        sealed = to(manifest)
        # By the name that its operator gives it: a host that claims another's name must not push out the other's.
        name = name_of(manifest, manifest.host if target.is_local else target.host)
        kept = store.keep(name, lambda out: seal(checked, out, sealed))
    except BaseException:
        call.kill()
        checked.close()
        raise
    removed: list[str] = []
    try:
        for old in doomed(store.names(), name, keep):
            store.remove(old)
            removed.append(old)
    except (StoreError, OSError) as error:
        return Made(manifest, kept, removed, sealed, not_removed=str(error))
    return Made(manifest, kept, removed, sealed)


class _Checked:
    """The archive as the host writes it. Its end comes only when host and check agree that it is whole."""

    def __init__(self, call: Call, advance: Advance) -> None:
        self._call, self._advance = call, advance
        self._done = 0
        self._ahead = b""
        self._manifest: Manifest | None = None
        self._known = threading.Event()
        self._wrong: Exception | None = None
        receiving, sending = os.pipe()
        self._checker = os.fdopen(sending, "wb")
        self._thread = threading.Thread(target=self._check, args=(os.fdopen(receiving, "rb"),), daemon=True)
        self._thread.start()

    def _check(self, source: BinaryIO) -> None:
        with source:
            try:
                for event in events(source):
                    if isinstance(event, Manifest):
                        self._manifest = event
                        self._known.set()
            except (ArchiveError, OSError) as error:
                self._wrong = error
            finally:
                self._known.set()

    def manifest(self) -> Manifest:
        """Read until the host has said what it has, and return that."""
        block = b"more"
        while block and not self._known.is_set():
            block = self._from_host(2**16)
            self._ahead += block
        if not block:
            self.close()
            self._thread.join()
        if self._manifest is not None:
            return self._manifest
        if block:
            self._refuse()
        self._end()
        raise OperatorError("The host did not say what it has.")

    def read(self, size: int = -1) -> bytes:
        """Return more of the archive."""
        if self._ahead:
            block, self._ahead = self._ahead[:size], self._ahead[size:]
            return block
        block = self._from_host(size)
        if not block:
            self._end()
        return block

    def _from_host(self, size: int) -> bytes:
        block = self._call.output.read(size)
        if not block:
            return block
        self._done += len(block)
        self._advance(self._done)
        try:
            self._checker.write(block)
            self._checker.flush()
        except BrokenPipeError:  # it has seen something wrong
            self._refuse()
        return block

    def _refuse(self) -> NoReturn:
        """End a host that would go on talking."""
        self.close()
        self._thread.join()
        self._call.kill()
        raise OperatorError(f"What the host sent is no whole backup, so it was not kept. {self._wrong}")

    def _end(self) -> None:
        self.close()
        self._thread.join()
        self._call.finish()
        if self._wrong is not None:
            self._refuse()

    def close(self) -> None:
        """Let the check end."""
        with suppress(BrokenPipeError, ValueError):
            self._checker.close()


def default_folder(home: Path) -> Folder:
    """Return where archives are kept when nobody says otherwise."""
    return Folder(home / "backups")
