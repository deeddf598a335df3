"""Every setting of the gateway, named once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from gateway.registry import OldApi
from service_kit.settings import ServiceSettings

MIB = 1024 * 1024


class GatewaySettings(ServiceSettings):
    """The gateway's settings; the environment names are the field names in capitals."""

    port: int = Field(8080, ge=1, le=65535, description="port to listen on")
    backends_file: Path = Field(description="JSON file that names the backends; see gateway.registry")
    max_json_mib: float = Field(
        32, gt=0, le=1024, description="largest JSON body; collected in memory, because its model decides the backend"
    )
    max_upload_mib: float = Field(1024, gt=0, description="largest audio upload; streamed, never held")
    client_body_timeout_s: float = Field(
        60,
        gt=0,
        description="a JSON body must be complete (1 s more for every 4 KiB of it), an upload must have moved (408)",
    )
    upstream_connect_timeout_s: float = Field(5, gt=0, description="connecting to a backend (504, phase connect)")
    upstream_first_byte_timeout_s: float = Field(
        900, gt=0, description="from the whole request sent to the first byte answered (504, phase first_byte)"
    )
    upstream_idle_timeout_s: float = Field(
        300, gt=0, description="between two pieces of a request or an answer (504 or a broken stream, phase idle)"
    )
    admin_keys_file: Path | None = Field(
        None, description="file with administrators' keys, one a line; without it nobody can pause a backend"
    )
    pause_max_wait_s: float = Field(600, gt=0, description="how long a request may wait for a paused backend (503)")
    pause_max_waiting: int = Field(1000, ge=0, description="how many requests may wait at a time; one more gets 503")
    pause_max_waiting_mib: float = Field(
        128, gt=0, description="how much memory the JSON bodies of waiting requests may take; one more gets 503"
    )
    old_api: Annotated[tuple[OldApi, ...], NoDecode] = Field(
        (), description="speech services of before a migration whose routes go on: asr, speaches, whisper_api, seed"
    )
    old_api_keyless: bool = Field(False, description="answer exactly those routes without a key, as before")
    pause_max_s: float = Field(3600, gt=0, description="how long a pause may last, however often it is renewed")

    @field_validator("old_api", mode="before")
    @classmethod
    def _split_apis(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def pause_max_waiting_bytes(self) -> int:
        """Limit of what waiting requests hold, in bytes."""
        return int(self.pause_max_waiting_mib * MIB)

    @property
    def max_json_bytes(self) -> int:
        """Limit of collected bodies, in bytes."""
        return int(self.max_json_mib * MIB)

    @property
    def max_upload_bytes(self) -> int:
        """Limit of streamed bodies, in bytes."""
        return int(self.max_upload_mib * MIB)
