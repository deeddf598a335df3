"""What is deployed: against the release's own record, secrets, deploys that broke off."""

from __future__ import annotations

from ai_services.doctor.verdict import Fix, Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "release"
_REDEPLOY = "`./ai deploy HOST --check --diff` shows what differs, `./ai deploy HOST` puts it right"


@check("release", GROUP)
def release(seen: Seen) -> Verdict:
    """Is a release deployed here, and does `current` lead to it whole?

    `/opt/ai/current` must lead into `/opt/ai/releases/`, and that release must have its record, `release.json`.
    """
    found = seen["release_state"]
    if not found["deployed"]:
        return skipped("nothing is deployed in /opt/ai", "`./ai deploy HOST`")
    if found["problem"]:
        return failed(found["problem"], "`./ai deploy HOST` makes it anew")
    record = seen["release"]
    return ok(f"{record.get('id') or found['id']}, version {record.get('version', 'unknown')}")


@check("drift", GROUP)
def drift(seen: Seen) -> Verdict:
    """Are the files on the host those that were deployed: the release's own, nginx's, and all that the roles noted?

    Every file is compared with the hash recorded when it was written. A change by hand works until the next deploy
    takes it away: put it into `ai.yml` instead.
    `./ai deploy HOST --check --diff` shows the lines.
    """
    rows = seen["files"]
    if not rows:
        return skipped("the release recorded no files")
    gone = [row["path"] for row in rows if row["found"] is None]
    changed = [row["path"] for row in rows if row["found"] not in (None, row["expected"])]
    if gone or changed:
        said = [f"changed: {_some(changed)}"] if changed else []
        said += [f"gone: {_some(gone)}"] if gone else []
        return failed("; ".join(said), _REDEPLOY)
    return ok(f"{len(rows)} files are as deployed")


def _some(paths: list[str]) -> str:
    shown = ", ".join(paths[:4])
    return shown if len(paths) <= 4 else f"{shown} and {len(paths) - 4} more"


@check("secrets", GROUP)
def secrets(seen: Seen) -> Verdict:
    """Can only root (and the one container each is for) read keys, tokens and private keys?

    Everything in `/opt/ai/secrets`, Cloudflare's token and the certificates' private keys must be closed to group and
    others, directories too. `--fix` closes them; what others may have read meanwhile should be replaced.
    """
    rows = seen["secrets"]
    if not rows:
        return skipped("no secrets lie on this host")
    loose = [row for row in rows if row["mode"] & 0o077]
    if loose:
        return failed(
            "; ".join(f"{row['path']} has mode {row['mode']:04o}" for row in loose[:4])
            + (f" and {len(loose) - 4} more" if len(loose) > 4 else ""),
            "`chmod go= FILE`; replace what others may have read",
            *(Fix("close", row["path"]) for row in loose),
        )
    return ok(f"{len(rows)} closed to everybody but their owners")


@check("deploys", GROUP)
def deploys(seen: Seen) -> Verdict:
    """Did a deploy break off in the middle, or does one seem to be going on?

    The journal has a line when a step begins and one when it is done. A step begun and never done, while nobody holds
    the lock, means that a deploy died there: `./ai deploy HOST` again is safe and goes through. A `lock.json`
    beside a lock that nobody holds is left over: `--fix` removes it.
    """
    lock, journal = seen["lock"], seen["journal"]
    why = f" ({lock['why']})" if lock["why"] else ""
    who = f"{lock['who'] or 'somebody'} since {lock['since'] or 'an unknown time'}{why}"
    if lock["held"]:
        return warning(f"a deploy is going on: {who}", "Wait for it, then `./ai doctor` again")
    # The note goes with the lock, unless the process that keeps both was killed.
    stale = lock["noted"]
    fixes = (Fix("remove-stale-lock", lock["path"]),) if stale else ()
    if journal["open"]:
        step = journal["open"][-1]
        return failed(
            f"a deploy broke off: step {step['step']!r} was begun at {step['time']} and not finished",
            "`./ai deploy HOST` again: it goes on from what is there",
            *fixes,
        )
    if stale:
        return warning(
            f"a lock that nobody holds was left behind: {who}", "Nothing waits for it; `--fix` removes it", *fixes
        )
    if journal["failed"]:
        return warning(
            f"the last deploy failed: {journal['failed']}",
            "The release before it serves; mend the cause, then `./ai deploy HOST`",
        )
    torn = f", {journal['garbage']} of them unreadable" if journal["garbage"] else ""
    return ok(f"no deploy is open; {journal['lines']} lines in the journal{torn}")


@check("takeover", GROUP)
def takeover(seen: Seen) -> Verdict:
    """Did a change of the release leave something behind: two gateways, a pause, an nginx that asks the other port?

    While a release takes over there are two gateways, and callers of an engine that is exchanged wait. Afterwards
    there is one, and nothing is paused; a pause whose owner died ends by itself within a minute. Where nginx asks a
    port that nobody has, it asks the other one, so nobody notices: `--fix` points it right.
    """
    found, lock = seen["takeover"], seen["lock"]
    rows = [row for row in seen["containers"] if row["service"] == "gateway" and row["state"] == "running"]
    if not rows:
        return skipped("no gateway runs")
    ports = sorted(int(str(port).rpartition(":")[2]) for row in rows for port in row["published"])
    if lock["held"]:
        return ok("a change is going on")
    again = "`./ai deploy HOST` again: it goes on from what is there"
    if len(rows) > 1:
        return warning(f"two gateways run ({', '.join(row['name'] for row in rows)}): a change broke off", again)
    if found["paused"]:
        return warning(
            f"callers wait: {'; '.join(found['paused'])}", "It ends by itself; then `./ai deploy HOST` again"
        )
    if ports and found["asked"] not in ports:
        return warning(
            f"nginx asks {found['asked']} first, and the gateway has {ports[0]}: it answers, by the second try",
            "`./ai doctor --fix`, or `sudo /opt/ai/bin/ai-stack boot`",
            Fix("point-switch", str(ports[0])),
        )
    return ok(f"one gateway, on {found['asked']}; nobody waits")
