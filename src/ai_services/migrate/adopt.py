"""What the host itself has of what an operator would have to give: its token for Cloudflare, its bought certificate.

Both are read over SSH into files that only this user can read (AI_HOME/adopted/HOST): a later deploy wants them too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.remote import Remote
from ai_services.host.values import Given
from ai_services.local.home import write_atomically
from ai_services.migrate.compose import Derived
from ai_services.migrate.found import Found, Service, Site

_LIMIT_BYTES = 1 << 20
_NAMES = {
    "ai_cloudflare_token_file": "cloudflare-token",
    "ai_tls_certificate_file": "fullchain.pem",
    "ai_tls_key_file": "privkey.pem",
}


def adopt(
    found: Found, service: Service, derived: Derived, given: Mapping[str, Any], remote: Remote, folder: Path
) -> None:
    """Put into `derived` the settings whose files the host has, unless they were given.

    Raises:
        OperatorError: a file that was seen there cannot be read, or has not what it should.
    """
    if given.get("ai_tls", "letsencrypt") != "letsencrypt" or "ai_cloudflare_token_file" in given:
        return
    if found.cloudflare:
        token = _token(_read(remote, found.cloudflare), found.cloudflare)
        kept = _keep(folder / "cloudflare-token", f"{token}\n")
        derived.put("ai_cloudflare_token_file", kept, f"a copy of the token in {found.cloudflare} on the host")
        derived.adopted["ai_cloudflare_token_file"] = found.cloudflare
        return
    domain = given.get("ai_domain") or derived.values.get("ai_domain")
    site = _bought(found, service, str(domain))
    if site is None or "ai_tls" in given:
        return
    derived.put("ai_tls", "own", f"{site.certificate} was not obtained by certbot")
    for name, path in (("ai_tls_certificate_file", site.certificate), ("ai_tls_key_file", site.key)):
        derived.put(name, _keep(folder / _NAMES[name], _read(remote, path)), f"a copy of {path} on the host")
        derived.adopted[name] = path


def adopt_again(
    adopted: Mapping[str, str], known: Mapping[str, str], given: Given, remote: Remote, folder: Path
) -> None:
    """Give anew what another machine had taken from the host, where this one goes on with its migration.

    `adopted` is that of the plan that was begun, `known` are the files that were named here for this host. Raises what
    `adopt` does.
    """
    for name, path in adopted.items():
        if name in given.values or name not in _NAMES or Path(known.get(name, "")).is_file():
            continue
        content = _read(remote, path)
        kept = f"{_token(content, path)}\n" if name == "ai_cloudflare_token_file" else content
        given.put(name, _keep(folder / _NAMES[name], kept), f"a copy of {path} on the host")


def _bought(found: Found, service: Service, domain: str) -> Site | None:
    """Return the site of `domain` whose certificate is a plain file: one that nobody renews but its owner."""
    lineages = {one.path for one in found.front.certificates if one.lineage}
    for site in found.front.of(service):
        if site.tls and domain in site.names and site.certificate and site.key and site.certificate not in lineages:
            return site
    return None


def _read(remote: Remote, path: str) -> str:
    content = b""
    for part in remote.get(path, root=True):
        content += part
        if len(content) > _LIMIT_BYTES:
            raise OperatorError(f"{path} on {remote.target} is too large to be a secret or a certificate.")
    return content.decode(errors="replace")


def _token(text: str, path: str) -> str:
    found = re.search(r"(?m)^\s*dns_cloudflare_api_token\s*=\s*(\S+)\s*$", text)
    if found is None:
        raise OperatorError(
            f"{path} on the host holds no API token (an old global key is not taken).",
            hint="Give a token with the permission Zone:DNS:Edit: --set ai_cloudflare_token_file=FILE",
            exit_code=BLOCKED,
        )
    return found[1]


def _keep(path: Path, content: str) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, content)
    return str(path)
