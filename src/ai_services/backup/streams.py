"""What goes to a host beside its deployment: an archive as a stream, and models that were there by hand."""

from __future__ import annotations

import shlex
from typing import BinaryIO, Final

from ai_services.console import Screen
from ai_services.host.target import Target

_BLOCK_BYTES: Final = 2**18
_PULL_TIMEOUT_S: Final = 6 * 3600


def copy(source: BinaryIO, out: BinaryIO) -> None:
    """Copy all of `source`. Raises what either of them does."""
    while block := source.read(_BLOCK_BYTES):
        out.write(block)
    out.flush()


def pull(target: Target, models: list[str], screen: Screen) -> None:
    """Have the host's Ollama fetch models; one that cannot be had is said, and no more."""
    for name in models:
        with screen.busy(f"Fetching {name}"):
            command = shlex.join(["docker", "exec", "ollama", "ollama", "pull", name])
            done = target.run(target.as_root(command), timeout_s=_PULL_TIMEOUT_S)
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or ["it said nothing"]
            screen.warn(f"The model {name} cannot be fetched: {words[-1]}")
        else:
            screen.done(f"{name} is fetched.")
