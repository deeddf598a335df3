"""JSON for scripts."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(content: Any) -> None:
    """Write `content` to stdout, indented, as UTF-8."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
