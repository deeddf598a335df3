"""docs/gpus.md, made from the table: what each architecture gets, and every card in short."""

from __future__ import annotations

from collections.abc import Iterator

from ai_services.host.gpu_table import Card, cards, ctranslate2_runs_on, default_branch, table
from ai_services.host.plan_models import compute_types, llm_size, usable_mib, whisper_size
from ai_services.host.plan_types import Gpu

_NOTES = """\
The default branch is {default}: it drives everything above and gets security fixes until mid-2028. It is pinned before
the driver comes (`nvidia-driver-pinning-{default}`), because a branch in a package's name is no pin. `ai_driver_branch`
takes another one where the card allows it.

- A card older than Maxwell runs nothing here; the host gets a stack on the CPU.
- An id that the table does not have is placed by its range; its memory is unknown until the driver runs.
- Maxwell (Quadro M4000 and its kin): the CTranslate2 packages hold no code for it, so Whisper runs on the CPU and the
  card serves the language model. For speech on such a card bring an image of your own (`ai_whisper_api_image`) with
  CTranslate2 3.24, or built with `CUDA_ARCH_LIST=5.2` on CUDA 12.
- A card from before Turing and one from Blackwell on cannot be driven in one machine: each needs the kernel module that
  does not drive the other.
- Secure Boot: Debian builds the module on the host, unsigned, and is refused; Ubuntu's archive has signed ones.
- Debian's own driver (bookworm 535, trixie 550) is older than what Ollama asks for on cards up to Pascal (570);
  bookworm's is too old for all (550)."""


def render() -> str:
    """Return the whole page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    branches = table()["branches"]
    yield "# Graphics cards"
    yield ""
    yield "<!-- Made by `python -m ai_services.host.documents` from src/ai_services/host/gpus.json; do not edit. -->"
    yield ""
    yield "`./ai deploy HOST --check` reads the PCI ids of a host and says what its cards will run, before anything is"
    yield "installed. This is what it goes by."
    yield ""
    yield "| architecture | compute capability | kernel module | driver branch | Whisper runs on | number format |"
    yield "|---|---|---|---|---|---|"
    yield from _architectures()
    yield ""
    yield from (line.format(default=branches["default"]) for line in _NOTES.splitlines())
    yield ""
    yield "## What fits"
    yield ""
    yield from _sizes()
    yield ""
    yield "## Where the figures come from"
    yield ""
    for column, source in table()["sources"].items():
        yield f"- `{column}`: {source}"
    yield ""
    yield "## Cards"
    yield ""
    yield "Several ids of one name are several boards or revisions. Memory in MiB, the smallest of several."
    yield ""
    yield from _cards()


def _architectures() -> Iterator[str]:
    names = dict.fromkeys(card.architecture for card in cards())
    for name in names:
        members = [card for card in cards() if card.architecture == name]
        for capability in sorted({card.capability for card in members if card.capability}):
            card = next(one for one in members if one.capability == capability and len(one.flavours) == max(
                len(other.flavours) for other in members))  # fmt: skip
            on_gpu = ctranslate2_runs_on(capability)
            chosen = compute_types(Gpu("", "", card, usable=True))[0] if on_gpu else "int8"
            yield (
                f"| {name} | {card.capability_text} | {' or '.join(card.flavours)} | "
                f"{default_branch(card)}{' (the last one)' if card.last_branch else ''} | "
                f"{'the card' if on_gpu else 'the CPU'} | `{chosen}` |"
            )


def _sizes() -> Iterator[str]:
    yield "Memory that a model takes on a card (MiB), and what is said when it is chosen together with Whisper"
    yield "`large-v3-turbo` (`float16`):"
    yield ""
    shown = ("qwen2.5:1.5b", "qwen2.5:3b", "qwen2.5:7b")
    yield "| card | " + " | ".join(f"{name} ({llm_size(name).gpu_mib})" for name in shown) + " |"
    yield "|---|" + "---|" * len(shown)
    speech = whisper_size("large-v3-turbo").gpu_mib
    for memory_mib in (4096, 6144, 8192, 12288, 16384, 24576):
        card = next(one for one in cards() if one.memory_mib == memory_mib and one.architecture == "Ampere")
        room = usable_mib({}, Gpu("", "", card, usable=True)) or 0
        yield f"| {memory_mib // 1024} GiB | " + " | ".join(_verdict(name, speech, room) for name in shown) + " |"


def _verdict(name: str, speech: int, room: int) -> str:
    size = llm_size(name)
    if size.gpu_mib + speech <= room:
        return "together"
    if size.gpu_mib <= room:
        return "take turns"
    return "short context, take turns" if size.least_mib <= room else "does not fit"


def _cards() -> Iterator[str]:
    yield "| name | PCI ids (10de:…) | chip | capability | memory |"
    yield "|---|---|---|---|---|"
    groups: dict[tuple[str, str | None], list[Card]] = {}
    for card in cards():
        groups.setdefault((card.name, card.chip), []).append(card)
    for (name, chip), members in groups.items():
        ids = ", ".join(card.device for card in members)
        first = members[0]
        memory = "not known" if first.memory_mib is None else str(first.memory_mib)
        note = f" ({first.memory_note})" if first.memory_note else ""
        yield f"| {name} | {ids} | {chip} | {first.capability_text} | {memory}{note} |"
