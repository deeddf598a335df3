"""Names in lab.test, changed as anyone changes them: by signed dynamic updates."""

from __future__ import annotations

import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update

from host.lab import configuration
from host.lab.place import DOMAIN, Lab, LabError

TTL_S = 5
TIMEOUT_S = 10


def point(lab: Lab, server: str, name: str, target: str | None) -> None:
    """Let `name`.lab.test be the address `target`, or nothing if that is None.

    Raises:
        LabError: the name server refused.
    """
    known = configuration.Secrets.of(lab.secrets)
    keys = dns.tsigkeyring.from_text({"lab": known.tsig})
    update = dns.update.UpdateMessage(DOMAIN, keyring=keys, keyalgorithm=dns.name.from_text("hmac-sha256"))
    update.delete(name, "A")
    if target is not None:
        update.add(name, TTL_S, "A", target)
    answer = dns.query.tcp(update, server, timeout=TIMEOUT_S)
    if answer.rcode() != dns.rcode.NOERROR:
        raise LabError(f"the lab's name server refused {name}.{DOMAIN}: {dns.rcode.to_text(answer.rcode())}")
