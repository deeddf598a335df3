"""The data source `cloudflare_zone`: one zone by its id, or by a filter that exactly one matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from tf.iface import Config, DataSource, ReadDataContext
from tf.schema import Attribute, Schema
from tf.types import Bool, List, Number, String
from tf.utils import Diagnostics
from typing_extensions import override

from terraform.plugin import ApiError, Nested

if TYPE_CHECKING:
    from terraform.cloudflare_provider.provider import Cloudflare

_TEXTS: Final = (
    "activated_on", "created_on", "id", "modified_on", "name", "original_dnshost", "original_registrar", "status",
    "type",
)  # fmt: skip
_LISTS: Final = ("name_servers", "original_name_servers")


class Zone(DataSource):
    """A zone of the account. Its id is `zone_id`, and `id` too."""

    def __init__(self, provider: Cloudflare) -> None:
        self.provider = provider

    @override
    @classmethod
    def get_name(cls) -> str:
        return "zone"

    @override
    @classmethod
    def get_schema(cls) -> Schema:
        of_account = [Attribute(name, String(), optional=True) for name in ("id", "name")]
        texts = [Attribute(name, String(), optional=True) for name in ("direction", "match", "name", "order", "status")]
        return Schema(
            attributes=[
                Attribute("zone_id", String(), optional=True, computed=True),
                Nested("filter", [Nested("account", of_account, optional=True), *texts], optional=True),
                Nested("account", [Attribute(name, String(), computed=True) for name in ("id", "name")], computed=True),
                Attribute("development_mode", Number(), computed=True),
                Attribute("paused", Bool(), computed=True),
                *(Attribute(name, String(), computed=True) for name in _TEXTS),
                *(Attribute(name, List(String()), computed=True) for name in _LISTS),
            ]
        )

    @override
    def validate(self, diags: Diagnostics, type_name: str, config: Config) -> None:
        super().validate(diags, type_name, config)
        if (config.get("zone_id") is None) == (config.get("filter") is None):
            words = "Exactly one of these attributes must be configured: [zone_id,filter]"
            diags.add_error("Invalid Attribute Combination", words)

    @override
    def read(self, ctx: ReadDataContext, config: dict[str, Any]) -> dict[str, Any] | None:
        try:
            zone = self._find(ctx, config)
        except ApiError as no:
            ctx.diagnostics.add_error("failed to make http request", str(no))
            return None
        if zone is None:
            return None
        return {
            "filter": config.get("filter"),
            "zone_id": zone["id"],
            "account": {name: zone["account"].get(name) for name in ("id", "name")},
            **{name: zone.get(name) for name in ("development_mode", "paused", *_TEXTS, *_LISTS)},
        }

    def _find(self, ctx: ReadDataContext, config: dict[str, Any]) -> dict[str, Any] | None:
        if config.get("zone_id") is not None:
            zone: dict[str, Any] = self.provider.api.ask("GET", f"/zones/{config['zone_id']}")["result"]
            return zone
        wanted = config["filter"]
        query = {name: value for name, value in wanted.items() if isinstance(value, str)}
        query |= {f"account.{name}": value for name, value in (wanted.get("account") or {}).items() if value}
        found = self.provider.api.ask("GET", f"/zones?{urlencode(query)}")["result"]
        if len(found) != 1:
            ctx.diagnostics.add_error("failed to find exactly one result", f"{len(found)} found")
            return None
        only: dict[str, Any] = found[0]
        return only
