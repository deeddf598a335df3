"""What keeps the host well over months: updates that do not break the GPU, backups."""

from __future__ import annotations

from ai_services.doctor.verdict import Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "upkeep"
BACKUP_WARNING_S, BACKUP_FAILED_S = 2 * 86_400, 8 * 86_400
CLOCK_TOLERANCE_S = 3600
PROVEN_WARNING_S = 92 * 86_400
# Packages that an unattended upgrade must leave alone; the first two decide (facts.md).
HELD = ("nvidia-", "libnvidia-")


@check("driver-held", GROUP)
def driver_held(seen: Seen) -> Verdict:
    """Are NVIDIA's packages kept from unattended upgrades?

    An upgrade at night leaves the loaded module and the libraries apart (see `gpu-versions`), and the next container
    finds no GPU. The patterns `nvidia-` and `libnvidia-` must be in `Unattended-Upgrade::Package-Blacklist`.
    """
    if not [
        row
        for row in seen["nvidia"]["packages"]
        if row["name"].startswith(("nvidia-driver", "nvidia-headless", "libnvidia-compute"))
    ]:
        return skipped("no NVIDIA driver is installed from packages")
    if seen.get("services", {}).get("unattended-upgrades") in ("absent", None):
        return ok("nothing upgrades by itself here")
    patterns = seen["unattended"]["blacklist"]
    open_to = [name for name in HELD if not any(name in pattern.replace("\\\\", "") for pattern in patterns)]
    if open_to:
        return warning(
            f"unattended upgrades may replace {' and '.join(name + '*' for name in open_to)}",
            "`./ai deploy HOST` holds them",
        )
    return ok("held against unattended upgrades")


@check("reboot", GROUP)
def reboot(seen: Seen) -> Verdict:
    """Do installed updates wait for a reboot?

    `/var/run/reboot-required` says so, `/var/run/reboot-required.pkgs` for which packages. Security fixes of the kernel
    are in force only after it; requests fail while the machine is down, so choose the hour.
    """
    if seen["reboot_required"]:
        return warning(
            "installed updates wait for a reboot", "`cat /var/run/reboot-required.pkgs`; reboot at a quiet hour"
        )
    return ok("none is waited for")


@check("backup", GROUP)
def backup(seen: Seen) -> Verdict:
    """When was the last backup, and did it succeed?

    Read from `/opt/ai/backup.json`, where every backup notes how it went, by hand or by the timer. Without one, a lost
    disk takes keys, settings and models with it: a warning. Older than two days is a warning, older than eight or
    failed is failed; where the host makes them by itself more rarely, its next one counts instead: a day late, a week
    late. One that is dated in the future is a warning: by it nothing is ever late.
    """
    found = seen["backup"]
    if not found["configured"]:
        if not seen.get("release"):
            return skipped("nothing is deployed on this host")
        return warning(
            "none was made yet", "`./ai backup HOST`, or name `ai_backup_recipients`, and the host makes them by itself"
        )
    if not found["ok"]:
        return failed(
            f"the last backup failed at {found['time']}: {found['detail'] or 'no reason given'}; "
            f"the last good one: {found['good'] or 'none'}",
            "`./ai backup HOST` says more; of the host's own, `journalctl -u ai-backup`",
        )
    if found["age_s"] < -CLOCK_TOLERANCE_S:
        return warning(
            f"the last one is dated {found['time']}, which is in the future", "`timedatectl`; then `./ai backup HOST`"
        )
    said = f"{found['age_s'] / 86_400:.1f} days ago"
    why = "Find out why it no longer runs: `systemctl list-timers`"
    # Of those that come round once a week or a month, the day it was due is what counts.
    late_s = min(found["age_s"] - BACKUP_WARNING_S, found["late_s"] - 86_400 if found["next"] else float("inf"))
    if late_s > BACKUP_FAILED_S - BACKUP_WARNING_S:
        return failed(said, why)
    return warning(said, why) if late_s > 0 else ok(said)


@check("backup-proven", GROUP)
def backup_proven(seen: Seen) -> Verdict:
    """When was a backup last restored, or seen to be restorable?

    A backup that nobody ever opened is a hope: the key to it may be lost. `./ai restore HOST ARCHIVE --verify` opens
    one, checks all of it, restores it in memory, and notes that here; so does every restore. Never, or longer than
    three months ago, is a warning.
    """
    found = seen["backup"]
    if found["proven"]:
        said = f"{found['proven_how'] or 'proven'} {found['proven_age_s'] / 86_400:.1f} days ago"
        said += f", the one of {found['proven_made']}" if found["proven_made"] else ""
        if found["proven_age_s"] <= PROVEN_WARNING_S:
            return ok(said)
    elif not found["configured"]:
        return skipped("there is no backup yet")
    else:
        said = "no backup of this host was ever opened"
    return warning(said, "`./ai restore HOST ARCHIVE --verify`, with the key that you would use then")
