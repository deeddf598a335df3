"""The kernel's log since boot: errors of the GPU (Xid), processes killed for want of memory."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read_or, run

# A kernel that reports an error in a loop writes gigabytes; the ring itself is some hundred KiB.
_LIMIT_BYTES = 8 * 2**20
_KEPT = 200
_XID = re.compile(r"NVRM: Xid \(([^)]{1,40})\): (\d{1,4})")
_OOM = re.compile(r"(?:Out of memory|Memory cgroup out of memory): Killed process (\d+) \(([^)]{1,64})\)")


def kernel_log(root: Path = Path("/")) -> dict[str, Any]:
    """Return `xid` (`code`, `device`, `age_s`) and `oom` (`process`, `age_s`), oldest first, the last 200 of each.

    `age_s` is seconds ago, None where the line has no time. Read from the kernel's ring and from the journal, which
    remembers longer; a line in both counts once.

    Raises:
        Unseen: neither may be read.
    """
    reasons: list[str] = []
    lines: list[tuple[float | None, str]] = []
    for source in (_journal, lambda: _ring(root)):
        try:
            lines.extend(source())
        except Unseen as error:  # noqa: PERF203  # there are two
            reasons.append(str(error))
    if len(reasons) == 2:
        raise Unseen("; ".join(reasons))
    return parse(lines)


def parse(lines: Iterable[tuple[float | None, str]]) -> dict[str, Any]:
    """Find the errors among lines, each with its age in seconds (or None)."""
    xids: dict[tuple[Any, ...], dict[str, Any]] = {}
    ooms: dict[tuple[Any, ...], dict[str, Any]] = {}
    for age_s, text in lines:
        if found := _XID.search(text):
            row = {"code": int(found.group(2)), "device": found.group(1), "age_s": age_s}
            xids.setdefault((text.strip(), _bucket(age_s)), row)
        elif found := _OOM.search(text):
            ooms.setdefault(found.groups(), {"process": found.group(2), "age_s": age_s})
    return {"xid": _last(xids.values()), "oom": _last(ooms.values())}


def _bucket(age_s: float | None) -> int | None:
    # Ring and journal disagree by fractions of a second about when a line was written.
    return None if age_s is None else round(age_s / 10)


def _last(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=lambda row: -(row["age_s"] if row["age_s"] is not None else float("inf")))
    return ordered[-_KEPT:]


def _journal() -> list[tuple[float | None, str]]:
    pattern = "NVRM: Xid|Killed process"
    # The kernel's own lines, and those that root wrote in its name (rsyslog's relay, containers); no ordinary user's.
    origin = ["_TRANSPORT=kernel", "+", "SYSLOG_IDENTIFIER=kernel", "_UID=0"]
    ran = run(["journalctl", "-b", "--no-pager", "-q", "-o", "short-unix", "-n", "5000", "-g", pattern, *origin], 15)
    # Exit code 1 with nothing said: nothing matched.
    if ran.code != 0 and ran.err.strip():
        raise Unseen(f"journalctl: {ran.said}")
    now = time.time()
    found: list[tuple[float | None, str]] = []
    for line in ran.out.splitlines():
        stamp, _, text = line.partition(" ")
        try:
            found.append((now - float(stamp), text.partition("kernel: ")[2] or text))
        except ValueError:
            continue
    return found


def _ring(root: Path) -> list[tuple[float | None, str]]:
    place = root / "dev/kmsg"
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unseen(f"{place}: {error.strerror or error}") from None
    content = b""
    try:
        while len(content) < _LIMIT_BYTES:
            try:
                record = os.read(descriptor, 8192)
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # overwritten while we read: go on with the oldest that is left
            except OSError:
                break
            if not record:
                break
            content += record
    finally:
        os.close(descriptor)
    up_s = float(read_or(root / "proc/uptime", "0").split()[0])
    found: list[tuple[float | None, str]] = []
    for line in content.decode("utf-8", "replace").splitlines():
        # priority,sequence,microseconds since boot,flags;text
        head, _, text = line.partition(";")
        fields = head.split(",")
        if len(fields) >= 3 and fields[2].isdigit():
            found.append((max(0.0, up_s - int(fields[2]) / 1e6), text))
    return found
