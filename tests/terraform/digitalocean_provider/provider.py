"""The provider: its settings, what it has, and what is peculiar to Terraform's older kit."""

from __future__ import annotations

import os
import threading
from typing import Any, Final

from tf.iface import Provider
from tf.provider import ProviderServicer
from tf.schema import Attribute, Schema
from tf.types import Number, String
from tf.utils import read_dynamic_value, to_dynamic_value
from typing_extensions import override

from terraform.digitalocean_provider.droplets import Droplet, SshKey, hashed
from terraform.plugin import Api

ADDRESS: Final = "registry.terraform.io/digitalocean/digitalocean"
_TEXTS: Final = ("api_endpoint", "spaces_access_id", "spaces_endpoint", "spaces_secret_key", "token")


class DigitalOcean(Provider):
    """Settings as documented; a token is the only way in."""

    api: Api

    def __init__(self) -> None:
        self._applied = threading.local()

    def configured(self) -> dict[str, Any]:
        """The configuration of the resource that is being applied: what the state holds only as a hash."""
        found: dict[str, Any] = getattr(self._applied, "configuration", None) or {}
        return found

    def remember(self, configuration: dict[str, Any] | None) -> None:
        """Keep a resource's configuration for as long as this thread applies it."""
        self._applied.configuration = configuration

    @override
    def get_model_prefix(self) -> str:
        return "digitalocean_"

    @override
    def full_name(self) -> str:
        return ADDRESS

    @override
    def get_provider_schema(self, diags: Any) -> Schema:
        numbers = ("http_retry_max", "http_retry_wait_max", "http_retry_wait_min", "requests_per_second")
        return Schema(
            attributes=[
                *(Attribute(name, String(), optional=True) for name in _TEXTS),
                *(Attribute(name, Number(), optional=True) for name in numbers),
            ]
        )

    @override
    def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
        """Nothing in it excludes anything else."""

    @override
    def configure_provider(self, diags: Any, config: dict[str, Any]) -> None:
        token = config.get("token") or os.environ.get("DIGITALOCEAN_TOKEN", "")
        url = config.get("api_endpoint") or os.environ.get("DIGITALOCEAN_API_URL") or "https://api.digitalocean.com"
        self.api = Api(url, token)

    @override
    def get_data_sources(self) -> list[Any]:
        return []

    @override
    def get_resources(self) -> list[Any]:
        return [Droplet, SshKey]

    @override
    def new_resource(self, klass: Any) -> Any:
        return klass(self)


class OlderKit(ProviderServicer):
    """Hashes `user_data` before it is planned, and asks Terraform for the leniency that the real provider needs."""

    @override
    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        prior, proposed = (read_dynamic_value(value) for value in (request.prior_state, request.proposed_new_state))
        given = (proposed or {}).get("user_data")
        if isinstance(given, str) and given != (prior or {}).get("user_data"):
            request.proposed_new_state.CopyFrom(to_dynamic_value({**proposed, "user_data": hashed(given)}))
        answer = super().PlanResourceChange(request, context)
        answer.legacy_type_system = True
        return answer

    @override
    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        self.app.remember(read_dynamic_value(request.config))
        try:
            answer = super().ApplyResourceChange(request, context)
        finally:
            self.app.remember(None)
        answer.legacy_type_system = True
        return answer
