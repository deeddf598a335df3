"""The provider: its settings, and what it has."""

from __future__ import annotations

import os
from typing import Any, Final

from tf.iface import Config, Provider, Resource
from tf.iface import DataSource as Data
from tf.schema import Attribute, Schema
from tf.types import String
from tf.utils import Diagnostics
from typing_extensions import override

from terraform.cloudflare_provider.records import DnsRecord, DnsRecords
from terraform.cloudflare_provider.zones import Zone
from terraform.plugin import Api

ADDRESS: Final = "registry.terraform.io/cloudflare/cloudflare"
VERSION: Final = "5.22.0"
_BASE_URL: Final = "https://api.cloudflare.com/client/v4"


class Cloudflare(Provider):
    """Settings as documented; a token is the only way in that this stand-in knows."""

    api: Api

    @override
    def get_model_prefix(self) -> str:
        return "cloudflare_"

    @override
    def full_name(self) -> str:
        return ADDRESS

    @override
    def get_provider_schema(self, diags: Diagnostics) -> Schema:
        secret, plain = (
            ("api_key", "api_token", "api_user_service_key"),
            ("base_url", "email", "user_agent_operator_suffix"),
        )
        return Schema(
            attributes=[
                *(Attribute(name, String(), optional=True, sensitive=True) for name in secret),
                *(Attribute(name, String(), optional=True) for name in plain),
            ]
        )

    @override
    def validate_config(self, diags: Diagnostics, config: Config) -> None:
        if config.get("email") is not None and config.get("api_token") is not None:
            diags.add_error(
                "Invalid Attribute Combination", 'Attribute "email" cannot be specified when "api_token" is'
            )

    @override
    def configure_provider(self, diags: Diagnostics, config: Config) -> None:
        token = config.get("api_token") or os.environ.get("CLOUDFLARE_API_TOKEN", "")
        base_url = config.get("base_url") or os.environ.get("CLOUDFLARE_BASE_URL") or _BASE_URL
        if not token:
            diags.add_error(
                "must provide one of `api_key`, `api_token` or `api_user_service_key`",
                "The stand-in takes api_token or CLOUDFLARE_API_TOKEN.",
            )
        self.api = Api(base_url, token)

    @override
    def get_data_sources(self) -> list[type[Data]]:
        return [Zone, DnsRecords]

    @override
    def get_resources(self) -> list[type[Resource]]:
        return [DnsRecord]

    @override
    def new_resource(self, klass: Any) -> Any:
        return klass(self)

    @override
    def new_data_source(self, klass: Any) -> Any:
        return klass(self)
