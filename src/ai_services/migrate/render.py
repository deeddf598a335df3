"""Our nginx files as the role will write them, for the plan's diff; the role's own templates and defaults are used."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ai_services.host.playbook import ROOT

if TYPE_CHECKING:
    import jinja2

_ROLE: Final = ROOT / "ansible" / "roles" / "nginx"
_TEMPLATES: Final = ROOT / "templates" / "nginx"


def old_doors(settings: Mapping[str, Any], nginx_version: str, listeners: Sequence[str]) -> str:
    """Return old-api.conf for these doors of an old API."""
    return _render("old-api.conf.j2", {**settings, "ai_old_api_listeners": list(listeners)}, nginx_version)


def kept_routes(api: str) -> list[str]:
    """Return the locations in which nginx answers the routes of an old API: `= /asr`, `^~ /api/v1/`, …"""
    text = "{% from '_old.j2' import old_locations with context %}{{ old_locations | map(attribute=0) | join('|') }}"
    environment = _environment()
    return environment.from_string(text).render(ai_old_api=[api], ai_old_api_listeners=[]).split("|")


def compose_outline(settings: Mapping[str, Any], variant: str) -> str:
    """Return what a release's compose.yaml has, in short: images, ports, volumes (`variant`: cpu or cuda)."""
    import yaml

    top = f"{settings.get('ai_registry')}/{settings.get('ai_github_owner')}"
    version = settings.get("ai_version")
    whisper = f"{top}/whisper-api:{version}{'-cuda' if variant == 'cuda' else ''}"
    services = {
        "gateway": {
            "image": settings.get("ai_gateway_image") or f"{top}/gateway:{version}",
            "ports": ["127.0.0.1:8080-8081:8080"],
        },
        "whisper-api": {
            "image": settings.get("ai_whisper_api_image") or whisper,
            "volumes": ["huggingface:/var/lib/huggingface"],
        },
        "ollama": {"image": settings.get("ai_ollama_image"), "volumes": ["ollama:/var/lib/ollama/.ollama"]},
    }
    return yaml.safe_dump({"name": "ai", "services": services}, sort_keys=False)


def own_site(settings: Mapping[str, Any], nginx_version: str) -> str:
    """Return the site of the host's own domain."""
    return _render("site.conf.j2", settings, nginx_version)


def _render(template: str, settings: Mapping[str, Any], nginx_version: str) -> str:
    import yaml

    defaults = yaml.safe_load((_ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    fixed = yaml.safe_load((_ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    values = {**defaults, **fixed, **settings, "nginx_ipv6": True, "nginx_features": _features(nginx_version)}
    values |= {"nginx_default_http": False, "nginx_default_https": False}
    environment = _environment()
    names = values["nginx_certificates"][values.get("ai_tls", "letsencrypt")]
    for name, text in zip(("nginx_certificate", "nginx_certificate_key"), names, strict=True):
        values[name] = environment.from_string(
            str(text).replace("{{ nginx_ai_dir }}", str(values["nginx_ai_dir"]))
        ).render(values)
    return environment.get_template(template).render(values)


def _environment() -> jinja2.Environment:
    # Ansible brings it along.
    import jinja2

    return jinja2.Environment(  # noqa: S701 -- nginx's configuration is no HTML
        loader=jinja2.FileSystemLoader(_TEMPLATES), trim_blocks=True, keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def _features(version: str) -> Any:
    spec = importlib.util.spec_from_file_location("nginx_features", _ROLE / "filter_plugins" / "nginx_features.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(_ROLE / "filter_plugins" / "nginx_features.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = version if re.fullmatch(r"\d+\.\d+\.\d+", version) else "1.26.3"
    return module.features(known, "3.0.0")
