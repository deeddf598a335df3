"""Settings every service has, and how any service reads its own from the environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

KeyList = Annotated[tuple[str, ...], NoDecode]


class ServiceSettings(BaseSettings):
    """Base of all service settings. Names in the environment are the field names in capitals.

    A service subclasses this, gives `port` its default and adds its own fields; units stand in the names.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    listen: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(ge=1, le=65535, description="port to listen on")
    auth: Literal["on", "off"] = Field("on", description="ask every caller for an API key, but for the probes")
    api_keys_file: Path | None = Field(None, description="file with the accepted API keys, one a line (mode 0600)")
    openai_api_keys: KeyList = Field((), description="accepted API keys, comma separated; the file is the safer place")
    api_token: KeyList = Field((), description="another name for OPENAI_API_KEYS")
    text_gen_api_token: KeyList = Field((), description="another name for OPENAI_API_KEYS")
    ai_service_token: KeyList = Field((), description="another name for OPENAI_API_KEYS")
    log_level_console: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="least level that is logged"
    )
    shutdown_grace_s: int = Field(30, ge=0, description="how long running requests may take to finish at shutdown")

    @field_validator("openai_api_keys", "api_token", "text_gen_api_token", "ai_service_token", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment; on a wrong one, say which on stderr and exit with 2."""
        try:
            return cls()
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                name = ".".join(str(part) for part in problem["loc"]).upper() or "settings"
                sys.stderr.write(f"{name}: {problem['msg']}. Correct this environment variable and start again.\n")
            raise SystemExit(2) from None
