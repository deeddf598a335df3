"""`ai-backup`: on a host, as root. Sent by ./ai for one call, or installed by the role `backup`.

collect           write an archive to standard output, in the clear; {"given": {…}} comes on standard input
lay-out RUN       read an archive from standard input and lay its keys and certificates out for the roles
drop [RUN]        forget what was laid out (by that run)
take NAME RUN     put what that run laid out (secrets, letsencrypt) to its place
streams           read an archive from standard input and give each service what it saved
run               what the timer does: collect, seal, keep, remove the oldest, note how it went
ended             note that the timer's run was killed, if it was
try               the same without keeping it
record            note in /opt/ai/backup.json what comes as JSON on standard input
look              say as JSON what serves here, by its sums, or which keys an earlier host has left
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ai_services.backup.host import layout, places, record, scheduled
from ai_services.backup.host.collect import NothingThereError, collect
from ai_services.backup.host.writer import write

_ROOT = Path("/")
# The lock of a run whose machine is gone is free after a minute.
_WAIT_S = 90.0


def _collect() -> None:
    asked = json.loads(sys.stdin.buffer.read() or b"{}")
    scheduled.wait_for_quiet(_WAIT_S)
    found = collect(asked.get("given") or {})
    write(sys.stdout.buffer, found.manifest, found.contents, found.open_stream)


def _lay_out() -> None:
    # The roles call it by its name there, also after a reboot.
    scheduled.wait_for_quiet(_WAIT_S, "nothing was laid out")
    layout.lay_out(sys.stdin.buffer, _ROOT / places.RESTORE, sys.argv[2], Path(__file__).parents[3])


def _drop() -> None:
    layout.drop(_ROOT, sys.argv[2] if len(sys.argv) > 2 else None)


def _take() -> None:
    for line in layout.take(sys.argv[2], sys.argv[3], _ROOT):
        _say(line)


def _streams() -> None:
    layout.streams(sys.stdin.buffer, _ROOT, _say)


def _record() -> None:
    record.note(json.loads(sys.stdin.buffer.read()))


def _look() -> None:
    try:
        manifest = collect({}, streams=False).manifest.to_json()
    except NothingThereError:
        manifest = None
    kept = [path.name for path in places.regular_files(_ROOT / places.SECRETS)]
    _say(json.dumps({"manifest": manifest, "kept": kept}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _run() -> None:
    scheduled.stop_with_words()
    kept = scheduled.run()
    _say(f"{kept.where}: {kept.size} bytes, sha256 {kept.sha256}")


COMMANDS: dict[str, Callable[[], None]] = {
    "collect": _collect,
    "lay-out": _lay_out,
    "drop": _drop,
    "run": _run,
    "try": scheduled.attempt,
    "ended": lambda: scheduled.note_the_killed(os.environ),
    "take": _take,
    "streams": _streams,
    "record": _record,
    "look": _look,
}


def main() -> None:
    """Do what the first word says; errors go to standard error as one line."""
    os.umask(0o077)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if wanted not in COMMANDS:
        sys.exit(__doc__)
    try:
        COMMANDS[wanted]()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except (*scheduled.EXPECTED, layout.OtherRunError) as error:
        sys.exit(scheduled.words(error))
