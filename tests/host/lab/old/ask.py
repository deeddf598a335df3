"""`python -m host.lab.old.ask URL API [CA]`: ask an old API for all that is recorded of it; prints what is otherwise.

To be run with the lab's names: python -m host.lab exec -- .venv/bin/python -m host.lab.old.ask …
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from host.lab.old import locally, recorded


def main() -> int:
    """Answer 0 when every recorded request gets the recorded answer."""
    url, api, *authority = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        caller = locally.caller(url, Path(folder))
    caller.verify = authority[0] if authority else True
    wrong = [f"{case}: {one}" for case in recorded.cases(api) for one in caller.differences(case)]
    print("\n".join(wrong) or f"{url} answers {len(recorded.cases(api))} recorded requests as recorded")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
