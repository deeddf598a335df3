"""What the local stack holds in memory at rest, process by process; with and without what holds a model."""

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from support.stack import running

from ai_services.local.proof import sample
from bench import machine
from bench.door import Door
from bench.report import Bound, Measurement

LIMIT_MB = 300
# Processes that exist for a model and end with it, by what stands in their command line.
_HOLDS_A_MODEL = ("whisper_api.engine_process", "ai_services.local.llama_server")
_ROLES = {
    "whisper_api.engine_process": "whisper-api: engine, with tiny.en",
    "whisper_api.decoder_process": "whisper-api: decoder",
    "whisper_api": "whisper-api",
    "ai_services.local.llama_server": "llm: llama.cpp, with Gemma 3 270M",
    "gateway": "gateway",
    "supervisor.supervisord": "supervisord",
}


@dataclass(frozen=True)
class Share:
    """One process: resident and proportional set size in MB (10^6 bytes)."""

    role: str
    holds_model: bool
    rss_mb: float
    pss_mb: float


def measure(rest_s: float) -> Measurement:
    """Start a stack, use it once, leave it alone for ``rest_s``, and look. Linux only (proportional set size)."""
    with running() as stack:
        door = Door(stack)
        door.transcribe(sample().file)
        door.ask("What is the capital of France?")
        time.sleep(rest_s)
        shares = sorted((_share(process) for process in stack.processes()), key=lambda s: s.role)
    return _measurement(shares, rest_s)


def _share(process: psutil.Process) -> Share:
    command = process.cmdline()
    module = command[command.index("-m") + 1] if "-m" in command else Path(command[0]).name
    memory = process.memory_full_info()
    return Share(_ROLES.get(module, module), module in _HOLDS_A_MODEL, memory.rss / 1e6, memory.pss / 1e6)


def _measurement(shares: list[Share], rest_s: float) -> Measurement:
    without = [share for share in shares if not share.holds_model]
    models = [share for share in shares if share.holds_model]
    rows = [_row(share.role, [share]) for share in without]
    rows.append(_row("**all without models**", without))
    rows += [_row(share.role, [share]) for share in models]
    rows.append(_row("everything", shares))
    resident_mb = sum(share.rss_mb for share in without)
    bound = Bound(
        "memory: the whole stack at rest, without its models",
        f"{resident_mb:.0f} MB",
        f"≤ {LIMIT_MB} MB",
        resident_mb <= LIMIT_MB,
    )
    notes = [
        f"After one transcription and one chat, {rest_s:g} s later. The bound counts resident memory, in which what "
        "processes share is counted once for each; the proportional figures divide it among them.",
    ]
    return Measurement(["process", "resident", "proportional"], rows, [bound], machine.facts(), notes)


def _row(name: str, shares: list[Share]) -> list[str]:
    return [name, f"{sum(s.rss_mb for s in shares):.0f} MB", f"{sum(s.pss_mb for s in shares):.0f} MB"]
