"""The engine: the process that holds the model. It can be killed at any time; the server starts another.

Messages are frames (framing.py) on a socketpair. In: {"op": "transcribe", "id", "path", "options"},
{"op": "cancel", "id"}. Out: {"event": "fetching", "done_bytes", "total_bytes"} while the model comes from the hub,
{"event": "ready", ...}, {"event": "failed_to_load", "message"}, and for a task
{"event": "segment" | "progress" | "done" | "cancelled" | "failed", "id", ...}. One task at a time.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whisper_api import framing, process_guard
from whisper_api.no_reports import NO_REPORTS


def main() -> None:
    """Load the model and work until the server closes the socket."""
    os.environ.update(NO_REPORTS)
    # OpenMP's threads wait by spinning, by default so long that they take the cores from the decoder, the gateway and
    # the language model; a short spin costs nothing measurable on a machine that does nothing else.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    process_guard.die_with_parent(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when this ends
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[2]))
    wanted = json.loads(sys.argv[3])

    def tell(progress: dict[str, Any]) -> None:
        sock.sendall(framing.encode({"event": "fetching", **progress}))

    try:
        recogniser, facts = _load(wanted, tell)
    except Exception as error:  # (whatever it is, the server must hear of it)
        sock.sendall(framing.encode({"event": "failed_to_load", "message": f"{type(error).__name__}: {error}"[:500]}))
        return
    sock.sendall(framing.encode({"event": "ready", **facts}))
    _Worker(sock, recogniser).run()


class _Worker:
    def __init__(self, sock: socket.socket, recogniser: Any) -> None:
        self._sock = sock
        self._recogniser = recogniser
        self._tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled: int = -1  # id of the task to drop; ids only grow

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            self._work(self._tasks.get())

    def _listen(self) -> None:
        while (message := framing.receive(self._sock)) is not None:
            if message["op"] == "cancel":
                self._cancelled = max(self._cancelled, int(message["id"]))
            else:
                self._tasks.put(message)
        os._exit(0)  # the server is gone or wants this process gone; nothing here needs tidying

    def _work(self, task: dict[str, Any]) -> None:
        from whisper_api.recognise import CancelledTaskError, Options

        number = int(task["id"])

        def emit(item: dict[str, Any]) -> None:
            self._send({"event": "progress" if "progress_s" in item else "segment", "id": number, **item})

        try:
            result = self._recogniser.transcribe(
                Path(task["path"]), Options(**task["options"]), emit, lambda: self._cancelled >= number
            )
        except CancelledTaskError:
            self._send({"event": "cancelled", "id": number})
        except Exception as error:  # (one bad task must not end the engine)
            self._send({"event": "failed", "id": number, "message": f"{type(error).__name__}: {error}"[:500]})
        else:
            self._send({"event": "done", "id": number, **result})

    def _send(self, message: dict[str, Any]) -> None:
        self._sock.sendall(framing.encode(message))


def _load(wanted: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> tuple[Any, dict[str, Any]]:
    import ctranslate2
    from faster_whisper import WhisperModel

    from whisper_api.recognise import Recogniser

    model_folder = str(wanted["model"])
    if not Path(model_folder).is_dir():
        model_folder = _fetched(model_folder, tell)

    gpu = bool(wanted["use_gpu"]) and ctranslate2.get_cuda_device_count() > 0
    device = "cuda" if gpu else "cpu"
    compute_type = str(wanted["compute_type"])
    if compute_type == "auto":
        compute_type = _best_compute_type(ctranslate2.get_supported_compute_types(device), gpu)
    threads = int(wanted["cpu_threads"]) or usable_cores()
    batch_size = int(wanted["batch_size"]) or (8 if gpu else 4)
    model = WhisperModel(
        model_folder,
        device=device,
        compute_type=compute_type,
        cpu_threads=threads,
    )
    recogniser = Recogniser(model, beam_size=int(wanted["beam_size"]), batch_size=batch_size)
    recogniser.prove()
    return recogniser, {
        "device": device,
        "compute_type": compute_type,
        "cpu_threads": threads,
        "batch_size": batch_size,
        "multilingual": bool(model.model.is_multilingual),
    }


def _fetched(model: str, tell: Callable[[dict[str, Any]], None]) -> str:
    """The folder of a model that is named, not mounted."""
    # The bars are for people at a terminal; `tell` is for the log.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import constants

    from whisper_api import model_fetch

    home = Path(constants.HF_HOME)
    home.mkdir(parents=True, exist_ok=True)
    return str(model_fetch.present(model, home, tell))


def _best_compute_type(supported: set[str], gpu: bool) -> str:
    """float16 on GPUs that have it, else int8 with float32; int8 on a CPU."""
    for name in ("float16", "int8_float32") if gpu else ("int8",):
        if name in supported:
            return name
    return "default"


def usable_cores() -> int:
    """Cores that this process may keep busy: its affinity, and a container's quota where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, min(cores, round(quota))) if quota else cores


def _quota() -> float | None:
    """Processor quota of the control group in cores (version 2, then 1)."""
    root = Path("/sys/fs/cgroup")
    try:
        most, period = (root / "cpu.max").read_text().split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError):
        pass
    try:
        most_us = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return most_us / period_us if most_us > 0 and period_us > 0 else None


if __name__ == "__main__":
    main()
