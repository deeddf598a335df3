"""Whether a model has room on this machine: on its disk before a download, in its memory before a start."""

from __future__ import annotations

import shutil
from pathlib import Path

from ai_services.exits import BLOCKED, OperatorError
from ai_services.models.resolve import Reference

# Left beside a model for logs, temp files and the system itself.
_SPARE_MIB = 512


def require_space(directory: Path, size_mib: int, name: str) -> None:
    """Make sure that `size_mib` fit on the disk of `directory`, with something to spare.

    Raises:
        OperatorError: they do not.
    """
    free_mib = shutil.disk_usage(directory).free >> 20
    if free_mib < size_mib + _SPARE_MIB:
        raise OperatorError(
            f"{name} needs {size_mib + _SPARE_MIB} MiB on the disk of {directory}; {free_mib} MiB are free.",
            hint="Free some space, or put the stack elsewhere: AI_HOME=/path/with/space ./ai up",
            exit_code=BLOCKED,
        )


def require_memory(references: list[Reference], *, available_mib: int | None = None) -> None:
    """Make sure that the models fit into the memory that this machine has free.

    Raises:
        OperatorError: together they need more than is available.
    """
    if available_mib is None:
        import psutil

        available_mib = psutil.virtual_memory().available >> 20
    needed = sum(reference.memory_mib for reference in references)
    if needed > available_mib:
        parts = ", ".join(f"{reference.name} {reference.memory_mib} MiB" for reference in references)
        raise OperatorError(
            f"The models need {needed} MiB of memory ({parts}); {available_mib} MiB are available.",
            hint="End other programs or choose smaller models: ./ai up --whisper-model tiny.en --llm gemma3:270m",
            exit_code=BLOCKED,
        )
