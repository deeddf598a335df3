"""Every setting of whisper-api, named once. The environment's names are the field names in capitals."""

from __future__ import annotations

import os
import tempfile
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from service_kit.settings import ServiceSettings

OldApi = Literal["asr", "speaches", "whisper_api", "seed"]
OldApis = Annotated[tuple[OldApi, ...], NoDecode]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode]


class WhisperSettings(ServiceSettings):
    """What can be chosen about this service."""

    port: int = Field(3001, ge=1, le=65535, description="port to listen on")

    whisper_model: str = Field(
        "large-v3-turbo", description="model: a local directory, a Hugging Face id, or a name that faster-whisper knows"
    )
    whisper_model_name: str | None = Field(None, description="name under which the model is shown and asked for")
    use_gpu_if_available: bool = Field(True, description="run on the GPU where there is one")
    compute_type: str = Field("auto", description="CTranslate2 compute type; auto: int8 on a CPU, float16 on a GPU")
    cpu_threads: int = Field(0, ge=0, description="threads of the engine; 0: the cores that this process may use")
    batch_size: int = Field(0, ge=0, le=64, description="30 s chunks decoded at once; 0: 8 on a GPU, 4 on a CPU")
    beam_size: int = Field(5, ge=1, le=20, description="hypotheses kept while decoding")
    load_model_on_startup: bool = Field(True, description="load at start instead of on the first request")
    unload_model_after_s: int | None = Field(
        None, ge=0, description="end the engine after this idle time; 0: at once; unset: never"
    )
    cancel_grace_s: float = Field(
        10,
        ge=0,
        description="how long the engine may take to drop the work of a caller who left, before it is replaced",
    )
    engine_stall_s: float = Field(
        900, gt=0, description="the engine is replaced when it shows no progress for this long while working or loading"
    )

    max_task_queue_size: int = Field(128, ge=0, description="callers that may wait; one more gets 429")
    max_upload_mib: int = Field(1024, ge=1, description="largest file taken, uploaded or fetched")
    max_audio_s: float = Field(4 * 3600, gt=0, description="longest recording taken")
    upload_idle_timeout_s: float = Field(60, gt=0, description="an upload that sends nothing for this long is dropped")

    decode_memory_mib: int = Field(256, ge=32, description="memory a decoder may use beyond its start")
    decode_timeout_s: float = Field(300, gt=0, description="longest time for decoding one file")
    decode_workers: int = Field(2, ge=1, le=64, description="files decoded at the same time")

    fetch_timeout_s: float = Field(300, gt=0, description="longest time for fetching one URL, redirects included")
    fetch_connect_timeout_s: float = Field(10, gt=0, description="longest time for reaching a URL's server")
    url_allow_private_networks: Networks = Field(
        (), description="networks that /transcribe/url may reach though not public, comma separated, as 10.1.0.0/16"
    )

    old_api: OldApis = Field(
        (),
        description="routes of other Whisper services to answer as well, comma separated: asr, speaches, whisper_api",
    )
    delete_results_after_m: int = Field(
        60, ge=1, description="minutes for which results of the old whisper_api's tasks are kept, in memory"
    )

    temp_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()), description="where recordings lie while they are worked on"
    )
    min_free_disk_mib: int = Field(256, ge=0, description="uploads are refused when TEMP_DIR has less room than this")

    @field_validator("temp_dir")
    @classmethod
    def _usable(cls, path: Path) -> Path:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"the directory {path} cannot be made: {error.strerror}") from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise ValueError(f"the directory {path} cannot be written to")
        return path

    @field_validator("url_allow_private_networks", "old_api", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def model_name(self) -> str:
        """Name shown to callers: WHISPER_MODEL_NAME, or the last part of WHISPER_MODEL."""
        if self.whisper_model_name:
            return self.whisper_model_name
        return self.whisper_model.rstrip("/").rsplit("/", 1)[-1].removeprefix("faster-whisper-")

    @property
    def max_upload_bytes(self) -> int:
        """Largest file in bytes."""
        return self.max_upload_mib * 1024 * 1024
