"""The doctor for the stack on this machine: the same kind of checks, on what `./ai up` starts."""

from __future__ import annotations

import http.client
import shutil
import stat
from collections.abc import Callable, Iterator
from typing import Any

from ai_services.doctor.bounded import Unseen, read
from ai_services.doctor.observe_release import first_key
from ai_services.doctor.verdict import Check, Fix, Seen, Verdict, failed, ok, skipped, warning
from ai_services.exits import OperatorError
from ai_services.local.home import Home
from ai_services.local.proof import ENOUGH, prove
from ai_services.local.state import Stack

GROUP = "local"
FREE_WARNING_MIB, FREE_FAILED_MIB = 2048, 256
MEMORY_WARNING_MIB, MEMORY_FAILED_MIB = 512, 128
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def looks(home: Home) -> dict[str, Callable[[Seen], Any]]:
    """Return the observations of the stack in `home`, for `Observatory`."""
    from ai_services.verbs.status import report

    return {
        "status": lambda _: report(home),
        "stack": lambda _: _stack(home),
        "disk": lambda _: shutil.disk_usage(home.root if home.root.exists() else home.root.anchor).free // 2**20,
        "memory": lambda _: _available_mib(),
        "secrets": lambda _: _loose(home),
        "keyless": lambda seen: _without_key(seen["stack"]),
        "proof": lambda seen: _proof(home, seen["stack"]),
    }


def _stack(home: Home) -> Stack:
    found = Stack.load(home)
    if found is None:
        raise Unseen("nothing is running")
    return found


def _available_mib() -> int:
    import psutil

    return int(psutil.virtual_memory().available // 2**20)


def _loose(home: Home) -> list[dict[str, Any]]:
    directory = home.api_key_file.parent
    found = [directory, *sorted(directory.iterdir())] if directory.is_dir() else []
    return [{"path": str(path), "mode": stat.S_IMODE(path.stat().st_mode)} for path in found]


def _without_key(stack: Stack) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status
    finally:
        connection.close()


def _proof(home: Home, stack: Stack) -> dict[str, Any]:
    try:
        # Read as it is: Home.key would make one, or close it, and whoever looks must not change what is seen.
        found = prove(stack, first_key(read(home.api_key_file)))
    except OperatorError as error:
        return {"why": error.message}
    times = {"transcribe_s": found.transcribe_s, "answer_s": found.answer_s}
    return {"why": "", "match": found.match, "answered": bool(found.answer), "model": stack.llm.model, **times}


def checks() -> list[Check]:
    """Return the checks of a local stack in the order in which they are shown."""
    judges = (components, restarts, door, keys, proof, disk, memory, secrets)
    return [Check(judge.__name__, GROUP, judge) for judge in judges]


def _down(seen: Seen) -> bool:
    return bool(seen["status"]["state"] == "stopped")


_NOT_UP = skipped("nothing is running", "`./ai up`")


def components(seen: Seen) -> Verdict:
    """Does every component run and answer its probe? `./ai logs NAME` shows the last words of one that does not."""
    if _down(seen):
        return _NOT_UP
    found = seen["status"]
    bad = [
        f"{row['name']} is {row['state']}" for row in found["components"] if row["state"] not in ("ready", "starting")
    ]
    if found["supervisor"]["state"] == "lost":
        bad.append("the supervisor is gone: nothing comes back by itself")
    if bad:
        return failed("; ".join(bad), "`./ai logs NAME`, then `./ai restart NAME`, or `./ai down && ./ai up`")
    starting = [row["name"] for row in found["components"] if row["state"] == "starting"]
    if starting:
        return warning(f"still starting: {', '.join(starting)}", "Look again in a moment: `./ai doctor`")
    return ok(
        ", ".join(f"{row['name']} ({row['model']})" if row["model"] else row["name"] for row in found["components"])
    )


def restarts(seen: Seen) -> Verdict:
    """Is a component started again and again? More than three starts within ten minutes are a loop."""
    if _down(seen):
        return _NOT_UP
    rows = seen["status"]["components"]
    loops = [row["name"] for row in rows if row["restarting_often"]]
    if loops:
        return failed(f"again and again in the last ten minutes: {', '.join(loops)}", f"`./ai logs {loops[0]}`")
    return ok(f"{sum(row['restarts'] for row in rows)} since `./ai up`")


def door(seen: Seen) -> Verdict:
    """Is the front door open to this machine only? Any other address lets the network in (plain HTTP, with a key)."""
    if _down(seen):
        return _NOT_UP
    stack = seen["stack"]
    if stack.host not in _LOOPBACK:
        return warning(
            f"{stack.url} is open to the network, in plain HTTP",
            "Only for a network you trust; else `./ai down && ./ai up` without --host",
        )
    return ok(f"{stack.url}, open to this machine only")


def keys(seen: Seen) -> Verdict:
    """Is a request without a key turned away?"""
    if _down(seen):
        return _NOT_UP
    status = seen["keyless"]
    said = f"a request without a key is answered {status}"
    return ok(said) if status in (401, 403) else failed(said, "`./ai restart gateway`; then look again")


def proof(seen: Seen) -> Verdict:
    """Do the recording that ships with this and one question get right answers? Neither answer is shown."""
    if _down(seen):
        return _NOT_UP
    found = seen["proof"]
    if found["why"]:
        return failed(found["why"], "`./ai logs`")
    said = (
        f"{found['match'] * 100:.0f} % of the words right in {found['transcribe_s']:.1f} s; "
        f"{found['model']} answers in {found['answer_s']:.1f} s"
    )
    if found["match"] < ENOUGH or not found["answered"]:
        return failed(said, "Another model: `./ai up --whisper-model small`, `--llm …`; `./ai logs`")
    return ok(said)


def disk(seen: Seen) -> Verdict:
    """Is there room where AI_HOME lies?"""
    free = seen["disk"]
    said = f"{free / 1024:.1f} GiB free" if free >= 1024 else f"{free} MiB free"
    mend = "Remove models that are not needed from AI_HOME/models, or move AI_HOME to another disk"
    if free < FREE_FAILED_MIB:
        return failed(said, mend)
    return warning(said, mend) if free < FREE_WARNING_MIB else ok(said)


def memory(seen: Seen) -> Verdict:
    """Is there main memory left?"""
    free = seen["memory"]
    said = f"{free / 1024:.1f} GiB available" if free >= 1024 else f"{free} MiB available"
    mend = "See who has it: `./ai status`; choose smaller models, or `./ai up --unload-after 300`"
    if free < MEMORY_FAILED_MIB:
        return failed(said, mend)
    return warning(said, mend) if free < MEMORY_WARNING_MIB else ok(said)


def secrets(seen: Seen) -> Verdict:
    """Are the keys closed to everybody but you? `--fix` closes them; replace what others may have read."""
    rows = seen["secrets"]
    loose = [row for row in rows if row["mode"] & 0o077]
    if loose:
        said = "; ".join(f"{row['path']} has mode {row['mode']:04o}" for row in loose)
        return failed(said, "`chmod go= FILE`", *(Fix("close", row["path"]) for row in loose))
    return ok(f"{len(rows)} closed to others") if rows else skipped("there are none yet")


def examine(home: Home, names: set[str] | None = None) -> Iterator[tuple[Check, Verdict]]:
    """Yield each check of the stack in `home` with its verdict."""
    from ai_services.doctor.examine import Observatory

    seen = Observatory(looks(home), eager=names is None).seen
    for check in checks():
        if names is None or check.name in names:
            yield check, check(seen)


def is_down(rows: list[dict[str, Any]]) -> bool:
    """Tell from the rows whether nothing runs."""
    return any(row["name"] == "components" and row["state"] == "skipped" for row in rows)
