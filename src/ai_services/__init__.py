"""The operator: `ai` and everything it does on this machine and, later, on hosts."""

from typing import Final

__version__: Final = "0.2.0"
