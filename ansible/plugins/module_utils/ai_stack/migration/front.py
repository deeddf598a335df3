"""What stands before the old service: its site steps aside and comes back by one rename; its port by one rule."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

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


def bring_back(paths: list[Path]) -> list[str]:
    """Let the old sites serve again and ours no more, in one reload; returns what was changed.

    Raises:
        MigrationError: nginx does not accept it; then everything is as it was before the call.
    """
    waiting = [path for path in paths if aside_of(path).is_symlink() or aside_of(path).exists()]
    off = LINK.with_name(f".{LINK.name}.off")
    ours = LINK.is_symlink()
    if not waiting and not ours:
        return []
    if ours:
        LINK.rename(off)
    for path in waiting:
        aside_of(path).rename(path)
    try:
        reload_nginx()
    except MigrationError:
        for path in waiting:
            path.rename(aside_of(path))
        if ours:
            off.rename(LINK)
        raise
    if ours:
        off.unlink()
    return [str(path) for path in waiting] + ([str(LINK)] if ours else [])


def reload_nginx() -> None:
    """Test the configuration and let nginx take it up.

    Raises:
        MigrationError: it is not accepted.
    """
    done = subprocess.run(["/usr/sbin/nginx", "-t", "-q"], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise MigrationError(f"nginx does not accept its configuration: {done.stderr.strip()[-500:]}")
    _do(["systemctl", "reload", "nginx"])


def listen_on(port: int, helper: int, wanted: list[int]) -> bool:
    """Let the doors for `port` listen on `wanted` (of `port` and `helper`); returns whether that changed anything.

    Raises:
        MigrationError: nginx does not accept it, and the file is as it was.
    """
    before = DOORS.read_text()
    after = ports_changed(before, port, helper, wanted)
    if after == before:
        return False
    DOORS.write_text(after)
    try:
        reload_nginx()
    except MigrationError:
        DOORS.write_text(before)
        raise
    for one in wanted:
        wait_for(one)
    return True


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
    doors = {int(port): int(helper) for port, helper in state.order.get("in_place_of", {}).items()}
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
    return any(re.search(rf"listen {helper}\b", text) for helper in state.order.get("in_place_of", {}).values())


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
    for port, helper in ((int(a), int(b)) for a, b in state.order.get("in_place_of", {}).items()):
        listen_on(port, helper, [port, helper])
        no_redirect()
        time.sleep(_SETTLED_S)
        listen_on(port, helper, [port])


def give_the_port_back(state: State, engine: Engine) -> None:
    """Free the old service's port for it, while new connections go on reaching nginx.

    Raises:
        MigrationError: nginx or the packet filter refuses; then nginx still listens.
    """
    for port, helper in ((int(a), int(b)) for a, b in state.order.get("in_place_of", {}).items()):
        if not DOORS.exists():
            continue
        held = re.search(rf"listen {port}\b", DOORS.read_text())
        if held:
            listen_on(port, helper, [port, helper])
        redirect(state, engine)
        if held:
            time.sleep(_SETTLED_S)
            listen_on(port, helper, [helper])
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
                probe.bind(("0.0.0.0", port))  # noqa: S104
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


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_bytes())
