"""Tells a run of Terraform: what is being made and for how long, and the deploys in their own words as they come."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

from rich.markup import escape
from rich.status import Status

from ai_services.console import Screen
from ai_services.host.phases import HEARTBEAT_S, duration
from ai_services.terraform.things import Thing, of_address

_DOING: Final = {"create": "making", "update": "changing", "delete": "destroying", "read": "reading"}
_DONE: Final = {"create": "made", "update": "changed", "delete": "destroyed"}
# What Terraform says in the place of a step's output that may hold a secret.
_SUPPRESSED: Final = "(output suppressed"
# What it warns of when only the guards are changed, which is meant.
_EXPECTED: Final = ("Resource targeting is in effect", "Applied changes may be incomplete")
# `./ai deploy` says with this mark that a long step goes on.
_GOES_ON: Final = "  … "
# What its end says, which is said at the end of all.
_END: Final = ("URL      ", "API key  ", "Log      ", "Done in ")
# What `./ai destroy` shows before it begins; it was shown before anybody was asked.
_SHOWN: Final = re.compile(r"On \S+ this will go:|and this stays:|  [-+] ")


class Story:
    """Takes Terraform's events as they come, shows them, and keeps what an error needs.

    `things` are the plan's, by address; `now` gives seconds since the epoch.
    """

    def __init__(
        self, screen: Screen, words: str, things: dict[str, Thing] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.diagnostics: list[dict[str, Any]] = []
        # Address of a resource -> what its provisioner printed, line by line.
        self.said: dict[str, list[str]] = {}
        self.done = 0
        self._screen, self._things, self._now = screen, things or {}, now
        # Address -> what is going on, and since when; None where that is said already.
        self._running: dict[str, tuple[str, float | None]] = {}
        self._several = len({thing.host for thing in self._things.values() if thing.host}) > 1
        self._words, self._begun, self._last_line = words, now(), now()
        self._status: Status | None = screen.console.status(escape(words)) if screen.live else None
        if self._status:
            self._status.start()

    def take(self, event: dict[str, Any]) -> None:
        """Take one event."""
        kind = event.get("type")
        if kind == "diagnostic":
            self._diagnostic(event.get("diagnostic") or {})
        elif kind == "init_output" or kind == "text":
            self._init(str(event.get("@message", "")))
        elif isinstance(kind, str) and (handler := getattr(self, f"_on_{kind}", None)):
            handler(event.get("hook") or {})

    def tick(self) -> None:
        """Show that what is at hand goes on."""
        doing = self.doing
        if self._status:
            self._status.update(f"{escape(doing or self._words)} [dim]{duration(self._now() - self._begun)}[/dim]")
        # A deploy says by itself that it goes on.
        elif (
            doing
            and not any(self._tells_itself(address) for address in self._running)
            and self._now() - self._last_line >= HEARTBEAT_S
        ):
            self._say(f"  … {doing}")

    def close(self) -> None:
        """Show nothing more."""
        if self._status:
            self._status.stop()
            self._status = None

    @property
    def doing(self) -> str:
        """What is going on: "making the virtual machine gpu-1 (12 s)", or nothing."""
        return ", ".join(
            what if since is None else f"{what} ({duration(self._now() - since)})"
            for what, since in self._running.values()
        )

    def say(self, text: str) -> None:
        """Print a line of somebody else's beside all this."""
        self._say(text)

    def _on_apply_start(self, hook: dict[str, Any]) -> None:
        thing = self._thing(hook)
        if self._is_news(thing, hook):
            doing = "clearing" if thing.is_note else _DOING.get(str(hook.get("action")), "at")
            what = f"{doing} {self._name(thing)}"
            self._running[thing.address] = (what, self._now())

    def _on_apply_complete(self, hook: dict[str, Any]) -> None:
        self._end(hook, "")

    def _on_apply_errored(self, hook: dict[str, Any]) -> None:
        self._end(hook, "failed")

    def _on_provision_progress(self, hook: dict[str, Any]) -> None:
        thing, line = self._thing(hook), str(hook.get("output", "")).rstrip()
        if line.startswith((_SUPPRESSED, "Executing: ")):
            return
        self.said.setdefault(thing.address, []).append(line)
        if self._status and line.startswith(_GOES_ON):
            self._running[thing.address] = (f"{self._name(thing)}: {line.strip(' …')}", None)
            return
        if line and not line.startswith(_END) and not (thing.is_note and _SHOWN.match(line)):
            self._say(f"  {f'{thing.host} │ ' if self._several else ''}{line}".rstrip())

    def _end(self, hook: dict[str, Any], how: str) -> None:
        thing = self._thing(hook)
        self._running.pop(thing.address, None)
        if not how and not self._is_news(thing, hook):
            return
        seconds = duration(float(hook.get("elapsed_seconds") or 0))
        name = self._name(thing)
        if how:
            self._screen.console.print(f"[red]✘[/red] {escape(name)} [dim]{seconds}[/dim]")
        else:
            self.done += 1
            done = _DONE.get(str(hook.get("action")), "done")
            done = "deployed" if thing.is_deployment else "cleared" if thing.is_note else done
            self._screen.done(f"{name}: {done}, {seconds}")
        self._last_line = self._now()

    def _diagnostic(self, diagnostic: dict[str, Any]) -> None:
        if diagnostic.get("severity") == "warning":
            if str(diagnostic.get("summary")) not in _EXPECTED:
                self._screen.warn(" ".join(filter(None, (diagnostic.get("summary"), diagnostic.get("detail")))))
        else:
            self.diagnostics.append(diagnostic)

    def _init(self, line: str) -> None:
        # Of a page of advice, what is being downloaded is news; and an error without a form.
        text = line.strip().lstrip("-│╷╵ ").strip()
        if text.startswith(("Installing ", "Downloading ")):
            self._say(f"  {text.rstrip('.')}")
        elif text.startswith("Error: "):
            self.diagnostics.append({"severity": "error", "summary": text.removeprefix("Error: "), "detail": ""})
        elif self.diagnostics and line.startswith("│") and text:
            self.diagnostics[-1]["detail"] = f"{self.diagnostics[-1].get('detail', '')} {text}".strip()

    def _is_news(self, thing: Thing, hook: dict[str, Any]) -> bool:
        # A deployment that is "replaced" is first taken out of the state; on the host nothing happens then.
        forgotten = thing.is_deployment and hook.get("action") == "delete"
        noted = thing.is_note and hook.get("action") != "delete"
        return not (thing.is_guard or noted or forgotten or hook.get("action") == "read")

    def _tells_itself(self, address: str) -> bool:
        thing = self._thing_at(address)
        return thing.is_deployment or thing.is_note

    def _thing(self, hook: dict[str, Any]) -> Thing:
        return self._thing_at(str((hook.get("resource") or {}).get("addr", "")))

    def _thing_at(self, address: str) -> Thing:
        return self._things.get(address) or of_address(address)

    def _name(self, thing: Thing) -> str:
        return f"{thing.host}: {thing}" if thing.host and self._several else str(thing)

    def _say(self, text: str) -> None:
        self._last_line = self._now()
        self._screen.say(text)
