"""The doctor over SSH: its one file is sent, its lines come back as they are found, then the host is seen from here."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ai_services.doctor.bundle import build
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import ssh_errors, verify
from ai_services.host.target import Target

# Longer than the doctor gives itself for everything (examine.DEADLINE_S), twice with --fix.
_TOTAL_S: Final = 330.0
# The file arrives on standard input, and is gone again whatever happens.
_REMOTE: Final = (
    'f=$(mktemp) && trap \'rm -f "$f"\' EXIT HUP TERM && cat >"$f" && python3 -I "$f" check --lines {options}'
)
GROUP: Final = "outside"
# What is looked at from here of all that `verify` knows: the rest needs the host's key, and the host looks itself.
LOOKS: Final = {
    "name": "outside-name",
    "certificate": "outside-tls",
    "plain HTTP is sent to HTTPS": "outside-http",
    "/health": "outside-health",
    "keys are asked for": "outside-keys",
    "inner ports are closed": "outside-ports",
}
CLOCK: Final = "outside-clock"
CLOCK_WARNING_S, CLOCK_FAILED_S = 5, 60


@dataclass(frozen=True)
class Found:
    """What the host said: `begin` ({"utc", "settings"}), a `check` row, or a `fixed` note."""

    kind: str
    content: dict[str, Any]


def inside(target: Target, *, fix: bool, only: Sequence[str] = ()) -> Iterator[Found]:
    """Run the doctor on the host and yield what it says, as it comes.

    Raises:
        OperatorError: SSH broke, the host went silent, or its Python could not run the doctor.
    """
    options = [*(["--fix"] if fix else []), *(word for name in only for word in ("--only", name))]
    command = target.command(target.as_root(_REMOTE.format(options=shlex.join(options))))
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        watchdog = threading.Timer(_TOTAL_S * (2 if fix else 1), process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            _send(process)
            ended = False
            for found in _lines(process):
                ended = ended or found.kind == "report"
                yield found
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
        code = process.wait()
        errors.seek(0)
        said = errors.read(65536).decode("utf-8", "replace").strip()
    if ended:
        return
    if code == 255 and not target.is_local:
        raise ssh_errors.explain(said, target)
    raise OperatorError(
        f"The doctor did not come to its end on {target} (exit code {code}).",
        detail=said[-2000:],
        hint=f"Try it there: ssh {target} sudo /opt/ai/bin/doctor",
        exit_code=BLOCKED,
    )


def _send(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101  # asked for above
    with tempfile.TemporaryDirectory() as directory:
        content = build(Path(directory) / "doctor.pyz").read_bytes()
    try:
        process.stdin.write(content)
        process.stdin.close()
    except BrokenPipeError:
        pass  # why it ended is in its exit code and its errors


def _lines(process: subprocess.Popen[bytes]) -> Iterator[Found]:
    assert process.stdout is not None  # noqa: S101  # asked for above
    for line in process.stdout:
        try:
            found = json.loads(line)
        except ValueError:
            continue  # a greeting of the login shell
        if isinstance(found, dict):
            for kind, content in found.items():
                if isinstance(content, dict):
                    yield Found(kind, content)


def outside(settings: Mapping[str, Any], address: str, only: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield rows of what is seen from this machine: name, TLS, plain HTTP, health, keys, closed ports.

    `settings` are the release's, with the operator's own authorities; `address` is the host as it was named. `only`
    names rows; none means all.
    """
    if not settings.get("ai_tls"):
        return
    wanted = {look for look, name in LOOKS.items() if not only or name in only}
    for found in verify.look(settings, address=address, key="", plan={}, only=wanted):
        yield row(LOOKS[found.name], "ok" if found.ok else "failed", found.detail, "" if found.ok else found.hint)


def clock(utc: str) -> dict[str, Any]:
    """Return the row that compares the host's clock, as just heard, with this machine's."""
    try:
        offset_s = (datetime.fromisoformat(utc) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return row(CLOCK, "skipped", "the host did not tell its time", "")
    way = "ahead of" if offset_s > 0 else "behind"
    said = f"{abs(offset_s):.1f} s {way} this machine's clock"
    state = "failed" if abs(offset_s) > CLOCK_FAILED_S else "warning" if abs(offset_s) > CLOCK_WARNING_S else "ok"
    return row(CLOCK, state, said, "" if state == "ok" else "See which is wrong: `timedatectl` on both")


def row(name: str, state: str, seen: str, mend: str) -> dict[str, Any]:
    """Return one row as the doctor's own are."""
    from ai_services.doctor.report import clean

    mend = mend or ("" if state in ("ok", "skipped") else "Compare with what the host itself says above")
    return {
        "name": name,
        "group": GROUP,
        "state": state,
        "ok": state in ("ok", "skipped"),
        "seen": clean(seen),
        "mend": clean(mend),
        "fixable": [],
    }
