"""The Docker of this machine: calling it, and starting one where none runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from host.lab.place import MACHINE, LabError, remark

START_TIMEOUT_S = 60
# Only the client of Debian's docker.io builds images here; another one may come first on the PATH.
CLIENT = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
PID_FILE = MACHINE / "dockerd.pid"


def call(
    *arguments: str, stdin: str | bytes | None = None, check: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one `docker` command; its output comes back as text.

    Raises:
        LabError: it failed and `check` is set; the message holds the command and its words.
    """
    done = subprocess.run(
        [CLIENT, *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    text = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if check and text.returncode != 0:
        words = (text.stderr or text.stdout).strip()
        raise LabError(f"`docker {' '.join(arguments)}` ended with {text.returncode}: {words[-4000:]}")
    return text


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """What Docker knows of the container, image, network or volume `name`; None when there is none."""
    done = call(kind, "inspect", name, check=False)
    if done.returncode != 0:
        return None
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found[0] if found else None


def run_in(container: str, command: Sequence[str], *, stdin: str | bytes | None = None, check: bool = True) -> str:
    """The standard output of `command`, run as root in `container`.

    Raises:
        LabError: it failed and `check` is set.
    """
    return call("exec", *(["-i"] if stdin is not None else []), container, *command, stdin=stdin, check=check).stdout


def answers() -> bool:
    """Whether a Docker daemon answers."""
    return call("version", "--format", "{{.Server.Version}}", check=False).returncode == 0


def possible() -> None:
    """Look whether this machine can have a lab at all.

    Raises:
        LabError: something is missing; the message names all of it, and the packages that bring it.
    """
    missing = [] if os.geteuid() == 0 else ["root"]
    missing += [tool for tool in ("dockerd", "debootstrap", "unshare", "ssh") if shutil.which(tool) is None]
    if missing:
        raise LabError(
            f"no lab on this machine: {', '.join(missing)} missing. On Debian: "
            "apt-get install docker.io debootstrap util-linux openssh-client, and be root"
        )


def ensure() -> None:
    """Have a Docker daemon: the one that runs, or one of our own, remembered so that `stop` ends only that.

    Raises:
        LabError: there is none and none can be started.
    """
    if answers():
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise LabError(
            "no Docker daemon answers, and none can be started here: that takes root and `apt-get install docker.io`"
        )
    MACHINE.mkdir(parents=True, exist_ok=True)
    # A daemon that was killed leaves its pid file behind, and the next one refuses to start over it.
    stale = Path("/var/run/docker.pid")
    if stale.exists() and not Path(f"/proc/{stale.read_text().strip()}").exists():
        stale.unlink()
    log = MACHINE / "dockerd.log"
    with log.open("ab") as opened:
        daemon = subprocess.Popen(["dockerd"], stdout=opened, stderr=opened, start_new_session=True)
    PID_FILE.write_text(str(daemon.pid))
    until = time.monotonic() + START_TIMEOUT_S
    while not answers():
        if daemon.poll() is not None or time.monotonic() > until:
            raise LabError(f"dockerd did not come up; its last words are in {log}")
        time.sleep(0.2)
    remark(f"started dockerd (process {daemon.pid}, log {log})")


def stop() -> None:
    """End the daemon that `ensure` started, if it did."""
    if not PID_FILE.exists():
        return
    pid = int(PID_FILE.read_text())
    PID_FILE.unlink()
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return
    if name == "dockerd":
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + START_TIMEOUT_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
            time.sleep(0.2)
        remark("stopped the dockerd that was started for the lab")
