"""What keeps the host well over months: updates that do not break the GPU, backups."""

from __future__ import annotations

from ai_services.doctor.verdict import Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "upkeep"
BACKUP_WARNING_S, BACKUP_FAILED_S = 2 * 86_400, 8 * 86_400
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

    Read from `/opt/ai/backup.json`, which the backup writes. Without one, a lost disk takes keys, settings and models
    with it: a warning. Older than two days is a warning, older than eight or failed is failed.
    """
    found = seen["backup"]
    if not found["configured"]:
        if not seen.get("release"):
            return skipped("nothing is deployed on this host")
        return warning("no backup is configured", "Copy `/opt/ai` and `/etc/letsencrypt` somewhere else, encrypted")
    if not found["ok"]:
        return failed(
            f"the last backup failed at {found['time']}: {found['detail'] or 'no reason given'}",
            "Run it by hand and read what it says",
        )
    days = found["age_s"] / 86_400
    said = f"{days:.1f} days ago"
    if found["age_s"] > BACKUP_FAILED_S:
        return failed(said, "Find out why it no longer runs: `systemctl list-timers`")
    return (
        warning(said, "Find out why it no longer runs: `systemctl list-timers`")
        if found["age_s"] > BACKUP_WARNING_S
        else ok(said)
    )
