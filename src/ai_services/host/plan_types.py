"""The words of a plan: what is refused, what is warned of, what will be done. Shapes only, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ai_services.host.gpu_table import Card

Facts = Mapping[str, Any]
Settings = Mapping[str, Any]
Accelerator = Literal["nvidia", "cpu"]
Reboot = Literal["no", "maybe", "needed"]


@dataclass(frozen=True)
class Note:
    """One thing to tell: a short `code` for programs, then what is so, why it matters, and the nearest way out."""

    code: str
    what: str
    why: str
    nearest: str


@dataclass
class Notes:
    """Refusals (nothing is changed while there is one) and warnings, in the order in which they were found."""

    refusals: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)

    def refuse(self, code: str, what: str, why: str, nearest: str) -> None:
        """Add a refusal."""
        self.refusals.append(Note(code, what, why, nearest))

    def warn(self, code: str, what: str, why: str, nearest: str) -> None:
        """Add a warning."""
        self.warnings.append(Note(code, what, why, nearest))


@dataclass(frozen=True)
class Gpu:
    """A card in its slot. `driver` is the kernel driver bound to it ("" if none); `usable` with the `reason` if not."""

    address: str
    driver: str
    card: Card
    usable: bool
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "address": self.address,
            "device": self.card.device,
            "name": self.card.name,
            "architecture": self.card.architecture,
            "capability": self.card.capability_text,
            "memory_mib": self.card.memory_mib,
            "known": self.card.known,
            "usable": self.usable,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Driver:
    """The driver that the host is to have.

    `wanted`: the role installs it; `keep`: a working one is there and stays. `repository` is the name of the
    distribution in NVIDIA's repository paths; `pin` and `packages` are installed in this order.
    """

    wanted: bool = False
    keep: bool = False
    branch: int | None = None
    source: Literal["nvidia", "distribution", "none"] = "none"
    flavour: Literal["open", "proprietary"] | None = None
    repository: str = ""
    pin: str | None = None
    packages: tuple[str, ...] = ()
    reboot: Reboot = "no"


@dataclass(frozen=True)
class Whisper:
    """Where and how the speech model runs. `gpu` is the address of its card, None on the CPU."""

    model: str
    device: Literal["cuda", "cpu"]
    compute_type: str
    image_variant: Literal["cuda", "cpu"]
    need_mib: int
    gpu: str | None = None


@dataclass(frozen=True)
class Models:
    """Whether the chosen models fit.

    `verdict` is one of "fits together", "time-shared", "tight", "does not fit", "unknown", "on the CPU".
    """

    verdict: str
    llm: str
    llm_mib: int
    usable_mib: int | None
    sentence: str


@dataclass(frozen=True)
class Plan:
    """All of it; `as_dict` is what Ansible's roles get as `ai_plan`."""

    accelerator: Accelerator
    gpus: tuple[Gpu, ...]
    driver: Driver
    whisper: Whisper
    models: Models
    gpu_mode: Literal["cdi", "reservation", "none"]
    local: bool
    refusals: tuple[Note, ...]
    warnings: tuple[Note, ...]
    plan: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "accelerator": self.accelerator,
            "gpus": [gpu.as_dict() for gpu in self.gpus],
            "driver": {**asdict(self.driver), "packages": list(self.driver.packages)},
            "whisper": asdict(self.whisper),
            "models": asdict(self.models),
            "gpu_mode": self.gpu_mode,
            "local": self.local,
            "compute_type": self.whisper.compute_type,
            "whisper_image_variant": self.whisper.image_variant,
            "refusals": [asdict(note) for note in self.refusals],
            "warnings": [asdict(note) for note in self.warnings],
            "plan": list(self.plan),
        }
