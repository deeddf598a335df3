"""The resource `cloudflare_dns_record` and the data source `cloudflare_dns_records`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from tf.iface import (
    CreateContext,
    DataSource,
    DeleteContext,
    ImportContext,
    PlanContext,
    ReadContext,
    ReadDataContext,
    Resource,
    UpdateContext,
)
from tf.schema import Attribute, Schema
from tf.types import Bool, Number, String, Unknown
from typing_extensions import override

from terraform.plugin import ApiError, Nested, Texts, unset

if TYPE_CHECKING:
    from terraform.cloudflare_provider.provider import Cloudflare

_SENT: Final = ("name", "type", "content", "ttl", "proxied", "comment", "tags", "priority", "settings")
_MOVING: Final = ("modified_on", "comment_modified_on", "tags_modified_on", "meta", "proxiable")
SETTINGS: Final = Nested(
    "settings",
    [Attribute(name, Bool(), optional=True, computed=True) for name in ("ipv4_only", "ipv6_only", "flatten_cname")],
    optional=True,
    computed=True,
)
_READ_ONLY: Final = {
    "comment_modified_on": String(),
    "created_on": String(),
    "meta": String(),
    "modified_on": String(),
    "proxiable": Bool(),
    "tags_modified_on": String(),
}


class DnsRecord(Resource):
    """One DNS record; its name is the full one, its TTL 1 for automatic."""

    def __init__(self, provider: Cloudflare) -> None:
        self.provider = provider

    @override
    @classmethod
    def get_name(cls) -> str:
        return "dns_record"

    @override
    @classmethod
    def get_schema(cls) -> Schema:
        return Schema(
            version=0,
            attributes=[
                Attribute("zone_id", String(), required=True, requires_replace=True),
                Attribute("name", String(), required=True),
                Attribute("ttl", Number(), required=True),
                Attribute("type", String(), required=True),
                Attribute("comment", String(), optional=True),
                Attribute("content", String(), optional=True),
                Attribute("priority", Number(), optional=True),
                Attribute("private_routing", Bool(), optional=True),
                Attribute("proxied", Bool(), optional=True, computed=True, default=False),
                Attribute("tags", Texts(), optional=True, computed=True, default=[]),
                SETTINGS,
                Attribute("id", String(), computed=True),
                *(Attribute(name, kind, computed=True) for name, kind in _READ_ONLY.items()),
            ],
        )

    @override
    def create(self, ctx: CreateContext, planned: dict[str, Any]) -> dict[str, Any] | None:
        return self._put(ctx, "POST", f"/zones/{planned['zone_id']}/dns_records", planned)

    @override
    def update(self, ctx: UpdateContext, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any] | None:
        path = f"/zones/{current['zone_id']}/dns_records/{current['id']}"
        return self._put(ctx, "PUT", path, planned) or current

    @override
    def read(self, ctx: ReadContext, current: dict[str, Any]) -> dict[str, Any] | None:
        try:
            path = f"/zones/{current['zone_id']}/dns_records/{current['id']}"
            answer = self.provider.api.ask("GET", path)["result"]
        except ApiError as no:
            if no.status == 404:
                words = "The resource was not found on the server and will be removed from state."
                ctx.diagnostics.add_warning("Resource not found", words)
                return None
            ctx.diagnostics.add_error("failed to make http request", str(no))
            return current
        return {"private_routing": current.get("private_routing"), **shown(answer, current["zone_id"])}

    @override
    def delete(self, ctx: DeleteContext, current: dict[str, Any]) -> dict[str, Any] | None:
        try:
            self.provider.api.ask("DELETE", f"/zones/{current['zone_id']}/dns_records/{current['id']}")
        except ApiError as no:
            if no.status != 404:
                ctx.diagnostics.add_error("failed to make http request", str(no))
                return current
        return None

    @override
    def plan(self, ctx: PlanContext, current: dict[str, Any] | None, planned: dict[str, Any]) -> dict[str, Any]:
        """What a change moves along with it is not known before it is made."""
        if current is not None and any(current[name] != planned[name] for name in (*_SENT, "zone_id")):
            planned |= dict.fromkeys(_MOVING, Unknown)
            if current["zone_id"] != planned["zone_id"]:
                planned |= {"id": Unknown, "created_on": Unknown}
        return planned

    @override
    def import_(self, ctx: ImportContext, id: str) -> dict[str, Any] | None:
        zone_id, slash, record_id = id.partition("/")
        if not slash or not zone_id or not record_id:
            ctx.diagnostics.add_error("invalid ID", f'expected "<zone_id>/<dns_record_id>", got "{id}"')
            return None
        blank = dict.fromkeys(attribute.name for attribute in self.get_schema().attributes)
        return self.read(ctx, {**blank, "zone_id": zone_id, "id": record_id})

    def _put(self, ctx: Any, method: str, path: str, planned: dict[str, Any]) -> dict[str, Any] | None:
        body = {name: planned[name] for name in _SENT if not unset(planned[name])}
        if isinstance(body.get("settings"), dict):
            body["settings"] = {name: value for name, value in body["settings"].items() if not unset(value)}
        try:
            answer = self.provider.api.ask(method, path, body)["result"]
        except ApiError as no:
            ctx.diagnostics.add_error("failed to make http request", str(no))
            return None
        return {"private_routing": planned["private_routing"], **shown(answer, planned["zone_id"])}


def shown(record: dict[str, Any], zone_id: str) -> dict[str, Any]:
    """A record of the API as the resource's state, without `private_routing`."""
    return {
        "zone_id": zone_id,
        "tags": sorted(record.get("tags") or []),
        "settings": {**SETTINGS.blank(), **(record.get("settings") or {})},
        "meta": json.dumps(record.get("meta") or {}),
        **{
            name: record.get(name)
            for name in ("id", "name", "ttl", "type", "comment", "content", "priority", "proxied")
        },
        **{name: record.get(name) for name in _READ_ONLY if name != "meta"},
    }


def _texts(*names: str) -> list[Attribute]:
    return [Attribute(name, String(), optional=True) for name in names]


class DnsRecords(DataSource):
    """The records of a zone that a filter lets through."""

    def __init__(self, provider: Cloudflare) -> None:
        self.provider = provider

    @override
    @classmethod
    def get_name(cls) -> str:
        return "dns_records"

    @override
    @classmethod
    def get_schema(cls) -> Schema:
        record = [attribute for attribute in DnsRecord.get_schema().attributes if attribute.name != "zone_id"]
        return Schema(
            attributes=[
                Attribute("zone_id", String(), required=True),
                *(
                    Nested(name, _texts("contains", "endswith", "exact", "startswith"), optional=True)
                    for name in ("name", "content")
                ),
                Nested(
                    "comment", _texts("absent", "contains", "endswith", "exact", "present", "startswith"), optional=True
                ),
                *_texts("type", "order", "direction", "match", "search"),
                Attribute("proxied", Bool(), optional=True),
                Attribute("max_items", Number(), optional=True),
                Nested("result", [computed(attribute) for attribute in record], many=True, computed=True),
            ]
        )

    @override
    def read(self, ctx: ReadDataContext, config: dict[str, Any]) -> dict[str, Any] | None:
        query: dict[str, str] = {}
        for name in ("name", "content", "comment"):
            for how, value in (config.get(name) or {}).items():
                if value is not None:
                    query[f"{name}.{how}"] = value
        for name in ("type", "order", "direction", "match", "search"):
            if config.get(name) is not None:
                query[name] = config[name]
        if config.get("proxied") is not None:
            query["proxied"] = "true" if config["proxied"] else "false"
        try:
            found = self.provider.api.ask("GET", f"/zones/{config['zone_id']}/dns_records?{urlencode(query)}")["result"]
        except ApiError as no:
            ctx.diagnostics.add_error("failed to make http request", str(no))
            return None
        most = int(config.get("max_items") or 1000)
        result = [{"private_routing": None, **shown(record, config["zone_id"])} for record in found[:most]]
        for record in result:
            del record["zone_id"]
        return {**config, "result": result}


def computed(attribute: Attribute) -> Attribute:
    """The same attribute, as one that is only read."""
    if isinstance(attribute, Nested):
        return Nested(attribute.name, [computed(part) for part in attribute.attributes], computed=True)
    return Attribute(attribute.name, attribute.type, computed=True)
