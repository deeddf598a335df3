"""Releases of a host, asked for and changed by /opt/ai/bin/ai-stack there: no Ansible, no network but the SSH session.

A change is a process of its own on the host. This side only looks on, and takes up a connection that was lost.
"""

from __future__ import annotations

import json
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from ai_services.console import Screen
from ai_services.exits import BLOCKED, FAILED, OperatorError
from ai_services.host import stack_tool
from ai_services.host.remote import CommandError, LateError, LostError, Remote
from ai_services.host.ssh_errors import NotYetError
from ai_services.host.target import Target

# Where it is put on a host that has none: releases of 0.1 were deployed without it.
_SENT: Final = "/run/ai-services/ai-stack"
_ANSWER_S: Final = 90.0
# A lost connection is tried again for so long: a machine that restarts is back by then.
_PATIENCE_S: Final = 600.0
_PAUSE_S: Final = 2.0
_TELL_EVERY_S: Final = 60.0
# What each change tells there, by the name that we gave it, and how long the host may take to begin one.
_TOLD: Final = "/run/ai-services/changes"
_BEGINS_S: Final = 120.0
_LOCKED: Final = 4

Line = dict[str, Any]


class NothingThereError(OperatorError):
    """Nothing of ours is deployed on the host."""


class KilledError(OperatorError):
    """A change ended without a word of how: it was killed, or its host was started anew."""


class Releases:
    """The releases on `target`, which lets us in. One session serves for all that is asked; `close` ends it."""

    def __init__(self, target: Target, screen: Screen) -> None:
        self.target = target
        self.screen = screen
        self._tool = ""
        self._remote: Remote | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; the next question opens one anew."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None

    def history(self, lines: int = 20) -> dict[str, Any]:
        """Return `releases` (oldest first), `journal` and `back` (where a rollback goes, or None).

        Raises:
            OperatorError: the host cannot be reached, or bears nothing of ours.
        """
        return self._ask(["history", "--json", "--lines", str(lines)])

    def record(self) -> dict[str, Any]:
        """Return release.json of the release that serves: version, settings, images and more.

        Raises:
            OperatorError: the host cannot be reached, or the record cannot be read.
        """
        done = self._session().run("cat /opt/ai/current/release.json", root=True)
        try:
            found: dict[str, Any] = json.loads(done.text)
        except ValueError:
            raise OperatorError(
                f"The record of the release on {self.target} cannot be read: {done.reason}",
                hint=f"See what is wrong there: ./ai doctor {self.target}",
                exit_code=BLOCKED,
            ) from None
        return found

    def change(self, words: Sequence[str], told: Callable[[Line], None]) -> Line:
        """Carry out `activate …` or `rollback …`; `told` gets each line as it comes. Returns the last: how it ended.

        Raises:
            OperatorError: it was refused, somebody else is at work, or the host was lost for too long.
        """
        run = secrets.token_hex(6)
        try:
            self._ask([*words, "--detach", "--run", run, "--json"])
        except (LostError, LateError) as error:
            # Asked for once more, a rollback that had begun would go forward again.
            if not self._has_begun(run):
                raise OperatorError(
                    f"{error.message} Whether the change has begun there is not known.",
                    hint=f"See what came of it before you try again: ./ai history {self.target}",
                    exit_code=BLOCKED,
                ) from None
        return self._follow(run, told)

    def wait_for_orphan(self) -> None:
        """Where a change is at work whose operator is gone, wait for its end: it is nobody's any more, and not in vain.

        Raises:
            OperatorError: the host was lost for too long.
        """
        # As a first look by ssh itself: most hosts have nothing to wait for, and bare ones have nothing at all.
        look = f"test ! -x {stack_tool.PLACE} || /usr/bin/python3 -I {stack_tool.PLACE} running --json"
        try:
            found = json.loads(self.target.run(self.target.as_root(look), timeout_s=_ANSWER_S).stdout)
        except ValueError:
            return
        if not found.get("run") or not found.get("orphan"):
            return
        self._tool = stack_tool.PLACE
        owner = found.get("owner") or {}
        who = f"{owner.get('user', 'somebody')} on {owner.get('host', 'another machine')}"
        self.screen.warn(
            f"What {who} began at {found.get('since')} ({found.get('why')}) is still at work; waiting for it."
        )
        try:
            end = self._follow(str(found["run"]), self._say)
        except KilledError as error:
            self.screen.warn(error.message)
        else:
            if end["end"] != "done":
                self.screen.warn(f"It did not work: {end.get('message')}")

    def _say(self, line: Line) -> None:
        if "say" in line:
            self.screen.say(f"  {line['say']}")

    def _session(self) -> Remote:
        if self._remote is None:
            self._remote = Remote.open(self.target, self.screen)
        return self._remote

    def _has_begun(self, run: str) -> bool:
        """Whether a change has begun on a host that was lost when it was asked for."""
        self.screen.warn(f"The connection to {self.target} is gone. Looking whether the change has begun there.")
        lost_at = time.monotonic()
        seen_at: float | None = None
        while time.monotonic() - (seen_at or lost_at) < (_BEGINS_S if seen_at else _PATIENCE_S):
            try:
                if self._session().run(f"test -e {_TOLD}/{run}.jsonl", root=True).status == 0:
                    return True
                seen_at = seen_at or time.monotonic()
            except (LostError, LateError, NotYetError):
                self.close()
            time.sleep(_PAUSE_S)
        return False

    def _follow(self, run: str, told: Callable[[Line], None]) -> Line:
        seen, ends_at, tell_at = 0, time.monotonic() + _PATIENCE_S, 0.0
        while True:
            try:
                remote = self._session()
                for text in remote.lines(f"{self._command(remote)} follow {run} --json --seen {seen}", root=True):
                    line = _line(text)
                    if "end" in line:
                        return line
                    if line:
                        seen += 1
                        ends_at, tell_at = time.monotonic() + _PATIENCE_S, 0.0
                        told(line)
            except CommandError as error:
                raise KilledError(f"{self.target}: {error.done.reason}", exit_code=FAILED) from None
            except (LostError, NotYetError) as error:
                self.close()
                if time.monotonic() >= ends_at:
                    raise OperatorError(
                        f"{self.target} was lost in the middle of the change, and has not come back. {error.message}",
                        hint=f"The change goes on there by itself. What came of it: ./ai history {self.target}",
                        exit_code=BLOCKED,
                    ) from None
                if time.monotonic() >= tell_at:
                    left_s = ends_at - time.monotonic()
                    self.screen.warn(
                        f"The connection to {self.target} is gone; the change goes on there. "
                        f"Trying again for {left_s:.0f} s."
                    )
                    tell_at = time.monotonic() + _TELL_EVERY_S
                time.sleep(_PAUSE_S)
            else:
                raise KilledError(f"{self.target} tells nothing more of the change.", exit_code=FAILED)

    def _ask(self, words: Sequence[str]) -> dict[str, Any]:
        remote = self._session()
        done = remote.run(f"{self._command(remote)} {shlex.join(words)}", root=True, timeout_s=_ANSWER_S)
        try:
            said = json.loads(done.text)
        except ValueError:
            raise OperatorError(f"{self.target} answers no JSON: {done.reason}", exit_code=FAILED) from None
        if said.get("end") == "failed":
            code = BLOCKED if said.get("code") in (2, _LOCKED) else FAILED
            raise OperatorError(str(said["message"]), exit_code=code)
        found: dict[str, Any] = said
        return found

    def _command(self, remote: Remote) -> str:
        if not self._tool:
            look = f"test -x {stack_tool.PLACE} && echo there; test -e /opt/ai/current && echo deployed"
            found = remote.run(look, root=True).text.split()
            if "deployed" not in found:
                raise NothingThereError(
                    f"Nothing is deployed on {self.target}.", hint=f"./ai deploy {self.target}", exit_code=BLOCKED
                )
            if "there" not in found:
                remote.run("mkdir -p /run/ai-services", root=True)
                remote.put(stack_tool.content(), _SENT, 0o755, root=True)
            self._tool = stack_tool.PLACE if "there" in found else _SENT
        return f"/usr/bin/python3 -I {self._tool}"


def _line(text: str) -> Line:
    """Return what the host told in a line; empty for what is not the tool's."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
