"""Docker and the containers of the stack."""

from __future__ import annotations

from ai_services.doctor.verdict import Fix, Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "containers"
# Restarts of one container since it was made, and how young its last start must be to call it a loop.
LOOP_RESTARTS, LOOP_AGE_S = 3, 600
_NOTHING = "nothing is deployed on this host"


@check("docker", GROUP)
def docker(seen: Seen) -> Verdict:
    """Does Docker's engine answer, and does it run with the configuration on disk?

    A broken `/etc/docker/daemon.json` does nothing until the engine is restarted, and then nothing starts: it is
    compared with what the engine says of itself. A difference is a warning, a file that is no JSON is failed.
    The doctor never restarts Docker, because that ends running requests: `systemctl restart docker` at a quiet hour.
    """
    found = seen["docker"]
    if not found["running"]:
        if not found["installed"]:
            return failed("Docker is not installed", "`./ai deploy HOST` installs it")
        return failed(
            f"the engine does not answer: {found['why']}", "`systemctl status docker`, `journalctl -u docker -b`"
        )
    config = seen["docker_config"]
    if config["broken"]:
        return failed(
            f"/etc/docker/daemon.json {config['broken']}: the engine will not start again",
            "Mend the file (`dockerd --validate`), or `./ai deploy HOST`",
        )
    if config["differs"]:
        return warning(
            f"the engine runs without its newest configuration: {'; '.join(config['differs'])}",
            "`systemctl restart docker` when nobody is served",
        )
    if not found["compose_version"] and seen.get("release"):
        return warning("compose is not installed: `docker compose` in /opt/ai does not work", "`./ai deploy HOST`")
    return ok(f"engine {found['version']}, compose {found['compose_version'] or 'missing'}")


@check("containers", GROUP)
def containers(seen: Seen) -> Verdict:
    """Does every container of the release run and call itself healthy?

    Health is the container's own check by real work. `cd /opt/ai && docker compose logs -n 50 NAME` shows its last
    words. `--fix` starts one that is stopped.
    """
    rows = {row["service"]: row for row in seen["containers"]}
    wanted = sorted((seen.get("release") or {}).get("images", {}))
    if not rows and not wanted:
        return skipped(_NOTHING)
    bad, fixes = [], []
    for name in sorted({*rows, *wanted}):
        row = rows.get(name)
        if row is None:
            bad.append(f"{name} has no container")
        elif row["state"] in ("exited", "created", "dead"):
            bad.append(f"{name} is stopped (exit code {row['exit_code']})")
            fixes.append(Fix("start-container", row["name"]))
        elif row["state"] == "paused":
            bad.append(f"{name} is paused")
        elif row["state"] == "restarting":
            bad.append(f"{name} is restarting (exit code {row['exit_code']})")
        elif row["health"] == "unhealthy":
            bad.append(f"{name} is unhealthy{': ' + row['health_said'] if row['health_said'] else ''}")
    if bad:
        return failed(
            "; ".join(bad),
            "`cd /opt/ai && docker compose logs -n 50 NAME`; `docker compose up -d` starts what is stopped",
            *fixes,
        )
    starting = [name for name, row in rows.items() if row["health"] == "starting"]
    if starting:
        return warning(f"still starting: {', '.join(sorted(starting))}", "Look again in a minute: `./ai doctor`")
    return ok(", ".join(sorted(rows)))


@check("restarts", GROUP)
def restarts(seen: Seen) -> Verdict:
    """Does a container end and start again and again?

    Failed when one was restarted more than three times and the last start is younger than ten minutes. More than three
    restarts that lie longer back are a warning. The first lines after each start in its log say why.
    """
    rows = seen["containers"]
    if not rows:
        return skipped(_NOTHING)
    mend = "`cd /opt/ai && docker compose logs -n 100 NAME`: the lines before each start say why"
    loops: list[str] = []
    past: list[str] = []
    for row in rows:
        if row["restarts"] > LOOP_RESTARTS:
            young = row["state"] == "restarting" or (row["age_s"] is not None and row["age_s"] < LOOP_AGE_S)
            (loops if young else past).append(f"{row['name']} was restarted {row['restarts']} times")
    if loops:
        return failed(f"in a loop: {'; '.join(loops)}", mend)
    if past:
        return warning("; ".join(past), mend)
    return ok(f"{sum(row['restarts'] for row in rows)} in all")


@check("images", GROUP)
def images(seen: Seen) -> Verdict:
    """Do the containers run the images that the release names, by digest?

    Another digest means that somebody started a container by hand, or that a deploy broke off in the middle.
    `./ai deploy HOST` puts the release's images back.
    """
    wanted = (seen["release"] or {}).get("images", {})
    if not wanted:
        return skipped("the release names no images")
    bad, unknown = [], []
    for row in seen["containers"]:
        reference = wanted.get(row["service"])
        if not reference:
            continue
        digest = reference.partition("@")[2]
        if digest and digest not in row["digests"] and digest != row["image_id"]:
            bad.append(f"{row['name']} runs {row['image_id'][7:19]}, the release names {digest[7:19]}")
        elif not digest:
            unknown.append(row["service"])
    if bad:
        return failed("; ".join(bad), "`./ai deploy HOST` puts the images of the release back")
    if unknown:
        return warning(
            f"the release names no digest for {', '.join(sorted(unknown))}",
            "`./ai deploy HOST` with a registry that can be reached",
        )
    return ok(f"{len(seen['containers'])} containers run what the release names")


@check("images-behind", GROUP)
def images_behind(seen: Seen) -> Verdict:
    """Has the registry newer images under the tags of the release?

    Asked from the host, in a few seconds, with its own login if it has one; skipped when it cannot be asked.
    A newer image is a warning. A tag keeps the image it had when it was first taken, until somebody asks for more:
    `./ai deploy HOST --set ai_refresh_images=true`.
    """
    found = seen["registry"]
    behind = sorted(name for name, row in found["images"].items() if row["newest"] and row["newest"] not in row["ours"])
    unknown = {name: row["why"] for name, row in found["images"].items() if not row["newest"]}
    if behind:
        return warning(
            f"newer in the registry: {', '.join(behind)}", "`./ai deploy HOST --set ai_refresh_images=true` takes them"
        )
    if unknown and len(unknown) == len(found["images"]):
        return skipped(f"the registry cannot be asked: {next(iter(unknown.values()))}")
    said = f"{len(found['images']) - len(unknown)} are the newest of their tag"
    return ok(said + (f"; not to be asked: {', '.join(sorted(unknown))}" if unknown else ""))
