"""What drops packets before a service of this host sees them: ufw, or rules of the owner's own."""

from __future__ import annotations

import re
from pathlib import Path

from ai_services.doctor.bounded import Unseen, read_or, run

_UFW = Path("/etc/ufw/ufw.conf")
# Tables of the old kind of iptables that are loaded; to ask for others would load them.
_LEGACY = Path("/proc/net/ip_tables_names")
_NEW = Path("/sys/module/nf_tables")


def packet_filter() -> dict[str, str]:
    """Return `kind` ("ufw"; "drop": what comes in is dropped unless a rule lets it in; "") and `evidence`.

    What Docker publishes is forwarded and passes by either; what a program of the host listens on does not.
    """
    # Not its unit: "ufw enable" loads the rules at once, but the unit is started with the next boot only.
    if re.search(r"(?m)^ENABLED=yes\s*$", read_or(_UFW)):
        return {"kind": "ufw", "evidence": f"{_UFW} has ENABLED=yes"}
    try:
        chains, has_nft = run(["nft", "list", "chains"], 10).out, True
    except Unseen:
        chains, has_nft = "", False
    for name, body in re.findall(r"chain (\S+) \{([^}]*)\}", chains):
        if re.search(r"hook input\b.*policy drop", body):
            return {"kind": "drop", "evidence": f"nft list chains: {name} has policy drop"}
    if "filter" in read_or(_LEGACY).split() or (not has_nft and _NEW.exists()):
        try:
            rules = run(["iptables", "-S", "INPUT"], 10).out
        except Unseen:
            rules = ""
        if re.search(r"(?m)^-P INPUT DROP", rules):
            return {"kind": "drop", "evidence": "iptables -S INPUT: -P INPUT DROP"}
    return {"kind": "", "evidence": ""}
