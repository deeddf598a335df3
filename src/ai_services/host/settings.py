"""Every `ai_*` variable of a host, named once: the model of `ai.yml`, of `--set`, of Ansible's extra variables.

Roles' argument specs and defaults, the JSON schema, the example file and docs/settings.md are compared with this or
made from it. `ai_services.host.settings_load` reads values into it and says what is wrong with them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ai_services import __version__
from ai_services.host.settings_backup import Moment, Place, Recipients
from ai_services.host.settings_doors import Doors
from ai_services.host.settings_kinds import (
    Branch,
    Choice,
    Domain,
    File,
    Flag,
    Networks,
    Several,
    Text,
    Url,
    Whole,
)

LETSENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
PRIVATE_NETWORKS: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")

Model = Text("a model's name", r"[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?", "qwen2.5:3b")
Speech = Text("a model's name", r"[A-Za-z0-9][A-Za-z0-9._/-]*", "large-v3-turbo")
Image = Text(
    "an image's full name with a tag or digest",
    r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+(?::[\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?(?<=[\w])",
    "ghcr.io/owner/gateway:1.0.0",
    optional=True,
)
ThirdParty = Text(Image.what, Image.pattern, "docker.io/ollama/ollama:0.24.0")
Memory = Whole(0, 4 << 20, "MiB (0: no limit)")
Timeout = Whole(1, 24 * 3600, "seconds")


@dataclass(frozen=True)
class About:
    """What is said of a variable beside its kind: `role` gives it its meaning, `group` is its heading in documents."""

    group: str
    role: str
    secret: bool = False
    formerly: tuple[str, ...] = ()
    # When it must be given, in words; empty: never.
    required: str = ""
    # Written into the example file where there is no default to show.
    example: Any = None


def setting(default: Any, text: str, group: str, role: str, **about: Any) -> Any:
    """Declare a variable: its default, one sentence on it, its heading and its role, and what `About` takes."""
    return Field(default, description=text, json_schema_extra=asdict(About(group, role, **about)))


_NAME, _REACH, _IMAGES, _GPU = "Name and certificate", "Who may reach it", "Images", "GPU and machine"
_MODELS, _LIMITS, _MONITORING, _REMOVAL = "Models and keys", "Limits", "Monitoring", "Removal"
_OLD, _BACKUPS = "An old API that stays", "Backups"


class HostSettings(BaseModel):
    """What an operator decides about one host.

    Read it with `settings_load.load`, which also checks what belongs together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)

    ai_domain: Annotated[str | None, Domain(optional=True)] = setting(
        None, "Name under which the host is reached; its certificate is for it.", _NAME, "nginx",
        required="unless ai_tls is off", example="ai.internal.example.com",
    )  # fmt: skip
    ai_tls: Annotated[Literal["letsencrypt", "own", "off"], Choice("letsencrypt", "own", "off")] = setting(
        "letsencrypt",
        "Where the certificate comes from: Let's Encrypt by DNS-01 at Cloudflare, your own files, or off: "
        "plain HTTP, on which keys and recordings can be read by whoever sits in between.",
        _NAME, "nginx",
    )  # fmt: skip
    ai_tls_certificate_file: Annotated[
        str | None, File("the certificate and its chain (PEM)", "-----BEGIN CERTIFICATE", optional=True)
    ] = setting(
        None, "Certificate with its chain, for ai_tls own.", _NAME, "nginx",
        required="if ai_tls is own", example="/path/to/fullchain.pem",
    )  # fmt: skip
    ai_tls_key_file: Annotated[
        str | None, File("the certificate's private key (PEM)", "PRIVATE KEY", private=True, optional=True)
    ] = setting(
        None, "Private key of that certificate.", _NAME, "nginx",
        secret=True, required="if ai_tls is own", example="/path/to/privkey.pem",
    )  # fmt: skip
    ai_acme_email: Annotated[
        str | None, Text("an e-mail address", r"[^\s@]+@[^\s@]+\.[^\s@]+", "ops@example.com", optional=True)
    ] = setting(
        None, "Address that Let's Encrypt may write to.", _NAME, "certbot_cloudflare", example="ops@example.com"
    )
    ai_acme_directory: Annotated[str, Url()] = setting(
        LETSENCRYPT, "Directory of the ACME server that issues the certificate.", _NAME, "certbot_cloudflare"
    )
    ai_cloudflare_token_file: Annotated[
        str | None, File("a Cloudflare API token (permission Zone:DNS:Edit)", private=True, optional=True)
    ] = setting(
        None, "File with the Cloudflare API token that may edit the domain's zone.", _NAME, "certbot_cloudflare",
        secret=True, required="if ai_tls is letsencrypt", example="~/.secrets/cloudflare-token",
    )  # fmt: skip
    ai_dns_propagation_s: Annotated[int, Whole(0, 3600, "seconds")] = setting(
        30, "How long certbot waits for the DNS record of its challenge to be seen.", _NAME, "certbot_cloudflare"
    )

    ai_allowed_networks: Annotated[list[str], Networks()] = setting(
        list(PRIVATE_NETWORKS),
        'Networks that may reach ports 80 and 443; "any" opens the host to the internet.',
        _REACH, "firewall",
    )  # fmt: skip
    ai_firewall: Annotated[Literal["on", "off"], Choice("on", "off")] = setting(
        "on", "Whether the host's own firewall enforces that; off leaves the firewall to you.", _REACH, "firewall"
    )
    ai_extra_ca_file: Annotated[
        str | None, File("a CA certificate (PEM)", "-----BEGIN CERTIFICATE", optional=True)
    ] = setting(
        None, "CA certificate that host and containers trust besides the public ones: a proxy that re-signs TLS.",
        _REACH, "base", example="/path/to/ca.pem",
    )  # fmt: skip

    ai_github_owner: Annotated[
        str | None,
        Text("a GitHub user or organisation", r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}", "octo-org", optional=True),
    ] = setting(
        None, "GitHub user or organisation whose images are deployed.", _IMAGES, "ai_stack",
        required="unless both image names are given", example="your-username",
    )  # fmt: skip
    ai_ghcr_token: Annotated[
        str | None, Text("a token", r"[\x21-\x7e]{8,1000}", "ghp_…", secret=True, optional=True)
    ] = setting(
        None, "GitHub token with read:packages, for private images; better in a file.", _IMAGES, "ai_stack", secret=True
    )
    ai_ghcr_token_file: Annotated[
        str | None, File("a GitHub token (permission read:packages)", private=True, optional=True)
    ] = setting(
        None, "File with that token; none: the images are public.", _IMAGES, "ai_stack",
        secret=True, example="~/.secrets/ghcr-token",
    )  # fmt: skip
    ai_registry: Annotated[
        str, Text("a registry's host name", r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?", "ghcr.io")
    ] = setting("ghcr.io", "Registry of our images.", _IMAGES, "ai_stack")
    ai_version: Annotated[str, Text("a version", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", __version__)] = setting(
        __version__, "Version (tag) of our images.", _IMAGES, "ai_stack"
    )
    ai_gateway_image: Annotated[str | None, Image] = setting(
        None, "Another gateway image than ai_registry/ai_github_owner/gateway:ai_version.", _IMAGES, "ai_stack"
    )
    ai_whisper_api_image: Annotated[str | None, Image] = setting(
        None, "Another whisper-api image; by itself the host chooses between the CPU and the CUDA variant.",
        _IMAGES, "ai_stack",
    )  # fmt: skip
    ai_ollama_image: Annotated[str, ThirdParty] = setting(
        "docker.io/ollama/ollama:0.24.0", "Image of Ollama.", _IMAGES, "ai_stack"
    )
    ai_refresh_images: Annotated[bool, Flag()] = setting(
        False,
        "Ask the registries anew what each tag means; else a tag keeps the image it had when it was first taken.",
        _IMAGES, "ai_stack",
    )  # fmt: skip

    ai_accelerator: Annotated[Literal["auto", "nvidia", "cpu"], Choice("auto", "nvidia", "cpu")] = setting(
        "auto", "Run on the NVIDIA GPU, on the CPU, or on a GPU if a supported one is there.", _GPU, "nvidia_driver"
    )
    ai_driver_branch: Annotated[str, Branch()] = setting(
        "auto", "Branch of the NVIDIA driver; auto takes the one that fits the card.", _GPU, "nvidia_driver"
    )
    ai_driver_source: Annotated[
        Literal["auto", "nvidia", "distribution", "none"], Choice("auto", "nvidia", "distribution", "none")
    ] = setting("auto", "Where the driver comes from; none: it is installed and kept by you.", _GPU, "nvidia_driver")
    ai_container_toolkit_version: Annotated[
        str,
        Text(
            "a package version of at least 1.17.8",
            r"1\.(?:17\.(?:[89]|\d{2,})|1[89]\.\d+|[2-9]\d\.\d+)-\d+",
            "1.18.1-1",
        ),
    ] = setting(
        "1.18.1-1", "Version of the NVIDIA container toolkit; 1.17.8 is the oldest without known holes.",
        _GPU, "container_toolkit",
    )  # fmt: skip
    ai_gpu_mode: Annotated[Literal["auto", "cdi", "reservation"], Choice("auto", "cdi", "reservation")] = setting(
        "auto", "How containers get the GPU: by CDI or by Docker's device reservation.", _GPU, "container_toolkit"
    )
    ai_reboot: Annotated[Literal["auto", "allowed", "never"], Choice("auto", "allowed", "never")] = setting(
        "auto",
        "Whether the host may be rebooted when the loaded driver demands it; auto: a remote host may, "
        "the machine that the command runs on may not.",
        _GPU, "nvidia_driver",
    )  # fmt: skip
    ai_docker_source: Annotated[
        Literal["auto", "distribution", "docker"], Choice("auto", "distribution", "docker")
    ] = setting(
        "auto", "Docker from the distribution where that is recent enough, else from Docker's own repository.",
        _GPU, "docker",
    )  # fmt: skip

    ai_repository_fingerprints: Annotated[
        list[str], Several(Text("a key's fingerprint of 40 hex digits", r"[0-9A-Fa-f]{40}", "9DC8…D88"))
    ] = setting(
        [],
        "Keys that may sign package repositories besides Docker's and NVIDIA's own: those of a mirror that signs anew.",
        _GPU, "base",
    )  # fmt: skip

    ai_whisper_model: Annotated[str, Speech] = setting(
        "large-v3-turbo", "Speech model: a name that faster-whisper knows, or a Hugging Face id.", _MODELS, "ai_stack"
    )
    ai_whisper_compute_type: Annotated[
        str,
        Choice(
            "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
        ),
    ] = setting("auto", "Number format of the speech model; auto takes what the card can.", _MODELS, "ai_stack")
    ai_whisper_unload_after_s: Annotated[int | None, Whole(0, 30 * 24 * 3600, "seconds", optional=True)] = setting(
        None, "Give the speech model's memory back after this idle time; 0: at once; none: never.", _MODELS, "ai_stack"
    )
    ai_ollama_model: Annotated[str, Model] = setting(
        "qwen2.5:3b", "Language model that is pulled and proven; any of Ollama's library.", _MODELS, "ai_stack"
    )
    ai_ollama_extra_models: Annotated[list[str], Several(Model)] = setting(
        [], "Further models to pull.", _MODELS, "ai_stack", example=["qwen2.5:1.5b"]
    )
    ai_huggingface_endpoint: Annotated[str | None, Url(("https", "http"), optional=True)] = setting(
        None, "A mirror of Hugging Face.", _MODELS, "ai_stack",
        formerly=("ai_hf_endpoint",), example="https://hub.example.com",
    )  # fmt: skip
    ai_huggingface_token_file: Annotated[
        str | None, File("a Hugging Face token", private=True, optional=True)
    ] = setting(
        None, "File with a Hugging Face token, for models that ask for one.", _MODELS, "ai_stack",
        secret=True, formerly=("ai_hf_token_file",), example="~/.secrets/huggingface-token",
    )  # fmt: skip
    ai_api_keys_file: Annotated[
        str | None, File("the accepted keys, one a line", private=True, optional=True)
    ] = setting(
        None, "File with the API keys that the host accepts; none: one is made on the host.", _MODELS, "ai_stack",
        secret=True, example="~/.secrets/ai-keys",
    )  # fmt: skip

    ai_max_upload_mib: Annotated[int, Whole(1, 1 << 20, "MiB")] = setting(
        1024, "Largest recording, in MiB; nginx, gateway and whisper-api all keep to it.", _LIMITS, "nginx"
    )
    ai_max_json_mib: Annotated[int, Whole(1, 1024, "MiB")] = setting(32, "Largest JSON body, in MiB.", _LIMITS, "nginx")
    ai_max_task_queue_size: Annotated[int, Whole(0, 100_000, "callers")] = setting(
        128, "How many callers may wait for a transcription; one more gets 429.", _LIMITS, "ai_stack"
    )
    ai_max_connections_per_address: Annotated[int, Whole(0, 100_000, "requests (0: no limit)")] = setting(
        128, "Requests that one address may have under way at once; more get 429; 0: no limit.", _LIMITS, "nginx"
    )
    ai_max_requests_per_s_per_address: Annotated[int, Whole(0, 100_000, "requests a second (0: no limit)")] = setting(
        200,
        "Requests a second from one address, twice as many in a burst; more get 429; 0: no limit.",
        _LIMITS,
        "nginx",
    )
    ai_upstream_connect_timeout_s: Annotated[int, Whole(1, 300, "seconds")] = setting(
        5, "How long connecting to a service may take.", _LIMITS, "nginx"
    )
    ai_upstream_first_byte_timeout_s: Annotated[int, Timeout] = setting(
        900, "How long a service may take to begin its answer.", _LIMITS, "nginx"
    )
    ai_upstream_idle_timeout_s: Annotated[int, Timeout] = setting(
        300, "How long a service may pause within an answer.", _LIMITS, "nginx"
    )
    ai_gateway_memory_mib: Annotated[int, Memory] = setting(
        1024, "Memory that the gateway's container may use; 0: no limit.", _LIMITS, "ai_stack"
    )
    ai_whisper_api_memory_mib: Annotated[int, Memory] = setting(
        0, "Memory that whisper-api's container may use; 0: no limit.", _LIMITS, "ai_stack"
    )
    ai_ollama_memory_mib: Annotated[int, Memory] = setting(
        0, "Memory that Ollama's container may use; 0: no limit.", _LIMITS, "ai_stack"
    )
    ai_pids_limit: Annotated[int, Whole(64, 1 << 20, "processes")] = setting(
        512, "Processes and threads that one container may have.", _LIMITS, "ai_stack"
    )

    ai_profiles: Annotated[list[str], Several(Choice("monitoring"))] = setting(
        [], "Parts that not everybody wants: monitoring (Prometheus, Grafana and exporters).", _MONITORING, "ai_stack",
        example=["monitoring"],
    )  # fmt: skip
    ai_grafana_port: Annotated[int, Whole(1024, 65535)] = setting(
        3000, "Port of Grafana on the host's own 127.0.0.1; reach it through SSH.", _MONITORING, "ai_stack"
    )
    ai_prometheus_image: Annotated[str, ThirdParty] = setting(
        "docker.io/prom/prometheus:v3.5.0", "Image of Prometheus.", _MONITORING, "ai_stack"
    )
    ai_grafana_image: Annotated[str, ThirdParty] = setting(
        "docker.io/grafana/grafana:12.1.1", "Image of Grafana.", _MONITORING, "ai_stack"
    )
    ai_node_exporter_image: Annotated[str, ThirdParty] = setting(
        "docker.io/prom/node-exporter:v1.9.1", "Image of the machine's exporter.", _MONITORING, "ai_stack"
    )
    ai_gpu_exporter_image: Annotated[str, ThirdParty] = setting(
        "docker.io/utkuozdemir/nvidia_gpu_exporter:1.3.1", "Image of the GPU's exporter.", _MONITORING, "ai_stack"
    )

    ai_old_api: Annotated[list[str], Several(Choice("asr", "speaches", "whisper_api", "seed"))] = setting(
        [], "Speech APIs of before a migration whose routes go on answering; ./ai migrate fills this in.", _OLD,
        "ai_stack", example=["asr"],
    )  # fmt: skip
    ai_old_api_keyless: Annotated[bool, Flag()] = setting(
        False, "Whether exactly those routes answer without a key, as they did before.", _OLD, "ai_stack"
    )
    ai_old_api_listeners: Annotated[list[str], Doors()] = setting(
        [], "Doors of before, at which nginx answers those routes and nothing else.", _OLD, "nginx",
        example=["9000", "80 whisper.example.com"],
    )  # fmt: skip
    ai_old_api_url: Annotated[str | None, Url(("http",), optional=True)] = setting(
        None, "Where the old service answers until ours has taken over, seen from the gateway's container.", _OLD,
        "ai_stack", example="http://host.docker.internal:9000",
    )  # fmt: skip

    ai_backup_recipients: Annotated[list[str], Recipients] = setting(
        [], "Who can open the backups that the host makes by itself; while nobody can, it makes none.", _BACKUPS,
        "backup", example=["age1zc23azf8ec4n0hqlh4lsr3ea3lfj3f9t7ejetuqkx54j3ntrjgss7nd7lp"],
    )  # fmt: skip
    ai_backup_to: Annotated[str, Place] = setting(
        "/var/backups/ai-services", "Where the host keeps them; another disk or another machine is better.", _BACKUPS,
        "backup",
    )  # fmt: skip
    ai_backup_at: Annotated[str, Moment] = setting(
        "*-*-* 03:30:00", "When it makes them, by its own clock; a moment that was missed is made up for.", _BACKUPS,
        "backup",
    )  # fmt: skip
    ai_backup_keep: Annotated[int, Whole(0, 100_000, "backups (0: all)")] = setting(
        14, "How many of them stay; the oldest go.", _BACKUPS, "backup"
    )
    ai_backup_s3_endpoint: Annotated[str | None, Url(("https", "http"), optional=True)] = setting(
        None, "Address of an S3-compatible store that is not Amazon's.", _BACKUPS, "backup",
        example="https://s3.example.com",
    )  # fmt: skip
    ai_backup_s3_credentials_file: Annotated[
        str | None,
        File("credentials as AWS's tools keep them", "aws_secret_access_key", private=True, optional=True),
    ] = setting(
        None, "File with the key to that store, as AWS's tools keep it; region may stand in it.", _BACKUPS, "backup",
        secret=True, example="~/.secrets/backup-s3",
    )  # fmt: skip

    ai_keep_data: Annotated[bool, Flag()] = setting(
        True, "Whether removing the host keeps models and API keys.", _REMOVAL, "ai_stack"
    )
