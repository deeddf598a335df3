"""The Debian mirror that this machine itself uses: its apt sources are the only place that names one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from host.lab.place import LabError

SUITES = ("trixie", "bookworm")
SOURCES = Path("/etc/apt")


@dataclass(frozen=True)
class Mirror:
    """Where Debian's packages come from."""

    main: str  # …/debian
    security: str  # …/debian-security

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names in both addresses, without ports."""
        return tuple(dict.fromkeys(urlsplit(uri).hostname or "" for uri in (self.main, self.security)))

    def sources(self, suite: str) -> str:
        """/etc/apt/sources.list.d/debian.sources of a host, as Debian's installer writes it."""
        signed = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg"
        components = "Components: main non-free-firmware"
        return (
            f"Types: deb\nURIs: {self.main}\nSuites: {suite} {suite}-updates\n{components}\n{signed}\n\n"
            f"Types: deb\nURIs: {self.security}\nSuites: {suite}-security\n{components}\n{signed}\n"
        )


@cache
def this_machines() -> Mirror:
    """The mirror in /etc/apt.

    Raises:
        LabError: no source there has the shape of a Debian mirror.
    """
    uris = list(_uris())
    main = next((uri for uri in uris if uri.endswith("/debian")), None)
    if main is None:
        raise LabError(f"no Debian mirror in {SOURCES}: the lab takes the hosts' packages from where this machine does")
    security = next((uri for uri in uris if uri.endswith("/debian-security")), f"{main}-security")
    return Mirror(main, security)


def _uris() -> list[str]:
    found: list[str] = []
    for path in [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        for line in path.read_text(errors="replace").splitlines():
            if path.suffix == ".sources":
                match = re.match(r"URIs:\s*(.+)", line)
                found += match[1].split() if match else []
            else:
                match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)", line)
                found += [match[1]] if match else []
    return [uri.rstrip("/") for uri in found]
