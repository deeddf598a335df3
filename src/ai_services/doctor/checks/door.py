"""The front door: who listens where, the firewall, nginx, the name."""

from __future__ import annotations

import ipaddress
from typing import Any

from ai_services.doctor.bounded import Unseen
from ai_services.doctor.verdict import Fix, Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "door"
# What the stack publishes, on 127.0.0.1 only: gateway (two of them during an upgrade), and monitoring.
OUR_PORTS = {8080, 8081, 8000, 11434, 3000, 9090, 9100, 9400, 9835}
DOOR_PORTS = {80: "HTTP", 443: "HTTPS"}


def _open(row: dict[str, Any]) -> bool:
    try:
        return not ipaddress.ip_address(row["address"]).is_loopback
    except ValueError:
        return True


@check("ports", GROUP)
def ports(seen: Seen) -> Verdict:
    """Are 80 and 443 nginx's, and is nothing else of ours open beyond this machine?

    A port that a container publishes to all addresses passes by ufw and is open to everybody, whatever the firewall
    says. Failed when a container's port listens beyond 127.0.0.1 on a number of ours, or when somebody else sits on 80
    or 443; a stranger's process on such a number is a warning.
    `./ai deploy HOST` publishes as it should be; `ss -ltnp` shows who listens.
    """
    settings = (seen.get("release") or {}).get("settings", {})
    rows = [row for row in seen["ports"] if row["proto"] == "tcp"]
    bad: list[str] = []
    strangers: list[str] = []
    doors = set()
    published = {port for row in seen.get("containers") or [] for port in row["published"]}
    for row in rows:
        who = row["process"]
        if row["port"] in DOOR_PORTS and _open(row):
            if who in ("nginx", None):
                doors.add(row["port"])
            else:
                bad.append(f"port {row['port']} is taken by {who} (pid {row['pid']})")
        elif row["port"] in OUR_PORTS and _open(row):
            # Docker listens by its proxy, or by none at all where that is switched off.
            said = f"port {row['port']} is open on {row['address']} ({who or 'docker'})"
            (bad if who in (None, "docker-proxy") else strangers).append(said)
    for place in sorted(published):
        address, _, port = place.rpartition(":")
        if address and not ipaddress.ip_address(address.strip("[]")).is_loopback and int(port) not in OUR_PORTS:
            bad.append(f"a container of ours publishes {place}")
    if bad:
        return failed(
            "; ".join(dict.fromkeys(bad)), "Publish to 127.0.0.1 only: `./ai deploy HOST`; `ss -ltnp` shows who listens"
        )
    if strangers and settings:
        return warning(
            f"{'; '.join(strangers)}: not the stack's, on a port that its services have inside",
            "Whose is it? Close it, or leave it if you know it",
        )
    if not settings:
        return ok("nothing of ours is open") if not doors else ok(f"open: {', '.join(map(str, sorted(doors)))}")
    wanted = {80} if settings.get("ai_tls") == "off" else {443}
    if missing := wanted - doors:
        return failed(
            f"nobody listens on {', '.join(f'{port} ({DOOR_PORTS[port]})' for port in sorted(missing))}",
            "`systemctl status nginx`, `nginx -t`",
            Fix("start-unit", "nginx.service"),
        )
    return ok(f"open: {', '.join(map(str, sorted(doors)))} by nginx; everything else of ours on 127.0.0.1 only")


@check("firewall", GROUP)
def firewall(seen: Seen) -> Verdict:
    """Is our firewall table loaded in the kernel?

    It lets only `ai_allowed_networks` reach 80 and 443. The table `inet ai` can be flushed by other tools
    (`nft flush ruleset`, a restart of another firewall). `systemctl restart ai-firewall` loads it
    again; so does `--fix`.
    """
    if (seen["release"] or {}).get("settings", {}).get("ai_firewall") == "off":
        return skipped("ai_firewall is off: who may reach this host is decided elsewhere")
    found = seen["firewall"]
    if "inet ai" not in found["tables"]:
        return failed(
            "the table `inet ai` is not loaded: whoever reaches this machine reaches its ports",
            "`systemctl restart ai-firewall`; then find out what flushed it: `journalctl -b | grep -i nft`",
            Fix("restart-unit", "ai-firewall.service"),
        )
    return ok(f"table `inet ai` with {found['rules']} rules")


@check("nginx", GROUP)
def nginx(seen: Seen) -> Verdict:
    """Does nginx run, and would it accept its configuration at the next reload?

    A broken file is noticed only at a reload or a reboot, and then the door stays shut. `nginx -t` names file and line.
    `--fix` starts a stopped nginx when its configuration is right.
    """
    found = seen["nginx"]
    if not found["installed"]:
        return (
            failed("nginx is not installed", "`./ai deploy HOST` installs it")
            if seen.get("release")
            else skipped("nginx is not installed")
        )
    if not found["valid"]:
        return failed(
            f"its configuration is broken: {found['said']}", "Mend what `nginx -t` names, or `./ai deploy HOST`"
        )
    if not found["running"] and not seen.get("release"):
        return skipped("nginx is not running, and nothing is deployed here")
    if not found["running"]:
        return failed(
            "nginx is not running",
            "`systemctl start nginx`; `journalctl -u nginx -b`",
            Fix("start-unit", "nginx.service"),
        )
    if found["reload_due"]:
        return warning(
            "its configuration is newer than its last reload",
            "`systemctl reload nginx` (no request fails)",
            Fix("reload-unit", "nginx.service"),
        )
    return ok("running, configuration valid")


@check("dns", GROUP)
def dns(seen: Seen) -> Verdict:
    """Does the domain lead to this machine, as this machine resolves it?

    Failed when the name has no address, or only addresses of others. Behind NAT or a load balancer, where this machine
    has private addresses and the name a public one, that is a warning. Mend the record at your DNS provider.
    """
    domain = (seen["release"] or {}).get("settings", {}).get("ai_domain")
    if not domain:
        return skipped("no domain is configured")
    addresses = seen["domain_addresses"]
    ours = set(seen["my_addresses"])
    if not addresses:
        return failed(f"{domain} has no address", f"Make a record for {domain}: {_join(ours)}")
    hits = [address for address in addresses if address in ours or ipaddress.ip_address(address).is_loopback]
    said = f"{domain} leads to {_join(addresses)}"
    if not hits:
        public = [address for address in addresses if ipaddress.ip_address(address).is_global]
        if public and all(ipaddress.ip_address(address).is_private for address in ours):
            return warning(
                f"{said}; ours are {_join(ours)}",
                "Right only if a router or load balancer there forwards to this machine",
            )
        return failed(
            f"{said}, and this machine is {_join(ours)}", f"Correct the record of {domain}, then wait for its TTL"
        )
    others = [address for address in addresses if address not in hits]
    if others:
        return warning(f"{said}; not ours: {_join(others)}", f"Remove the records of {domain} that lead elsewhere")
    return ok(said)


def _join(addresses: Any) -> str:
    return ", ".join(sorted(addresses)) or "(no address)"


def domain_of(seen: Seen) -> str:
    """Return the domain of the release; `Unseen` where there is none."""
    domain = (seen["release"] or {}).get("settings", {}).get("ai_domain")
    if not domain:
        raise Unseen("no domain is configured")
    return str(domain)
