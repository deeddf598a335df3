"""What goes wrong on demand: the n-th request of a kind is answered otherwise, or not at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from terraform.proxmox.refusals import Refused


class Dropped(Exception):  # noqa: N818 - a connection that ends without an answer
    """The connection is closed without an answer."""


Answer = Refused | Dropped | Callable[[], None]


@dataclass
class Fault:
    """Requests `METHOD path` that match `pattern`: after `skip` of them, the next `times` meet `answer`.

    `answer` is a refusal, Dropped, or something to do before the request is handled as ever. `met` counts.
    """

    pattern: str
    answer: Answer
    skip: int = 0
    times: int = 1
    met: int = 0


@dataclass
class Faults:
    """The faults in wait."""

    waiting: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pattern: str, answer: Answer, *, skip: int = 0, times: int = 1) -> Fault:
        """Put a fault in wait."""
        fault = Fault(pattern, answer, skip, times)
        with self.lock:
            self.waiting.append(fault)
        return fault

    def meet(self, method: str, path: str) -> None:
        """Let a request meet the first fault that waits for it."""
        with self.lock:
            for fault in self.waiting:
                if re.fullmatch(fault.pattern, f"{method} {path}") is None:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.met < fault.times:
                    fault.met += 1
                    break
            else:
                return
        if isinstance(fault.answer, Exception):
            raise fault.answer
        fault.answer()
