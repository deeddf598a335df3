"""What stands before the old service: its site steps aside and comes back by one rename; its port by one rule."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from .. import switch
from ..durable import write_file
from ..engine import Engine
from ..observe import PROJECT
from .old import MARK, _do
from .state import MigrationError, State

DOORS = Path("/etc/nginx/ai/old-api.conf")
LINK = Path("/etc/nginx/sites-enabled/zz-ai-services.conf")
TABLE = "ai_migration"
# Connections that were accepted by the kernel for a port that is about to be left are taken within this time.
_SETTLED_S = 2.0


def aside_of(path: Path) -> Path:
    """Where the role nginx put a file of the old site (roles/nginx/library/nginx_files.py)."""
    return path.with_name(f".{path.name}.ai-services")


def bring_back(paths: list[Path], *, again: bool = False) -> list[str]:
    """Let the old sites serve again and ours no more, in one reload; returns what was changed.

    `again`: an earlier call was cut off, so nginx may not have taken up what is there already.

    Raises:
        MigrationError: nginx does not accept it; then everything is as it was before the call.
    """
    waiting = [path for path in paths if aside_of(path).is_symlink() or aside_of(path).exists()]
    off = LINK.with_name(f".{LINK.name}.off")
    ours = LINK.is_symlink()
    if not waiting and not ours and not off.is_symlink():
        if again or switch.OWED.exists():
            reload_nginx()
        return []
    _owe()
    if ours:
        LINK.rename(off)
    for path in waiting:
        aside_of(path).rename(path)
    try:
        reload_nginx()
    except MigrationError:
        for path in waiting:
            path.rename(aside_of(path))
        if off.is_symlink():
            off.rename(LINK)
        raise
    off.unlink(missing_ok=True)
    return [str(path) for path in waiting] + ([str(LINK)] if ours else [])


def mend(state: State) -> list[str]:
    """After a power loss between two renames: let nginx accept its files, those of before if need be.

    Returns what had to be done, in words.

    Raises:
        MigrationError: it accepts neither.
    """
    if not state.of("front") or not Path("/usr/sbin/nginx").exists():
        return []
    paths = [Path(name) for name in state.order.get("aside", [])]
    cut = state.of("undo:front") in ("begun", "failed") and not state.order.get("in_place_of")
    if not cut and (state.of("front") == "done" or _accepts()):
        return []
    changed = bring_back(paths, again=cut)
    return [f"nginx has its sites of before again: {', '.join(changed)}"] if changed else []


def _accepts() -> bool:
    done = subprocess.run(["/usr/sbin/nginx", "-t", "-q"], capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def reload_nginx() -> None:
    """Test the configuration and let nginx take it up.

    Raises:
        MigrationError: it is not accepted.
    """
    done = subprocess.run(["/usr/sbin/nginx", "-t", "-q"], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise MigrationError(f"nginx does not accept its configuration: {done.stderr.strip()[-500:]}")
    _do(["systemctl", "reload-or-restart", "nginx"])
    switch.OWED.unlink(missing_ok=True)


def _owe() -> None:
    """Note that nginx is to be told of its files: whoever is killed before leaves that to the next run."""
    switch.OWED.parent.mkdir(mode=0o755, exist_ok=True)
    switch.OWED.touch()


def doors_of(state: State) -> dict[int, int]:
    """By port of the old service, the port on which nginx listens in its place for the time being."""
    return {int(port): int(helper) for port, helper in (state.order.get("in_place_of") or {}).items()}


def listen_on(doors: dict[int, int], *, own: bool, helper: bool) -> bool:
    """Let nginx listen on the old service's ports, on their helpers, or on both; returns whether that changed anything.

    Raises:
        MigrationError: nginx does not accept it, and the file is as it was.
    """
    after = before = DOORS.read_text()
    wanted = {port: [port] * own + [other] * helper for port, other in doors.items()}
    for port, other in doors.items():
        after = ports_changed(after, port, other, wanted[port])
    if after != before or switch.OWED.exists():
        _owe()
        # Whole or not at all: a host that boots with half of this file has no nginx.
        write_file(DOORS, after.encode())
        try:
            reload_nginx()
        except MigrationError:
            write_file(DOORS, before.encode())
            raise
    # Asked in any case: what comes next may lead callers there.
    for one in [each for ports in wanted.values() for each in ports]:
        wait_for(one)
    return after != before


def ports_changed(text: str, port: int, helper: int, wanted: list[int]) -> str:
    """The doors' configuration with each `listen` of either port once for each of `wanted`."""
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        hit = re.match(rf"( *listen (?:\[::\]:)?)(?:{port}|{helper})((?: [^;]*)?;\n)", line)
        new = [f"{hit[1]}{one}{hit[2]}" for one in wanted] if hit else [line]
        lines += [one for one in new if hit is None or one not in lines[-4:]]
    return "".join(lines)


def wait_for(port: int, timeout_s: float = 20) -> None:
    """Until something listens on a port of this host.

    Raises:
        MigrationError: nothing does.
    """
    ends_at = time.monotonic() + timeout_s
    while True:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
                probe.settimeout(2)
                probe.connect(("127.0.0.1", port))
                return
        except OSError as error:
            if time.monotonic() >= ends_at:
                raise MigrationError(f"Nothing listens on port {port}: {error}") from error
            time.sleep(0.1)


def redirect(state: State, engine: Engine) -> None:
    """Send new connections of the old service's port to nginx's helper port; those that run are not touched.

    Raises:
        MigrationError: the rule is refused.
    """
    doors = doors_of(state)
    if not doors:
        return
    ours = subnets(engine)
    spare = f"ip saddr != {{ {', '.join(ours)} }} " if ours else ""
    rules = [f"fib daddr type local {spare}tcp dport {port} redirect to :{helper}" for port, helper in doors.items()]
    v6 = [
        f"meta nfproto ipv6 fib daddr type local tcp dport {port} redirect to :{helper}"
        for port, helper in doors.items()
    ]
    local = [
        f"meta mark != {MARK:#x} fib daddr type local tcp dport {port} redirect to :{helper}"
        for port, helper in doors.items()
    ]
    # Before Docker's own translation (-100): the first one decides.
    text = (
        f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n"
        "chain before {\ntype nat hook prerouting priority -110; policy accept;\n" + "\n".join(rules + v6) + "\n}\n"
        "chain own {\ntype nat hook output priority -110; policy accept;\n" + "\n".join(local) + "\n}\n}\n"
    )
    for helper in doors.values():
        wait_for(helper)
    done = subprocess.run(["nft", "--file", "-"], input=text, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise MigrationError(f"The packet filter refuses the redirection: {done.stderr.strip()[-500:]}")


def has_helpers(state: State) -> bool:
    """Whether nginx still listens on a helper port, so that the rule has somewhere to lead to."""
    text = DOORS.read_text() if DOORS.exists() else ""
    return any(re.search(rf"listen {helper}\b", text) for helper in doors_of(state).values())


def is_redirected() -> bool:
    """Whether the rule is in force; without the tool that makes it, there is none."""
    if shutil.which("nft") is None:
        return False
    return subprocess.run(["nft", "list", "table", "inet", TABLE], capture_output=True, check=False).returncode == 0


def no_redirect() -> bool:
    """Take the rule away; connections that it made live on. Returns whether there was one."""
    if not is_redirected():
        return False
    _do(["nft", "delete", "table", "inet", TABLE])
    return True


def own_the_port(state: State) -> None:
    """Let nginx itself listen where the old service did, and the rule go: the old service must be stopped.

    Raises:
        MigrationError: the port is still somebody's, or nginx refuses.
    """
    if not has_helpers(state):
        return
    doors = doors_of(state)
    # All ports before the one rule goes that serves them all.
    listen_on(doors, own=True, helper=True)
    no_redirect()
    time.sleep(_SETTLED_S)
    listen_on(doors, own=True, helper=False)


def give_the_port_back(state: State, engine: Engine) -> None:
    """Free the old service's ports for it, while new connections go on reaching nginx.

    Raises:
        MigrationError: nginx or the packet filter refuses; then nginx still listens.
    """
    doors = doors_of(state)
    if not doors or not DOORS.exists():
        return
    held = any(re.search(rf"listen {port}\b", DOORS.read_text()) for port in doors)
    if held:
        listen_on(doors, own=True, helper=True)
    redirect(state, engine)
    if held:
        time.sleep(_SETTLED_S)
        listen_on(doors, own=False, helper=True)
        for port in doors:
            wait_until_free(port)


def wait_until_free(port: int, timeout_s: float = 30) -> None:
    """Until a port of this host can be taken: a reload of nginx closes its socket a little later.

    Raises:
        MigrationError: somebody keeps it.
    """
    ends_at = time.monotonic() + timeout_s
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104  # tried out, nobody is answered
            except OSError as error:
                if time.monotonic() >= ends_at:
                    raise MigrationError(f"Port {port} is not free for the old service: {error}") from error
            else:
                return
        time.sleep(0.2)


def subnets(engine: Engine) -> list[str]:
    """The networks of our own containers."""
    found: list[dict[str, Any]] = engine.get("/networks") or []
    return sorted(
        part["Subnet"]
        for net in found
        if (net.get("Labels") or {}).get("com.docker.compose.project") == PROJECT
        for part in (net.get("IPAM") or {}).get("Config") or []
        if "." in str(part.get("Subnet"))
    )
