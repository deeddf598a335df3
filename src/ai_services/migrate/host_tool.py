"""The host's half of a migration: packed as one file, brought to the host, and called there over one connection."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ai_services.doctor.bundle import pack
from ai_services.exits import BLOCKED, FAILED, OperatorError
from ai_services.host.remote import Remote

_SOURCES: Final = Path(__file__).resolve().parents[3] / "ansible" / "plugins" / "module_utils" / "ai_stack"
_SAMPLE: Final = Path(__file__).resolve().parents[1] / "local" / "sample.ogg"
_MAIN: Final = "from ai_stack.migration.tool import main\n\nmain()\n"
PLACE: Final = "/opt/ai/migration/tool"
_LOCKED: Final = 4
_REFRESH_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.7
_LONGEST_S: Final = 3600.0


class ToolError(OperatorError):
    """A command on the host failed; what served before still does, or the message says what does."""


@dataclass
class HostTool:
    """Calls the tool on the host; `token` names this run to the host's lock."""

    remote: Remote
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    _ended: threading.Event = field(default_factory=threading.Event)
    _taken: LockedError | None = None

    def bring(self) -> None:
        """Put the tool on the host, if it is not there as it is here."""
        # Whether /opt/ai is ours to remove is known only before we make it.
        folder = PLACE.rpartition("/")[0]
        done = self.remote.run(
            # One that is there keeps its mode: the first version's files may lie in it.
            f"[ -d /opt/ai ] && new=0 || new=1; [ $new = 0 ] || install -d -m 0755 /opt/ai; "
            f'install -d -m 0700 {folder} && if [ "$new" = 1 ]; then touch {folder}/.made-root; fi',
            root=True,
        )
        if done.status:
            raise ToolError(f"/opt/ai/migration cannot be made: {done.reason}", exit_code=BLOCKED)
        self.remote.put(content(), PLACE, 0o755, root=True)

    def call(self, command: str, *arguments: str, stdin: bytes = b"", timeout_s: float = 300) -> dict[str, Any]:
        """Run one command and return its answer.

        Raises:
            ToolError: it failed, with its own words; or somebody else is at work.
        """
        # Options first: argparse before Python 3.12 takes no words of a list after one.
        words = ["/usr/bin/python3", "-I", PLACE, "--by", _by(), "--token", self.token, "--", command, *arguments]
        done = self.remote.run(shlex.join(words), stdin=stdin, root=True, timeout_s=timeout_s)
        try:
            answer: dict[str, Any] = json.loads(done.text.strip().split("\n")[-1])
        except (IndexError, ValueError):
            raise ToolError(f"`{command}` on the host failed: {done.reason}", exit_code=FAILED) from None
        if done.status == _LOCKED:
            raise LockedError(str(answer.get("error")), answer.get("holder") or {})
        if done.status:
            raise ToolError(str(answer.get("error")), exit_code=FAILED)
        return answer

    def lock(self, why: str) -> None:
        """Keep every other run out until `release`, or until this process is no more.

        Raises:
            LockedError: somebody else is at work.
        """
        owner = json.dumps(_owner())
        try:
            self.call("lock", why, owner)
        except LockedError as error:
            if not error.is_dead:
                raise
            self.call("lock", why, owner, str(error.holder.get("token")))
        threading.Thread(target=self._refresh, args=(why, owner), daemon=True).start()

    def insist(self) -> None:
        """See that the host is still ours: a machine that slept may have lost it to somebody else.

        Raises:
            LockedError: they are at work.
        """
        if self._taken is not None:
            raise self._taken

    def release(self) -> None:
        """Let others in."""
        self._ended.set()
        try:
            self.call("release")
        except OperatorError:
            return  # it is free by itself a minute after the last sign of life

    def long(self, command: str, say: Callable[[str], None], tick: Callable[[], None]) -> None:
        """Run a command that goes on by itself on the host whatever becomes of us; tell what it says.

        Raises:
            ToolError: it failed.
        """
        self.call("go", command)
        self.follow(command, say, tick)

    def follow(self, command: str, say: Callable[[str], None], tick: Callable[[], None]) -> None:
        """Tell what a long command says up to its end. Raises what it died of, as `long` does."""
        lines: list[str] = []
        ends_at = time.monotonic() + _LONGEST_S
        while time.monotonic() < ends_at:
            answer = self.call("said", command, str(len(lines)))
            lines += answer["lines"]
            for words in filter(None, map(_said, answer["lines"])):
                say(words)
            if not answer["running"]:
                # A boot's settling says nothing here; its words are in the journal.
                failed = None if command == "settle" else _failure(lines)
                if failed is not None:
                    raise ToolError(failed, exit_code=FAILED)
                return
            tick()
            time.sleep(_LOOK_EVERY_S)
        raise ToolError(f"`{command}` on the host did not come to its end within an hour.", exit_code=FAILED)

    def _refresh(self, why: str, owner: str) -> None:
        while not self._ended.wait(_REFRESH_S):
            try:
                if not self.call("refresh")["held"] and not self._ended.is_set():
                    self.call("lock", why, owner)
            except LockedError as error:
                self._taken = error
                return
            except OperatorError:
                continue


class LockedError(ToolError):
    """Somebody else is at work on the host; `holder` says who."""

    def __init__(self, message: str, holder: dict[str, Any]) -> None:
        super().__init__(message, exit_code=BLOCKED)
        self.holder = holder

    @property
    def is_dead(self) -> bool:
        """Whether the holder was a process of this very machine that is no more.

        Two machines may have one name, so only what began since this one's start is known for its own.
        """
        owner = self.holder.get("owner") or {}
        number, _, rest = str(owner.get("pid", "")).partition(":")
        started, _, boot = rest.partition(":")
        if owner.get("host") != socket.gethostname() or not number.isdigit() or not boot or boot != _boot():
            return False
        return started != _started(int(number))


def content() -> bytes:
    """Return the tool's bytes; they depend on its sources alone."""
    entries = {"__main__.py": _MAIN.encode(), "ai_stack/sample.ogg": _SAMPLE.read_bytes()}
    for source in sorted([*_SOURCES.glob("*.py"), *_SOURCES.glob("migration/*.py")]):
        entries[f"ai_stack/{source.relative_to(_SOURCES)}"] = source.read_bytes()
    return pack(entries)


def _read(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(line: str) -> str:
    return str(_read(line).get("say", ""))


def _failure(lines: list[str]) -> str | None:
    """What a long command died of, by all that it said; None when it came to its good end.

    Behind its last word may stand what was done to settle the host, or that this failed.
    """
    answers = [_read(line) for line in lines]
    for answer in answers:
        if answer.get("ok"):
            return None
        if "error" in answer:
            return str(answer["error"])
    settled = [words for answer in answers for words in answer.get("done", [])]
    return f"It was cut off on the host; {'; '.join(settled) or 'what served before still does'}."


def _by() -> str:
    return f"{_owner()['user']}@{socket.gethostname()}"


def _owner() -> dict[str, str]:
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    # As ansible/plugins/action/ai_release.py names its runs, so that either knows when the other is dead.
    pid = os.getpid()
    return {"user": user, "host": socket.gethostname(), "pid": f"{pid}:{_started(pid)}:{_boot()}"}


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
