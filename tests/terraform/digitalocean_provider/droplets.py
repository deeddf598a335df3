"""The resources `digitalocean_droplet` and `digitalocean_ssh_key`."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final

from tf.iface import Resource
from tf.schema import Attribute, Schema
from tf.types import Bool, Number, String, Unknown
from typing_extensions import override

from terraform.plugin import ApiError, Texts, unset

if TYPE_CHECKING:
    from terraform.digitalocean_provider.provider import DigitalOcean

_READ_ONLY: Final = {
    "created_at": String(),
    "disk": Number(),
    "ipv4_address": String(),
    "ipv4_address_private": String(),
    "locked": Bool(),
    "memory": Number(),
    "price_hourly": Number(),
    "price_monthly": Number(),
    "status": String(),
    "urn": String(),
    "vcpus": Number(),
}
_SENT: Final = ("name", "region", "size", "image", "ssh_keys", "ipv6", "monitoring", "backups", "tags", "vpc_uuid")
# How often a new droplet is looked at; the real one waits ten seconds before it looks first.
_LOOK_EVERY_S: Final = 0.1


def hashed(user_data: str) -> str:
    """What the state holds of user data."""
    return hashlib.sha1(user_data.encode()).hexdigest()


def _flag(name: str, default: bool = False, **kind: Any) -> Attribute:
    return Attribute(name, Bool(), optional=True, computed=True, default=default, **kind)


class Droplet(Resource):
    """A virtual machine; it is there when its status is active."""

    def __init__(self, provider: DigitalOcean) -> None:
        self.provider = provider

    @override
    @classmethod
    def get_name(cls) -> str:
        return "droplet"

    @override
    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(
            version=1,
            attributes=[
                Attribute("id", String(), computed=True),
                Attribute("image", String(), required=True, requires_replace=True),
                Attribute("name", String(), required=True),
                Attribute("size", String(), required=True),
                Attribute("region", String(), optional=True, computed=True, requires_replace=True),
                Attribute("ssh_keys", Texts(), optional=True, requires_replace=True),
                Attribute("user_data", String(), optional=True, requires_replace=True),
                Attribute("tags", Texts(), optional=True),
                Attribute("vpc_uuid", String(), optional=True, computed=True, requires_replace=True),
                Attribute("volume_ids", Texts(), optional=True, computed=True),
                Attribute("ipv6_address", String(), optional=True, computed=True),
                Attribute("private_networking", Bool(), optional=True, computed=True, deprecated=True),
                Attribute("droplet_agent", Bool(), optional=True, requires_replace=True),
                _flag("backups"),
                _flag("graceful_shutdown"),
                _flag("ipv6"),
                _flag("monitoring", requires_replace=True),
                _flag("resize_disk", default=True),
                *(Attribute(name, kind, computed=True) for name, kind in _READ_ONLY.items()),
            ],
        )

    @override
    def validate(self, diags: Any, type_name: str, config: dict[str, Any]) -> None:
        super().validate(diags, type_name, config)
        for name in ("image", "name", "region", "size", "user_data", "vpc_uuid"):
            if config.get(name) == "":
                words = f'expected "{name}" to not be an empty string or whitespace'
                diags.add_error(words, f"{name} must not be a zero value", path=[name])

    @override
    def create(self, ctx: Any, planned: dict[str, Any]) -> dict[str, Any] | None:
        body = {name: planned[name] for name in _SENT if not unset(planned[name])}
        if (user_data := self.provider.configured().get("user_data")) is not None:
            body["user_data"] = user_data
        try:
            droplet = self.provider.api.ask("POST", "/v2/droplets", body)["droplet"]
            while droplet["status"] == "new":
                time.sleep(_LOOK_EVERY_S)
                droplet = self.provider.api.ask("GET", f"/v2/droplets/{droplet['id']}")["droplet"]
        except ApiError as no:
            ctx.diagnostics.add_error(f"Error creating droplet: {no}")
            return None
        return {**planned, **shown(droplet)}

    @override
    def read(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
        try:
            droplet = self.provider.api.ask("GET", f"/v2/droplets/{current['id']}")["droplet"]
        except ApiError as no:
            if no.status == 404:
                return None
            ctx.diagnostics.add_error(f"Error retrieving droplet: {no}")
            return current
        return {**current, **shown(droplet)}

    @override
    def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        actions = []
        if current["size"] != planned["size"]:
            resize = {"type": "resize", "size": planned["size"], "disk": planned["resize_disk"]}
            actions += [{"type": "power_off"}, resize, {"type": "power_on"}]
        if current["name"] != planned["name"]:
            actions.append({"type": "rename", "name": planned["name"]})
        try:
            for action in actions:
                self.provider.api.ask("POST", f"/v2/droplets/{current['id']}/actions", action)
            droplet = self.provider.api.ask("GET", f"/v2/droplets/{current['id']}")["droplet"]
        except ApiError as no:
            ctx.diagnostics.add_error(f"Error updating droplet ({current['id']}): {no}")
            return current
        return {**planned, **shown(droplet)}

    @override
    def delete(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
        try:
            self.provider.api.ask("DELETE", f"/v2/droplets/{current['id']}")
        except ApiError as no:
            if no.status != 404:
                ctx.diagnostics.add_error(f"Error deleting droplet: {no}")
                return current
        return None

    @override
    def plan(self, ctx: Any, current: dict[str, Any] | None, planned: dict[str, Any]) -> dict[str, Any]:
        """A droplet of another size has other figures."""
        if current is not None and current["size"] != planned["size"]:
            planned |= dict.fromkeys(("disk", "memory", "vcpus", "price_hourly", "price_monthly"), Unknown)
        return planned

    @override
    def upgrade(self, ctx: Any, version: int, old: dict[str, Any]) -> dict[str, Any]:
        return old


def shown(droplet: dict[str, Any]) -> dict[str, Any]:
    """A droplet of the API as the resource's state; its image is what was asked for, and never looked at again."""
    addresses = {address["type"]: address["ip_address"] for address in droplet["networks"]["v4"]}
    figures = ("disk", "locked", "memory", "name", "status", "vcpus")
    return {
        "id": str(droplet["id"]),
        "urn": f"do:droplet:{droplet['id']}",
        "region": droplet["region"]["slug"],
        "size": droplet["size_slug"],
        "price_hourly": droplet["size"]["price_hourly"],
        "price_monthly": droplet["size"]["price_monthly"],
        "created_at": droplet["created_at"],
        "vpc_uuid": droplet["vpc_uuid"],
        "ipv4_address": addresses.get("public", ""),
        "ipv4_address_private": addresses.get("private", ""),
        "ipv6_address": "",
        "ipv6": "ipv6" in droplet["features"],
        "backups": "backups" in droplet["features"],
        "monitoring": "monitoring" in droplet["features"],
        "private_networking": "private_networking" in droplet["features"],
        "tags": sorted(droplet["tags"]) or None,
        "volume_ids": droplet["volume_ids"],
        **{name: droplet[name] for name in figures},
    }


class SshKey(Resource):
    """A public key of the account."""

    def __init__(self, provider: DigitalOcean) -> None:
        self.provider = provider

    @override
    @classmethod
    def get_name(cls) -> str:
        return "ssh_key"

    @override
    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(
            version=0,
            attributes=[
                Attribute("id", String(), computed=True),
                Attribute("name", String(), required=True),
                Attribute("public_key", String(), required=True, requires_replace=True),
                Attribute("fingerprint", String(), computed=True),
            ],
        )

    @override
    def create(self, ctx: Any, planned: dict[str, Any]) -> dict[str, Any] | None:
        body = {"name": planned["name"], "public_key": planned["public_key"]}
        return self._asked(ctx, "creating", "POST", "/v2/account/keys", body)

    @override
    def read(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
        return self._asked(ctx, "retrieving", "GET", f"/v2/account/keys/{current['id']}") or None

    @override
    def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        body = {"name": planned["name"]}
        return self._asked(ctx, "updating", "PUT", f"/v2/account/keys/{current['id']}", body) or current

    @override
    def delete(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
        try:
            self.provider.api.ask("DELETE", f"/v2/account/keys/{current['id']}")
        except ApiError as no:
            if no.status != 404:
                ctx.diagnostics.add_error(f"Error deleting SSH key: {no}")
                return current
        return None

    def _asked(
        self, ctx: Any, doing: str, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        try:
            key = self.provider.api.ask(method, path, body)["ssh_key"]
        except ApiError as no:
            if method != "GET" or no.status != 404:
                ctx.diagnostics.add_error(f"Error {doing} SSH Key: {no}")
            return None
        return {**{name: key[name] for name in ("name", "public_key", "fingerprint")}, "id": str(key["id"])}
