"""Looks and judges: every observation is made once, side by side with the others, and each check waits for its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ai_services.doctor import (
    observe_containers,
    observe_door,
    observe_log,
    observe_machine,
    observe_ports,
    observe_registry,
    observe_release,
    observe_service,
)
from ai_services.doctor.bounded import Unseen
from ai_services.doctor.checks import checks
from ai_services.doctor.checks.door import domain_of
from ai_services.doctor.facts import OBSERVERS as FACTS
from ai_services.doctor.verdict import Check, Seen, Verdict

# The longest honest look is a model being loaded for the completion.
DEADLINE_S = 300.0

Observer = Callable[[Seen], Any]


def _registry(seen: Seen) -> Any:
    images = {name: str(reference) for name, reference in seen["release"]["images"].items()}
    return observe_registry.registry(images, {row["service"]: row["digests"] for row in seen["containers"]})


def _residency(seen: Seen) -> Any:
    # Before them there may be nothing in memory to judge.
    seen.get("completion")
    seen.get("transcription")
    return observe_service.residency(observe_release.key())


def _completion(seen: Seen) -> Any:
    model = (seen.get("release") or {}).get("settings", {}).get("ai_ollama_model")
    return observe_service.completion(observe_release.key(), str(model) if model else None)


def _alone(observe: Callable[[], Any]) -> Observer:
    return lambda _: observe()


# Those that only look at the host; each may use others by name, never in a circle.
OBSERVERS: Mapping[str, Observer] = {
    **{name: _alone(observe) for name, observe in FACTS.items() if name != "release"},
    "memory": lambda _: observe_machine.memory(),
    "release_state": lambda _: observe_release.state(),
    "release": lambda _: observe_release.release(),
    "files": lambda _: observe_release.files(),
    "secrets": lambda _: observe_release.secrets(),
    "journal": lambda _: observe_release.journal(),
    "lock": lambda _: observe_release.lock(),
    "backup": lambda _: observe_release.backup(),
    "kernel_log": lambda _: observe_log.kernel_log(),
    "containers": lambda _: observe_containers.containers(),
    "docker_config": lambda _: observe_containers.docker_config(),
    "cuda": lambda _: observe_containers.cuda(),
    "units": lambda _: observe_door.units(),
    "nginx": lambda _: observe_door.nginx(),
    "firewall": lambda _: observe_door.firewall(),
    "unattended": lambda _: observe_door.unattended(),
    "certificate": lambda seen: observe_door.certificate(domain_of(seen)),
    "renewal": lambda seen: observe_door.renewal(domain_of(seen)),
    "domain_addresses": lambda seen: observe_ports.resolve(domain_of(seen)),
    "gateway": lambda _: observe_service.gateway(),
    "takeover": lambda _: observe_service.takeover(),
    "keyless": lambda _: observe_service.keyless(),
    "transcription": lambda _: observe_service.transcription(observe_release.key()),
    "completion": _completion,
    "residency": _residency,
    "registry": _registry,
    "registry_offset_s": lambda seen: seen["registry"]["offset_s"],
}


class Observatory:
    """Makes each observation once, in a thread of its own; who asks waits until it is made, or too late.

    With `eager` all are begun at once, else each when it is first asked for: one check must not cost a transcription.
    """

    def __init__(
        self, observers: Mapping[str, Observer], deadline_s: float = DEADLINE_S, *, eager: bool = True
    ) -> None:
        self._observers = observers
        self._until = time.monotonic() + deadline_s
        self._deadline_s = deadline_s
        self._done = {name: threading.Event() for name in observers}
        self._begun: set[str] = set()
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {}
        self.seen = Seen(self._look)
        for name in observers if eager else ():
            self._begin(name)

    def _begin(self, name: str) -> None:
        with self._lock:
            if name in self._begun:
                return
            self._begun.add(name)
        threading.Thread(target=self._observe, args=(name, self._observers[name]), daemon=True).start()

    def _observe(self, name: str, observe: Observer) -> None:
        try:
            self._values[name] = observe(self.seen)
        except Unseen as error:
            self._values[name] = error
        except Exception as error:  # garbage on the host must cost one observation, not all of them
            self._values[name] = Unseen(f"the doctor stumbled: {type(error).__name__}: {str(error)[:200]}")
        finally:
            self._done[name].set()

    def _look(self, name: str) -> Any:
        if name not in self._done:
            raise Unseen(f"{name} is not looked at here")
        self._begin(name)
        if not self._done[name].wait(max(0.0, self._until - time.monotonic())):
            raise Unseen(f"no answer in {self._deadline_s:.0f} s")
        value = self._values[name]
        if isinstance(value, Unseen):
            raise Unseen(str(value))
        return value


def examine(names: set[str] | None = None, deadline_s: float = DEADLINE_S) -> Iterator[tuple[Check, Verdict]]:
    """Yield each check with its verdict, in the order in which they are shown, as soon as it is known."""
    seen = Observatory(OBSERVERS, deadline_s, eager=names is None).seen
    for check in checks():
        if names is None or check.name in names:
            yield check, check(seen)
