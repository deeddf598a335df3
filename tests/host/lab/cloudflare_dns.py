"""Writes a zone's records into the lab's real DNS server by signed dynamic updates (RFC 2136, TSIG)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update

from host.lab.cloudflare_zone import AUTOMATIC_TTL_S, Record, plain_text

# Who asks for a proxied name is given addresses of Cloudflare's, never the origin's; one of their published ranges.
PROXY_ADDRESSES = {"A": "104.16.0.1", "AAAA": "2606:4700::1"}


class DnsUpdateFailedError(Exception):
    """The DNS server did not take an update; the message has its reason."""


@dataclass(frozen=True)
class DnsServer:
    """Where updates go (`address`, `port`) and the key they are signed with; `secret` is base64."""

    address: str
    port: int
    key_name: str
    algorithm: str
    secret: str

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DnsServer:
        """The members `dns_server`, `dns_port` (53) and `tsig` of the stand-in's configuration."""
        tsig = config["tsig"]
        return cls(config["dns_server"], config.get("dns_port", 53), tsig["name"], tsig["algorithm"], tsig["secret"])

    def publish(self, zone: str, name: str, kind: str, records: Iterable[Record]) -> None:
        """Make `records` the only ones of `name` and `kind`. Raises DnsUpdateFailedError."""
        keys = dns.tsigkeyring.from_text({self.key_name: self.secret})
        update = dns.update.UpdateMessage(zone, keyring=keys, keyalgorithm=self.algorithm)
        update.delete(f"{name}.", kind)
        for record in records:
            shown, value = presented(record)
            update.add(f"{name}.", AUTOMATIC_TTL_S if record["ttl"] == 1 else record["ttl"], shown, value)
        try:
            answer = dns.query.tcp(update, self.address, timeout=10, port=self.port)
        except Exception as error:
            raise DnsUpdateFailedError(f"{self.address}:{self.port} did not answer: {error}") from error
        if answer.rcode() != dns.rcode.NOERROR:
            raise DnsUpdateFailedError(f"{self.address}:{self.port} said {dns.rcode.to_text(answer.rcode())}")


def presented(record: Record) -> tuple[str, str]:
    """Type and value of a record in a zone file's notation."""
    kind = record["type"]
    if record["proxied"]:
        kind = "A" if kind == "CNAME" else kind
        return kind, PROXY_ADDRESSES[kind]
    text = plain_text(record)
    if kind == "TXT":
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        # one string of a TXT record holds 255 bytes
        return kind, " ".join(f'"{escaped[start : start + 255]}"' for start in range(0, len(escaped), 255))
    if kind == "MX":
        return kind, f"{record['priority']} {text}."
    return kind, f"{text}." if kind in {"CNAME", "NS"} else text
