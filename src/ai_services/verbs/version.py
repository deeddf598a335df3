"""`ai version`."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from ai_services import __version__
from ai_services.exits import OK
from ai_services.verbs.output import print_json


def run(*, as_json: bool = False) -> int:
    """Print the version, and with `as_json` what it runs on."""
    if as_json:
        print_json(
            {
                "version": __version__,
                "python": platform.python_version(),
                "executable": sys.executable,
                "checkout": str(Path(__file__).resolve().parents[3]),
                "platform": platform.platform(),
            }
        )
    else:
        sys.stdout.write(f"ai-services {__version__}\n")
    return OK
