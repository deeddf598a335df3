"""Agreement of a person at the terminal, before something that cannot be taken back."""

from __future__ import annotations

import sys

from ai_services.exits import USAGE, OperatorError


def agree(wanted: str, question: str, done: str) -> None:
    """Ask `question`; go on only if the answer is `wanted`. `done` completes "nothing was …".

    Raises:
        OperatorError: the answer was another one, or nobody is there.
    """
    if not is_somebody_there():
        raise OperatorError(
            f"Nobody is here to agree; nothing was {done}.", hint="Agree in advance: --yes", exit_code=USAGE
        )
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != wanted:
        raise OperatorError(f"Not agreed; nothing was {done}.", exit_code=USAGE)


def is_somebody_there() -> bool:
    """Tell whether a person can answer a question."""
    return sys.stdin.isatty()
