"""What a migration is going to do: values that the report shows, `--json` prints and `carry_out` follows."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ai_services.host.plan_types import Note

if TYPE_CHECKING:
    from pydantic import TypeAdapter

StepName = Literal[
    "look", "plan", "lock", "backup", "prepare", "beside", "front", "certificate", "whisper", "ollama", "verify",
    "retire",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step in the journal's word, in a person's words, and whether anybody waits meanwhile."""

    name: StepName
    words: str
    waits: bool = False


@dataclass(frozen=True)
class FileChange:
    """A file that will differ: None as `before` means new, as `after` removed; not `exact`: about so.

    `was`: the file whose place it takes, where that is another.
    """

    path: str
    before: str | None
    after: str | None
    exact: bool = True
    was: str = ""

    def diff(self) -> str:
        """Return the change as a unified diff."""
        before = (self.before or "").splitlines(keepends=True)
        after = (self.after or "").splitlines(keepends=True)
        old = "/dev/null" if self.before is None else self.was or self.path
        new = "/dev/null" if self.after is None else self.path
        lines = difflib.unified_diff(before, after, old, new)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True)
class Listener:
    """A door of the old API that stays open: `port`, the names it answered to, its certificate (paths on the host).

    `takes_over` tells how nginx comes to the port: "site" (an nginx site that is ours from then on), "redirect" (the
    old service itself listens: new connections are redirected, later nginx binds the port), "proxy" (another proxy
    keeps the port and hands requests to us).
    """

    port: int
    names: tuple[str, ...] = ()
    certificate: str | None = None
    key: str | None = None
    takes_over: Literal["site", "redirect", "proxy"] = "site"

    def as_setting(self) -> str:
        """Return it as one entry of `ai_old_api_listeners`."""
        tls = f" certificate={self.certificate} key={self.key}" if self.certificate else ""
        return " ".join([str(self.port), *self.names]) + tls


@dataclass(frozen=True)
class Waiting:
    """How long callers wait, at the longest, and how that was come by (seconds)."""

    low_s: float
    high_s: float
    how: str


@dataclass(frozen=True)
class Room:
    """Disk room for all that is brought before anything stops (MiB). `parts` add up to `need_mib`."""

    mount: str
    need_mib: int
    free_mib: int | None
    parts: Mapping[str, int] = field(default_factory=dict)
    could_free: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_enough(self) -> bool:
        """Whether it fits; what cannot be seen counts as enough."""
        return self.free_mib is None or self.free_mib >= self.need_mib


@dataclass(frozen=True)
class MigrationPlan:
    """All of it. `settings` are the values that were found and not given (`ai_old_api`, `ai_domain`, …), by name.

    `wanted` is the host's own plan (`ai_services.host.plan.Plan.as_dict`). While there is a refusal nothing is changed.
    `ends` are routes of the old service that nothing answers afterwards; `keep_files` is what a backup saves, `retire`
    names what is stopped and kept until `--finalize`; `adopted` has, by setting, the host's file that it is a copy of.
    """

    service: str
    settings: Mapping[str, Any]
    reasons: Mapping[str, str]
    steps: tuple[Step, ...]
    files: tuple[FileChange, ...] = ()
    listeners: tuple[Listener, ...] = ()
    stays: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    rollback: tuple[str, ...] = ()
    keep_files: tuple[str, ...] = ()
    retire: tuple[str, ...] = ()
    waiting: Waiting | None = None
    room: Room | None = None
    refusals: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()
    wanted: Mapping[str, Any] = field(default_factory=dict)
    adopted: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, each file's change as a diff too; `MigrationPlan.read` makes the same of it."""
        content = asdict(self)
        for entry, change in zip(content["files"], self.files, strict=True):
            entry["diff"] = change.diff()
        return content

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> MigrationPlan:
        """Return what `as_dict` gave, checked. Raises pydantic's ValidationError where it is something else."""
        return _adapter().validate_python(content)


@cache
def _adapter() -> TypeAdapter[MigrationPlan]:
    from pydantic import TypeAdapter

    return TypeAdapter(MigrationPlan)
