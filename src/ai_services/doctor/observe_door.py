"""nginx, firewall, units, certificate and its renewal, as they are on the host now."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from ai_services.doctor import x509
from ai_services.doctor.bounded import Unseen, client_tls, read, read_or, run
from ai_services.doctor.observe_release import expected
from ai_services.doctor.observe_services import units as unit_states

TLS_TIMEOUT_S = 5.0
# There, or not: which of two gateways nginx asks (templates/nginx/proxy.conf.j2).
SWITCH = "opt/ai/switch/8081"
_OURS = ("nginx.service", "docker.service", "certbot.service", "ai-firewall.service", "nvidia-persistenced.service")


def nginx(root: Path = Path("/")) -> dict[str, Any]:
    """Return `installed`, `running`, `valid` (nginx -t), `said` (its complaint) and `reload_due`.

    `reload_due`: a file of its configuration is newer than the oldest of the running workers.

    Raises:
        Unseen: not root (nginx -t must read the private keys).
    """
    try:
        tested = run(["nginx", "-t", "-q"], 10)
    except Unseen as error:
        if "is not installed" in str(error):
            return {"installed": False, "running": False, "valid": False, "said": "", "reload_due": False}
        raise
    if os.geteuid() != 0:
        raise Unseen("nginx -t needs root")
    complaint = next((line for line in tested.err.splitlines() if "[emerg]" in line or "[crit]" in line), tested.said)
    master = _master(root)
    return {
        "installed": True,
        "running": master is not None,
        "valid": tested.code == 0,
        "said": "" if tested.code == 0 else re.sub(r"^nginx: |^.*\[(emerg|crit)\] (\d+#\d+: )?", "", complaint)[:200],
        "reload_due": master is not None and _reload_due(root, master),
    }


def _master(root: Path) -> int | None:
    with contextlib.suppress(ValueError):
        pid = int(read_or(root / "run/nginx.pid", "x"))
        if read_or(root / "proc" / str(pid) / "comm") == "nginx":
            return pid
    return None


def _reload_due(root: Path, master: int) -> bool:
    workers = read_or(root / f"proc/{master}/task/{master}/children").split()
    if not workers:
        return False
    # A worker is made by the last start or reload: its directory in /proc has that time.
    try:
        began = max((root / "proc" / worker).stat().st_mtime for worker in workers)
        newest = max(path.stat().st_mtime for path in (root / "etc/nginx").rglob("*.conf"))
    except (OSError, ValueError):
        return False
    return newest > began + 1


def gateway_port(root: Path = Path("/")) -> int:
    """Return the port of the gateway that nginx asks first."""
    return 8081 if (root / SWITCH).is_file() else 8080


def firewall() -> dict[str, Any]:
    """Return `tables` of nftables in the kernel ("inet ai") and how many `rules` ours has.

    Raises:
        Unseen: nft is not installed, or this is not root.
    """
    ran = run(["nft", "-j", "list", "ruleset"], 10)
    if ran.code != 0:
        raise Unseen(f"nft: {ran.said}")
    try:
        rows = json.loads(ran.out)["nftables"]
    except (ValueError, KeyError, TypeError):
        raise Unseen(f"nft answers no JSON (starts with {ran.out[:40]!r})") from None
    tables = [f"{row['table'].get('family')} {row['table'].get('name')}" for row in rows if "table" in row]
    rules = sum(row.get("rule", {}).get("table") == "ai" for row in rows)
    return {"tables": tables, "rules": rules}


def units() -> dict[str, dict[str, Any]]:
    """Return the state of the units that the stack stands on; `expected` is true for those that must be active."""
    wanted = {unit for note in expected().values() for unit in note["units"]}
    states = unit_states(sorted({*wanted, *_OURS}))
    return {
        name: {**state, "expected": name in wanted}
        for name, state in states.items()
        if name in wanted or state["load"] == "loaded"
    }


def unattended() -> dict[str, Any]:
    """Return `blacklist`, the patterns of packages that unattended upgrades leave alone."""
    ran = run(["apt-config", "dump", "Unattended-Upgrade::Package-Blacklist"], 10)
    return {"blacklist": [found for found in re.findall(r'"(.*?)";', ran.out) if found]}


def certificate(domain: str, root: Path = Path("/"), port: int = 443) -> dict[str, Any]:
    """Look at the certificate as a client does that connects to this machine by its name.

    Returns `served`, `why` it is not, and of the served one `left_s`, `life_s`, `not_yet_s`, `names`, `issuer`,
    `name_matches`, `verify_error` (of the chain, empty when this machine trusts it; times and name are judged apart)
    and `disk_differs`: another one lies in /etc/letsencrypt/live.
    """
    empty: dict[str, Any] = {"served": False, "why": "", "left_s": 0.0, "life_s": 0.0, "not_yet_s": 0.0, "names": []}
    empty.update(issuer="", name_matches=False, verify_error="", disk_differs=False)
    try:
        der = _served(domain, port, ssl._create_unverified_context())  # noqa: S323  # looked at, nothing is sent
        found = x509.parse(der or b"")
    except ssl.SSLError as error:
        return {**empty, "why": f"nginx refuses the name ({error.reason or 'TLS error'})"}
    except OSError as error:
        return {**empty, "why": str(error.strerror or error)}
    except ValueError as error:
        return {**empty, "why": str(error)}
    now = time.time()
    live = root / "etc/letsencrypt/live" / domain / "fullchain.pem"
    on_disk = _first_pem(read_or(live))
    return {
        "served": True,
        "why": "",
        "left_s": found.not_after.timestamp() - now,
        "life_s": (found.not_after - found.not_before).total_seconds(),
        "not_yet_s": max(0.0, found.not_before.timestamp() - now),
        "names": list(found.names),
        "issuer": found.issuer,
        "name_matches": found.is_for(domain),
        "verify_error": _chain_error(domain, port),
        "disk_differs": bool(on_disk) and on_disk != der,
    }


def _served(domain: str, port: int, context: ssl.SSLContext) -> bytes | None:
    with socket.create_connection(("127.0.0.1", port), TLS_TIMEOUT_S) as plain:
        plain.settimeout(TLS_TIMEOUT_S)
        with context.wrap_socket(plain, server_hostname=domain) as tls:
            return tls.getpeercert(binary_form=True)


# X509_V_ERR_CERT_NOT_YET_VALID, …_HAS_EXPIRED: judged apart from the chain.
_TIMES = (9, 10)


def _chain_error(domain: str, port: int) -> str:
    context = client_tls()
    context.check_hostname = False
    try:
        _served(domain, port, context)
    except ssl.SSLCertVerificationError as error:
        return "" if error.verify_code in _TIMES else error.verify_message
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _first_pem(text: str) -> bytes:
    found = re.search(r"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", text, re.DOTALL)
    with contextlib.suppress(ValueError):
        return base64.b64decode(found.group(1)) if found else b""
    return b""


def renewal(domain: str, root: Path = Path("/")) -> dict[str, Any]:
    """Return what renews the certificate.

    `timer` (as `units` has them), `configured` (certbot knows the domain), `last_failed`, `last_said`, and `hooks`:
    `path`, `executable`, `reloads` (names nginx).
    """
    states = unit_states(["certbot.timer", "certbot.service"])
    service = states["certbot.service"]
    settings = root / "etc/letsencrypt/renewal" / f"{domain}.conf"
    failed = service["active"] == "failed" or service["result"] not in ("success", "")
    last = states["certbot.timer"]["last_trigger"] or ""
    return {
        "timer": states["certbot.timer"],
        "configured": settings.is_file(),
        "last_failed": failed,
        "last_said": _last_words(root) if failed else (last if last not in ("n/a", "0") else ""),
        "hooks": _hooks(root, settings),
    }


def _last_words(root: Path) -> str:
    text = read_or(root / "var/log/letsencrypt/letsencrypt.log")
    # The reason comes first; certbot's last words are a count of failures.
    reasons = re.findall(r"Failed to renew certificate \S+ with error: (.+)", text)
    lines = reasons or [line for line in text.splitlines() if "ERROR" in line or "Error" in line or "Failed" in line]
    return re.sub(r"^\d{4}-\S+ \S+?:(ERROR|DEBUG|INFO):([\w.]+:)?", "", lines[-1])[:200] if lines else ""


def _hooks(root: Path, settings: Path) -> list[dict[str, Any]]:
    paths = sorted((root / "etc/letsencrypt/renewal-hooks/deploy").glob("*"))
    named = re.findall(r"^(?:renew_hook|deploy_hook)\s*=\s*(\S+)", read_or(settings), re.MULTILINE)
    hooks = []
    for path in dict.fromkeys([*paths, *(Path(name) for name in named if name.startswith("/"))]):
        with contextlib.suppress(Unseen, OSError):
            if path.is_file():
                reloads = "nginx" in read(path, 65536)
                hooks.append({"path": str(path), "executable": os.access(path, os.X_OK), "reloads": reloads})
    return hooks
