"""Everything about a host that a visitor could leave behind: taken twice and compared.

Not compared is what a machine changes by itself (logs, caches, package indexes) and what logging in leaves
(Ansible's empty folder for temporary files).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from host.lab import engine

# Runs on the host with nothing but its own Python.
_LOOK = r"""
import hashlib, json, os, subprocess

def lines(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return sorted(line.strip() for line in done.stdout.splitlines() if line.strip())

def files(*tops):
    found = {}
    for top in tops:
        for folder, names, plain in os.walk(top):
            for name in names + plain:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                if os.path.islink(path):
                    what = "-> " + os.readlink(path)
                elif os.path.isfile(path):
                    with open(path, "rb") as opened:
                        what = hashlib.sha256(opened.read()).hexdigest()
                elif os.path.isdir(path):
                    what = "folder"
                else:
                    continue
                found[path] = "%o %d:%d %s" % (info.st_mode & 0o7777, info.st_uid, info.st_gid, what)
    return found

print(json.dumps({
    "packages": lines("dpkg-query", "--show", "--showformat=${binary:Package} ${Version} ${db:Status-Abbrev}\n"),
    "files": files("/etc", "/usr/local", "/opt", "/srv", "/root", "/home", "/var/spool/cron"),
    "folders": lines("find", "/", "/var", "/var/lib", "-mindepth", "1", "-maxdepth", "1", "-type", "d"),
    "unit files": lines("systemctl", "list-unit-files", "--no-legend", "--plain"),
    "active units": lines("systemctl", "list-units", "--no-legend", "--plain", "--state=active",
                          "--type=service,timer,socket,path"),
    "ports": lines("ss", "-Hlntu"),
    "interfaces": lines("ip", "-o", "-brief", "link"),
    "firewall": lines("nft", "--stateless", "list", "ruleset"),
    "groups": lines("id", "deployer"),
}))
"""

VOLATILE = re.compile(
    r"^/etc/(\.pwd\.lock|ld\.so\.cache|mtab|.*-)$"  # passwd-, group-: the last but one version, kept by the tools
    r"|^/(root|home/\w+)/\.(ansible|ansible_async|cache|docker)(/|$)"
    r"|^/etc/ssl/certs/ca-certificates\.crt$"  # the order of its parts follows the directory
    r"|^/home/\w+/\.bash_history$"
)
# started on demand and gone by themselves; or run once, at the first boot
PASSING_UNITS = re.compile(
    r"^(systemd-(timedated|hostnamed|localed|journal-catalog-update|sysusers|update-done)|ldconfig|apt-daily"
    r"|systemd-tmpfiles|dpkg-db|fstrim|e2scrub|man-db|user@|user-|session-|run-)"
)
# containerd's own, and those of Docker's resolver in the lab's containers: others after each start
PASSING_PORTS = re.compile(r" (127\.0\.0\.11:\d+|127\.0\.0\.1:(3[2-9]|[45]\d|60)\d{3})$")
NOT_A_LINE = re.compile(r"\s+")


@dataclass(frozen=True)
class Footprint:
    """What was seen, by kind; each a set of lines."""

    seen: dict[str, frozenset[str]]

    @classmethod
    def of(cls, container: str) -> Footprint:
        """Look at a host now."""
        raw = json.loads(engine.run_in(container, ["python3", "-c", _LOOK]))
        raw["files"] = [f"{path} {what}" for path, what in raw["files"].items() if not VOLATILE.search(path)]
        ports = [" ".join([*line.split()[:1], *line.split()[4:5]]) for line in raw["ports"]]
        raw["ports"] = [line for line in ports if not PASSING_PORTS.search(line)]
        for kind in ("unit files", "active units"):
            raw[kind] = [line.split()[0] for line in raw[kind] if not PASSING_UNITS.match(line)]
        # carriers come and go, and a peer's number changes with a restart
        interfaces = [line.split()[0].partition("@")[0] for line in raw["interfaces"]]
        raw["interfaces"] = [name for name in interfaces if not name.startswith("veth")]
        return cls({kind: frozenset(NOT_A_LINE.sub(" ", line) for line in lines) for kind, lines in raw.items()})

    def differences(self, later: Footprint) -> list[str]:
        """What `later` has more (`+`) or less (`-`), kind by kind, sorted; empty when all is as it was."""
        found: list[str] = []
        for kind, lines in self.seen.items():
            found += [f"- {kind}: {line}" for line in sorted(lines - later.seen[kind])]
            found += [f"+ {kind}: {line}" for line in sorted(later.seen[kind] - lines)]
        return found
