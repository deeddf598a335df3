"""docs/doctor.md, made from the checks themselves: `python -m ai_services.doctor.manual docs/doctor.md`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from ai_services.doctor.checks import GROUPS, checks
from ai_services.doctor.verdict import EXIT_CODES, FAILED, NOTHING_DEPLOYED, OK, WARNING, Check
from ai_services.doctor.xid import UNKNOWN, XIDS
from ai_services.local import checkup

_HEAD = f"""<!-- Made by `python -m ai_services.doctor.manual docs/doctor.md` from the checks. -->
# Doctor

```bash
./ai doctor HOST            # a host, seen from inside (over SSH) and from here
./ai doctor HOST --fix      # the same, and do what is safe
./ai doctor                 # the stack that ./ai up started on this machine
sudo /opt/ai/bin/doctor     # on the host itself; needs nothing but its python3
```

One line a check: its name, a verdict, what was seen, and beneath it how to mend it. `--json` prints all of it as one
object, `--only NAME` asks for one check. Nothing is changed without `--fix`, and nothing secret is ever printed: no
key, no transcript, no answer of a model.

| verdict | means |
|---|---|
| `ok` | looked at, and well |
| `warning` | it works, but somebody should look at it |
| `failed` | something does not work, or is open that must not be |
| `skipped` | there was nothing to judge, or it could not be seen; the reason is in the line |

The exit code says the worst: {EXIT_CODES[OK]} all well (or skipped), {EXIT_CODES[WARNING]} warnings,
{EXIT_CODES[FAILED]} something failed, {NOTHING_DEPLOYED} nothing is deployed there, 2 wrong command line,
5 the host cannot be reached.

The first transcription and the first completion may have to load their models; everything else takes seconds.
Whatever hangs is left behind after its time: a check then says so, and the others go on.

## What `--fix` does

It starts stopped containers and units of ours (never Docker itself), enables the renewal timer, loads the firewall
again, reloads nginx after `nginx -t`, closes secrets to group and others, makes the renewal hook executable, and
removes a `lock.json` that nobody holds. Each is told, and the check is made again. Everything else is a decision, and
yours.

## On a host

`sudo` matters: without root some things cannot be seen, and are skipped.
"""

_OUTSIDE = """
## From outside

`./ai doctor HOST` adds what is seen from the machine it is called on. An own authority is taken from `ai_extra_ca_file`
in `ai.yml` (or `--config`).

| check | looks whether |
|---|---|
| `outside-clock` | this machine's clock and the host's agree (warning from 5 s, failed from 60 s) |
| `outside-name` | the domain leads to the host, as this machine resolves it |
| `outside-tls` | the certificate is trusted here, has the name, and is not about to end |
| `outside-http` | plain HTTP is sent on to HTTPS |
| `outside-health` | the gateway's `/health` answers through nginx, all backends well |
| `outside-keys` | every route asks for a key |
| `outside-ports` | the inner services' ports are closed |

A check that is well inside and failed here points at what lies between: DNS, a firewall on the way, a proxy.
"""

_XID_HEAD = """
## Xid errors

What NVIDIA's driver writes into the kernel log, in plain words. Source: NVIDIA's "XID Errors"
(<https://docs.nvidia.com/deploy/xid-errors/>). Grave: the GPU does not work again until somebody acts.

| Xid | means | what to do | grave |
|---|---|---|---|
"""


def manual() -> str:
    """Return the page."""
    parts = [_HEAD]
    for group in GROUPS:
        parts.append(f"\n### {group.capitalize()}\n")
        parts += [_section(check) for check in checks() if check.group == group]
    parts.append(_OUTSIDE)
    parts.append("\n## The local stack\n")
    parts += [_section(check) for check in checkup.checks()]
    rows = [(str(code), known) for code, known in sorted(XIDS.items())] + [("other", UNKNOWN)]
    parts.append(_XID_HEAD)
    parts += [f"| {code} | {row.meaning} | {row.todo} | {'yes' if row.grave else 'no'} |\n" for code, row in rows]
    return "".join(parts)


def _section(check: Check) -> str:
    return f"\n**{check.name}** — {inspect.cleandoc(check.meaning)}\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual(), encoding="utf-8")
