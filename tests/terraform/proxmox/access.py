"""Who asks, and what they may do: root with a ticket, users' API tokens with privileges on paths."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import unquote

from terraform.proxmox.refusals import Refused, no_login, not_permitted

ROOT = "root@pam"

# What a token needs for our module, and nothing more: a role of these on /, without propagating further by hand.
# Sources: the `permissions` of each endpoint, and what creating a VM checks for each of its options.
MODULE_PRIVILEGES = frozenset(
    {
        "Datastore.Allocate",
        "Datastore.AllocateSpace",
        "Datastore.AllocateTemplate",
        "Datastore.Audit",
        "Mapping.Use",
        "SDN.Use",
        "Sys.AccessNetwork",
        "VM.Allocate",
        "VM.Audit",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Disk",
        "VM.Config.HWType",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
        "VM.PowerMgmt",
    }
)


@dataclass(frozen=True)
class Account:
    """Somebody who may log in: `root@pam` with a password, or `USER@REALM!NAME` with a token's secret.

    `privileges` maps a path to those granted there; they hold below it too, unless a longer path says otherwise.
    """

    name: str
    secret: str
    privileges: Mapping[str, Iterable[str]] = field(default_factory=dict)
    # which of them something depended on so far
    used: set[str] = field(default_factory=set, compare=False)

    def has(self, path: str, privilege: str) -> bool:
        """Whether it has a privilege on a path. Root has all."""
        if self.name == ROOT:
            return True
        found = [known for known in self.privileges if known == "/" or f"{path}/".startswith(f"{known}/")]
        granted = bool(found) and privilege in set(self.privileges[max(found, key=len)])
        if granted:
            self.used.add(privilege)
        return granted

    def need(self, path: str, *privileges: str) -> None:
        """Refuse with 403 unless it has every privilege on the path."""
        for privilege in privileges:
            if not self.has(path, privilege):
                raise not_permitted(path, privilege)

    def need_any(self, path: str, *privileges: str) -> None:
        """Refuse with 403 unless it has one of the privileges on the path."""
        if not any(self.has(path, privilege) for privilege in privileges):
            raise not_permitted(path, *privileges)


@dataclass
class Doors:
    """The accounts, and the tickets that were handed out."""

    accounts: dict[str, Account]
    tickets: dict[str, tuple[Account, str]] = field(default_factory=dict)

    def ticket(self, name: str, password: str) -> dict[str, object]:
        """`POST /access/ticket`. Refuses with 401 and a JSON body, as this one path does."""
        account = self.accounts.get(name)
        if account is None or "!" in name or not hmac.compare_digest(account.secret, password):
            raise Refused("authentication failure", status=401)
        ticket, csrf = f"PVE:{name}:{secrets.token_hex(4).upper()}::{secrets.token_urlsafe(32)}", secrets.token_hex(16)
        self.tickets[ticket] = (account, csrf)
        return {"username": name, "ticket": ticket, "CSRFPreventionToken": csrf, "clustername": "stand-in", "cap": {}}

    def who(self, method: str, headers: Mapping[str, str]) -> Account:
        """The account behind a request. Refuses with 401 and no body."""
        token = headers.get("Authorization", "")
        if token.startswith("PVEAPIToken="):
            name, _, secret = token.removeprefix("PVEAPIToken=").partition("=")
            account = self.accounts.get(name)
            if account is None or "!" not in name or not hmac.compare_digest(account.secret, secret):
                raise no_login("Authentication failed!")
            return account
        cookie = SimpleCookie(headers.get("Cookie", "")).get("PVEAuthCookie")
        if cookie is None:
            raise no_login("No ticket")
        if (found := self.tickets.get(unquote(cookie.value))) is None:
            raise no_login("Authentication failed!")
        account, csrf = found
        if method != "GET" and not hmac.compare_digest(headers.get("CSRFPreventionToken", ""), csrf):
            raise no_login("Permission denied - invalid csrf token")
        return account
