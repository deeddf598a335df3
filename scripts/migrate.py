#!/usr/bin/env python3
"""Make an existing Whisper host ours: `scripts/migrate.py IP [OPTION …]`, the same as `./ai migrate IP [OPTION …]`.

Only Python itself is needed here: `./ai` sets up everything else on its first call.
"""

import os
import sys
from pathlib import Path

AI = Path(__file__).resolve().parent.parent / "ai"

if __name__ == "__main__":
    os.execv(AI, [str(AI), "migrate", *sys.argv[1:]])  # noqa: S606 -- our own program, with what was given to us
