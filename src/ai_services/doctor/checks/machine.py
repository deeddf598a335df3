"""The machine: disk, memory, clock, what the kernel killed, units that failed."""

from __future__ import annotations

from ai_services.doctor.verdict import Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "machine"
# A model is some gigabytes, a release with its images as much; below this nothing new fits.
FREE_WARNING_MIB, FREE_FAILED_MIB = 5 * 1024, 1024
FREE_WARNING_PERCENT, FREE_FAILED_PERCENT = 10, 3
SMALL_DISK_MIB = 8 * 1024
MEMORY_WARNING_MIB, MEMORY_FAILED_MIB = 512, 128
# TLS and key lifetimes allow minutes; logs and certificate windows get confusing after seconds.
CLOCK_WARNING_S, CLOCK_FAILED_S = 5, 60
DAY_S = 86_400


@check("disk", GROUP)
def disk(seen: Seen) -> Verdict:
    """Is there room on the file systems that hold something of ours: `/`, Docker's root, `/opt/ai`, `/var/log`?

    A full disk stops everything that writes: pulls, logs, certificates. Failed: less than 1 GiB or 3 % free, no inodes,
    or mounted read-only (the kernel does that after an error of the disk: `journalctl -k | grep -i error`). Warning:
    less than 5 GiB or 10 %. On file systems smaller than 8 GiB only the percentages count.
    Room is made by `docker image prune -a` (images nothing runs from), `docker exec ollama ollama rm MODEL`, and
    `journalctl --vacuum-size=200M`.
    """
    mend = (
        "Make room: `docker image prune -a`, `docker exec ollama ollama list` and `… rm MODEL`, "
        "`journalctl --vacuum-size=200M`"
    )
    bad, tight, fine = [], [], []
    for row in seen["disks"]:
        if row["paths"] == ["/tmp"]:  # noqa: S108  # compared, not written
            continue
        total, free = row["total_mib"], row["free_mib"]
        percent = free * 100 // total if total else 0
        big = total >= SMALL_DISK_MIB
        said = f"{row['mount']} {_size(free)} of {_size(total)} free ({percent} %)"
        inodes = row["free_inodes_percent"]
        if row["read_only"] and row["mount"] != "/boot":
            return failed(
                f"{row['mount']} is mounted read-only",
                "See why: `journalctl -k | grep -iE 'error|remount'`; then check that disk.",
            )
        if inodes is not None and inodes <= FREE_FAILED_PERCENT:
            bad.append(f"{row['mount']} has {inodes} % of its inodes left")
        elif percent <= FREE_FAILED_PERCENT or (big and free < FREE_FAILED_MIB):
            bad.append(said)
        elif percent <= FREE_WARNING_PERCENT or (big and free < FREE_WARNING_MIB):
            tight.append(said)
        else:
            fine.append(said)
    if bad:
        return failed("; ".join(bad), mend)
    if tight:
        return warning("; ".join(tight), mend)
    return ok("; ".join(fine)) if fine else skipped("no file system was to be seen")


def _size(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib} MiB"


@check("memory", GROUP)
def memory(seen: Seen) -> Verdict:
    """Is there main memory left for what is running?

    Judged by the kernel's own estimate of what can be had without swapping. Failed below 128 MiB, warning below 512.
    `docker stats --no-stream` names who has it; a smaller model or a limit (`ai_ollama_memory_mib` …) mends it.
    """
    found = seen["memory"]
    said = f"{_size(found['available_mib'])} of {_size(found['total_mib'])} available"
    mend = "See who has it: `docker stats --no-stream`; then choose a smaller model, or set ai_ollama_memory_mib"
    if found["available_mib"] < MEMORY_FAILED_MIB:
        return failed(said, mend)
    return warning(said, mend) if found["available_mib"] < MEMORY_WARNING_MIB else ok(said)


@check("clock", GROUP)
def clock(seen: Seen) -> Verdict:
    """Is the clock right?

    A clock that is off breaks TLS, ACME and every timestamp. It is compared with what else tells the time: the
    registry's `Date` header, chrony, and for `./ai doctor HOST` the operator's machine. Failed from 60 s on, warning
    from 5 s on, or when nothing keeps it in step (`timedatectl` says `System clock synchronized: no`).
    Inside a container the clock is its host's, and only the comparison is made.
    """
    found = seen["clock"]
    offset = next((row for row in (found["offset_s"], seen.get("registry_offset_s")) if row is not None), None)
    if offset is not None and abs(offset) >= CLOCK_WARNING_S:
        way = "ahead" if offset > 0 else "behind"
        verdict = failed if abs(offset) >= CLOCK_FAILED_S else warning
        return verdict(
            f"the clock is {abs(offset):.0f} s {way}",
            "Set it and keep it in step: `timedatectl set-ntp true`, then `timedatectl`",
        )
    known = f"{abs(offset):.1f} s off" if offset is not None else "nothing to compare it with"
    if found["synchronised"] is False and seen.get("virtual", "none") not in ("docker", "lxc", "podman"):
        return warning(
            f"nothing keeps the clock in step ({known})",
            "`timedatectl set-ntp true` (package systemd-timesyncd), or chrony",
        )
    return ok(f"{'in step' if found['synchronised'] else found['utc'][:19] + 'Z'}, {known}")


@check("oom-kills", GROUP)
def oom_kills(seen: Seen) -> Verdict:
    """Did the kernel kill something for want of memory?

    Failed when it was in the last 24 hours, warning when earlier since boot, and failed for a container of ours whose
    last end was by its own memory limit. Mended by a smaller model, more memory, or a higher limit
    (`ai_gateway_memory_mib`, `ai_whisper_api_memory_mib`, `ai_ollama_memory_mib`), then `./ai deploy`.
    """
    mend = (
        "Choose a smaller model, raise the limit (ai_<service>_memory_mib; 0 = none) or add memory; then `./ai deploy`"
    )
    ours = [row["name"] for row in seen.get("containers") or [] if row["oom_killed"]]
    if ours:
        return failed(f"ended by the kernel at their memory limit: {', '.join(ours)}", mend)
    kills = seen["kernel_log"]["oom"]
    recent = [kill for kill in kills if kill["age_s"] is not None and kill["age_s"] < DAY_S]
    if recent:
        return failed(f"{len(recent)} in the last 24 h, the last: {recent[-1]['process']}", mend)
    return warning(f"{len(kills)} since boot, none in the last 24 h", mend) if kills else ok("none since boot")


@check("units", GROUP)
def failed_units(seen: Seen) -> Verdict:
    """Are the services of the host that the stack stands on running, and did none of ours fail?

    Ours are those that the roles named in `/opt/ai/expected/*.json`, and nginx, docker, certbot, the firewall.
    `systemctl status UNIT` and `journalctl -u UNIT -b` show why one failed; `--fix` starts what is merely stopped.
    """
    from ai_services.doctor.verdict import Fix

    down = []
    fixes = []
    for name, unit in sorted(seen["units"].items()):
        if unit["load"] != "loaded" and unit["expected"]:
            down.append(f"{name} is not installed")
        elif unit["active"] == "failed":
            down.append(f"{name} failed ({unit['result'] or 'no reason given'})")
        elif unit["expected"] and unit["active"] not in ("active", "activating", "reloading"):
            if unit["type"] == "oneshot" and unit["result"] == "success":
                continue  # it did its work, or does it at the next boot
            down.append(f"{name} is {unit['active']}")
            if name != "docker.service":
                fixes.append(Fix("start-unit", name))
    if down:
        return failed("; ".join(down), "See why: `systemctl status UNIT`, `journalctl -u UNIT -b`", *fixes)
    return ok(f"{sum(unit['active'] == 'active' for unit in seen['units'].values())} of ours active, none failed")
