"""Looks at a host without changing anything: the looking program is sent over, runs from memory and prints JSON."""

from __future__ import annotations

import base64
import json
import re
import shlex
import zlib
from pathlib import Path
from typing import Any, Final

from ai_services.exits import BLOCKED, FAILED, OperatorError
from ai_services.host.remote import Remote
from ai_services.host.target import remote_hint

_TIMEOUT_S: Final = 300.0
_TOO_OLD: Final = 39
_MARKS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PACKAGE: Final = Path(__file__).parent.parent
_SENT: Final = ("__init__.py", "doctor/**/*.py", "migrate/__init__.py", "migrate/on_host/*.py")
# Imports modules from a table: name -> (is it a package, source). Neither a file nor a folder is made for it.
_RUNNER: Final = """
import sys
if sys.version_info < (3, 9):
    sys.exit(TOO_OLD)
import base64, importlib.abc, importlib.util, json, sys, zlib
class Memory(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    table = json.loads(zlib.decompress(base64.b64decode(sys.stdin.buffer.read())))
    def find_spec(self, name, path=None, target=None):
        if name in self.table:
            return importlib.util.spec_from_loader(name, self, is_package=self.table[name][0])
    def exec_module(self, module):
        exec(compile(self.table[module.__name__][1], module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Memory())
from ai_services.migrate.on_host.look import main
main()
"""


def look(remote: Remote, domains: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what `on_host.look.collect` saw, as it came; takes some seconds.

    Raises:
        OperatorError: the host has no Python, sudo asks for a password, or the answer makes no sense.
    """
    # In one line without marks: some login shells take neither line ends nor `!` within quotes.
    runner = base64.b64encode(_RUNNER.replace("TOO_OLD", str(_TOO_OLD)).encode()).decode()
    words = shlex.join(["python3", "-I", "-B", "-c", f'import base64;exec(base64.b64decode("{runner}"))', *domains])
    done = remote.run(words, stdin=bundle(), timeout_s=_TIMEOUT_S, root=True)
    if done.status == 127:
        raise OperatorError(
            f"{remote.target} has no python3.",
            hint="Install it there: sudo apt-get install -y python3",
            exit_code=BLOCKED,
        )
    if done.status == _TOO_OLD:
        raise OperatorError(
            f"The python3 of {remote.target} is older than 3.9, and so is its system: nothing here runs there.",
            hint="Bring the system up to date (Debian 12 or 13, Ubuntu 22.04 or 24.04), and run this again.",
            exit_code=BLOCKED,
        )
    if done.is_cut:
        raise OperatorError(
            f"{remote.target} said more than {len(done.out) >> 20} MiB when it was looked at: none of it is believed.",
            hint="See what is wrong with it: docker ps --all, nginx -T there.",
            exit_code=BLOCKED,
        )
    try:
        seen = clean(json.loads(done.out))
    except (ValueError, RecursionError):
        seen = None
    if done.status or not isinstance(seen, dict):
        raise OperatorError(
            f"Looking at {remote.target} failed: {done.reason[:300]}",
            hint=f"See whether it can run Python: {remote_hint(remote.target, ['python3', '--version'])}",
            exit_code=FAILED,
            detail=done.err.decode(errors="replace")[-3000:],
        )
    return seen


def clean(value: Any) -> Any:
    """Return JSON values without what a terminal would obey and no text can hold: control marks, halves of letters."""
    if isinstance(value, str):
        return _MARKS.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [clean(one) for one in value]
    if isinstance(value, dict):
        return {clean(name): clean(one) for name, one in value.items()}
    return value


def bundle() -> bytes:
    """Return the modules that the host needs, packed: a table of name -> [is a package, source]."""
    table = {}
    for path in sorted({path for pattern in _SENT for path in _PACKAGE.glob(pattern)}):
        parts = ("ai_services", *path.relative_to(_PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        table[".".join(parts[:-1] if is_package else parts)] = [is_package, path.read_text(encoding="utf-8")]
    return base64.b64encode(zlib.compress(json.dumps(table).encode(), 9))
