"""Where the speech model runs and in which number format, and whether it and the language model fit the cards together.

Sizes are data with their sources (`model_memory.json`), all in MiB. A model that is not in the data is estimated from
the number of parameters in its name; an estimate warns and never refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from ai_services.host.gpu_table import ctranslate2_runs_on, parse_capability, table
from ai_services.host.plan_types import Facts, Gpu, Models, Notes, Settings, Whisper

_ON_CPU: Final = ("int8", "int8_float32", "int16", "float32")
# On two cores `small` keeps up with speech, larger ones fall behind (docs/performance.md).
CPU_FALLBACK_MODEL: Final = "small"


@dataclass(frozen=True)
class Size:
    """What a model takes: memory with a usual and with a short context, and disk. `known`: from the table."""

    gpu_mib: int
    least_mib: int
    disk_mib: int
    known: bool


@cache
def sizes() -> dict[str, Any]:
    """Return the sizes of models, images and services (MiB), with their sources."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("model_memory.json").read_text(encoding="utf-8"))
    return loaded


def llm_size(name: str) -> Size:
    """Return the size of a model of Ollama's library; unknown names by their parameters (`:7b`), else as one of 7b."""
    data = sizes()
    plain = name.removesuffix(":latest")
    row = data["llm"].get(plain) or data["llm"].get(re.sub(r"-(?:instruct|it)\b.*$", "", plain))
    if row:
        return Size(row["gpu_mib"], row.get("least_mib", row["gpu_mib"]), row["disk_mib"], known=True)
    found = re.search(r"[:\-](\d+(?:\.\d+)?)(b|m)\b", name.lower())
    billions = 7.0 if found is None else float(found.group(1)) / (1 if found.group(2) == "b" else 1000)
    rule = data["llm_by_parameters"]
    gpu = round(rule["gpu_mib_base"] + billions * rule["gpu_mib_per_billion"])
    return Size(gpu, gpu, round(billions * rule["disk_mib_per_billion"]), known=False)


def whisper_size(name: str, compute_type: str = "float16", device: str = "cuda") -> Size:
    """Return the size of a speech model in this number format; unknown names as the largest."""
    data = sizes()
    plain = re.sub(r"^.*/(?:faster-)?(?:whisper-)?", "", name)
    plain = data["whisper_same_size"].get(plain, plain.removesuffix(".en"))
    row = data["whisper"].get(plain) or data["whisper"]["large-v3"]
    width = data["whisper_bytes_per_parameter"][compute_type]
    weights = row["parameters_million"] * 1e6 * width / 2**20
    need = round(weights * data["whisper_factor"] + data["whisper_base_mib"][device])
    return Size(need, need, row["float16_disk_mib"], known=plain in data["whisper"])


def place_whisper(settings: Settings, gpus: Sequence[Gpu], notes: Notes) -> Whisper:
    """Return where the speech model runs; note a format or a card on which it cannot."""
    model = str(settings.get("ai_whisper_model", "large-v3-turbo"))
    wish = str(settings.get("ai_whisper_compute_type", "auto"))
    able = [gpu for gpu in gpus if gpu.card.capability is None or ctranslate2_runs_on(gpu.card.capability)]
    if not able:
        if gpus:
            _say_left_out(gpus[0], model, notes)
        return _on_cpu(model, wish, gpus, notes)
    best = max(able, key=lambda gpu: (gpu.card.memory_mib or 0, gpu.card.capability or (0, 0)))
    can = compute_types(best)
    if wish != "auto" and wish not in can:
        notes.refuse(
            "compute_type", f"ai_whisper_compute_type={wish} does not run on the {best.card.name}.",
            f"Its compute capability is {best.card.capability_text}; it runs {', '.join(can)}.",
            f"Set ai_whisper_compute_type={can[0]} (or auto).",
        )  # fmt: skip
        wish = "auto"
    chosen = can[0] if wish == "auto" else wish
    return Whisper(model, "cuda", chosen, "cuda", whisper_size(model, chosen).gpu_mib, best.address)


def compute_types(gpu: Gpu) -> tuple[str, ...]:
    """Return the number formats that CTranslate2 runs on a card, the one to choose first."""
    rules = table()["ctranslate2"]
    capability = gpu.card.capability
    if capability is None:
        return ("float32",)
    if capability >= parse_capability(rules["float16_from"]):
        eight = ("bfloat16", "int8_bfloat16") if capability >= (8, 0) else ()
        return ("float16", "int8_float16", "int8", "int8_float32", "float32", *eight)
    if capability >= parse_capability(rules["int8_from"]) and gpu.card.capability_text not in rules["int8_not"]:
        return ("int8_float32", "int8", "float32")
    return ("float32",)


def _say_left_out(gpu: Gpu, model: str, notes: Notes) -> None:
    notes.warn(
        "whisper_on_cpu",
        f"Whisper ({model}) runs on the CPU; the {gpu.card.name} serves the language model alone.",
        f"The CTranslate2 packages hold no code for compute capability {gpu.card.capability_text} "
        f"(oldest: {table()['ctranslate2']['compiled'][1]} among cards).",
        f"Fast enough on few cores: ai_whisper_model={CPU_FALLBACK_MODEL}. For speech on this card: an image of your "
        "own (ai_whisper_api_image) with CTranslate2 3.24, or built with CUDA_ARCH_LIST=5.2 on CUDA 12. Or a card "
        "from Pascal on.",
    )


def _on_cpu(model: str, wish: str, gpus: Sequence[Gpu], notes: Notes) -> Whisper:
    if wish not in ("auto", *_ON_CPU):
        where = f" (the {gpus[0].card.name} cannot run Whisper)" if gpus else ""
        notes.refuse(
            "compute_type", f"ai_whisper_compute_type={wish} does not run on a CPU, where Whisper is placed{where}.",
            f"A CPU runs {', '.join(_ON_CPU)}.", "Set ai_whisper_compute_type=int8 (or auto).",
        )  # fmt: skip
        wish = "auto"
    chosen = "int8" if wish == "auto" else wish
    return Whisper(model, "cpu", chosen, "cpu", whisper_size(model, chosen, "cpu").gpu_mib)


def usable_mib(facts: Facts, gpu: Gpu) -> int | None:
    """Return what engines can have of a card's memory: what the driver says, else the nominal less 7 %."""
    told = (facts.get("nvidia") or {}).get("memory_mib")
    if isinstance(told, dict) and isinstance(told.get(gpu.address), int):
        return int(told[gpu.address])
    return None if gpu.card.memory_mib is None else gpu.card.memory_mib * (100 - sizes()["reserve_percent"]) // 100


def fit(facts: Facts, settings: Settings, gpus: Sequence[Gpu], whisper: Whisper, notes: Notes) -> Models:
    """Tell whether the chosen models fit the cards: together, one after the other, or not at all."""
    llm = str(settings.get("ai_ollama_model", "qwen2.5:3b"))
    size = llm_size(llm)
    if not gpus:
        return Models("on the CPU", llm, size.least_mib, None, f"{llm} and {whisper.model} run on the CPU.")
    rooms = [usable_mib(facts, gpu) for gpu in gpus]
    known = [room for room in rooms if room is not None]
    if not known:
        notes.warn(
            "memory_unknown", f"How much memory the {gpus[0].card.name} has is not known before its driver runs.",
            f"{llm} takes about {size.gpu_mib} MiB, Whisper {whisper.need_mib} MiB.",
            "Look at `./ai doctor HOST` after the deployment; it says whether everything is on the card.",
        )  # fmt: skip
        return Models("unknown", llm, size.gpu_mib, None, f"Whether {llm} fits is seen when the driver runs.")
    best, total = max(known), sum(known)
    speech = whisper.need_mib if whisper.device == "cuda" else 0
    return _verdict(llm, size, speech, best, total, len(known), whisper, notes)


def _verdict(
    llm: str, size: Size, speech: int, best: int, total: int, cards: int, whisper: Whisper, notes: Notes
) -> Models:
    if max(size.least_mib, speech) > best and not (size.least_mib <= total and speech <= best):
        return _too_large(llm, size, speech, best, total, whisper, notes)
    second = cards > 1 and (size.gpu_mib + speech <= total)
    if size.gpu_mib + speech <= best or second:
        verdict = "fits together"
        sentence = f"{llm} ({size.gpu_mib} MiB)" + (
            f" and Whisper ({speech} MiB) fit into {total} MiB together." if speech else f" fits into {total} MiB."
        )
    elif size.gpu_mib <= total:
        verdict = "time-shared"
        sentence = (
            f"{llm} ({size.gpu_mib} MiB) and Whisper ({speech} MiB) do not fit into {total} MiB at once; they take "
            "turns, and the first request after a turn waits for its model."
        )
    else:
        verdict = "tight"
        sentence = (
            f"{llm} takes {size.gpu_mib} MiB with a long context and {size.least_mib} MiB with a short one; "
            f"{total} MiB are there, so only a short one fits, and Whisper takes turns with it."
        )
        notes.warn("tight", sentence, "A long context would push part of the model onto the CPU.",
                   f"ai_ollama_model={nearest_llm(llm, best) or 'qwen2.5:1.5b'} fits with room.")  # fmt: skip
    return Models(verdict, llm, size.gpu_mib, total, sentence)


def _too_large(
    llm: str, size: Size, speech: int, best: int, total: int, whisper: Whisper, notes: Notes
) -> Models:  # fmt: skip
    if speech > best:
        sentence = f"Whisper {whisper.model} takes {speech} MiB, the card has {best} MiB for it."
        nearest = next((name for name in ("medium", "small", "base", "tiny")
                        if whisper_size(name, whisper.compute_type).gpu_mib <= best), None)  # fmt: skip
        notes.refuse("whisper_too_large", sentence, "It would fail to load.",
                     f"Set ai_whisper_model={nearest}." if nearest else "Set ai_accelerator=cpu.")  # fmt: skip
    if size.least_mib > total:
        sentence = f"{llm} takes at least {size.least_mib} MiB, the cards have {total} MiB for it."
        smaller = nearest_llm(llm, best)
        out = f"Set ai_ollama_model={smaller}." if smaller else "Set ai_accelerator=cpu, or use a larger card."
        why = "Part of it would run on the CPU without a word, at a fraction of the speed."
        if size.known:
            notes.refuse("llm_too_large", sentence, why, out)
        else:
            notes.warn("llm_too_large", f"{sentence} (Estimated from its name.)", why, out)
    return Models("does not fit", llm, size.gpu_mib, total, sentence)


def nearest_llm(llm: str, room_mib: int) -> str | None:
    """Return the largest model that fits with room: of the same family if there is one, else of any."""
    rows = sizes()["llm"]
    family = llm.partition(":")[0]
    fitting = [name for name, row in rows.items() if row["gpu_mib"] <= room_mib and name != llm]
    same = [name for name in fitting if name.partition(":")[0] == family and _smaller(rows, name, llm)]
    return max(same or fitting, key=lambda name: (rows[name]["disk_mib"], name), default=None)


def _smaller(rows: dict[str, dict[str, int]], name: str, than: str) -> bool:
    return than not in rows or rows[name]["disk_mib"] < rows[than]["disk_mib"]
