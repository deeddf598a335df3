"""Looks at a host without changing anything: the looking program is sent over, runs from memory and prints JSON."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from pathlib import Path
from typing import Any, Final

from ai_services.exits import BLOCKED, FAILED, OperatorError
from ai_services.host.remote import Remote
from ai_services.host.target import remote_hint

_TIMEOUT_S: Final = 300.0
_PACKAGE: Final = Path(__file__).parent.parent
_SENT: Final = ("__init__.py", "doctor/**/*.py", "migrate/__init__.py", "migrate/on_host/*.py")
# Imports modules from a table: name -> (is it a package, source). Neither a file nor a folder is made for it.
_RUNNER: Final = """
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
    words = shlex.join(["python3", "-I", "-B", "-c", _RUNNER, *domains])
    done = remote.run(words, stdin=bundle(), timeout_s=_TIMEOUT_S, root=True)
    if done.status == 127:
        raise OperatorError(
            f"{remote.target} has no python3.",
            hint="Install it there: sudo apt-get install -y python3",
            exit_code=BLOCKED,
        )
    try:
        seen = json.loads(done.out)
    except ValueError:
        seen = None
    if done.status or not isinstance(seen, dict):
        raise OperatorError(
            f"Looking at {remote.target} failed: {done.reason[:300]}",
            hint=f"See whether it can run Python: {remote_hint(remote.target, ['python3', '--version'])}",
            exit_code=FAILED,
            detail=done.err.decode(errors="replace")[-3000:],
        )
    return seen


def bundle() -> bytes:
    """Return the modules that the host needs, packed: a table of name -> [is a package, source]."""
    table = {}
    for path in sorted({path for pattern in _SENT for path in _PACKAGE.glob(pattern)}):
        parts = ("ai_services", *path.relative_to(_PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        table[".".join(parts[:-1] if is_package else parts)] = [is_package, path.read_text(encoding="utf-8")]
    return base64.b64encode(zlib.compress(json.dumps(table).encode(), 9))
