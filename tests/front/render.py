"""Renders templates/nginx as the role does, for any nginx and any options; `python -m front.render DIR` writes many.

The role's own defaults and variables are used, so that a test of the result is a test of what a host gets.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "ansible/roles/nginx"
TEMPLATES = ROOT / "templates/nginx"
PARTS = (
    "access",
    "error-pages",
    "errors-ollama",
    "errors-openai",
    "errors-problem",
    "headers",
    "old-api",
    "protection",
    "proxy",
    "tls",
)

# What the supported distributions ship (nginx, OpenSSL), and a newer one.
RELEASES = {
    "ubuntu-22.04": ("1.18.0", "3.0.2"),
    "debian-12": ("1.22.1", "3.0.19"),
    "ubuntu-24.04": ("1.24.0", "3.0.13"),
    "debian-13": ("1.26.3", "3.5.7"),
}
ROLE_VALUES = ("nginx_margin_s", "nginx_quick_timeout_s", "nginx_pause_s", "nginx_gateway_ports")
OPTIONS: dict[str, dict[str, Any]] = {
    "usual": {},
    "own": {"ai_tls": "own"},
    "plain": {"ai_tls": "off"},
    "plain-nameless": {"ai_tls": "off", "ai_domain": None},
    "open": {"ai_allowed_networks": "any"},
    "unlimited": {"ai_max_connections_per_address": 0, "ai_max_requests_per_s_per_address": 0},
    "beside-others": {"nginx_default_http": False, "nginx_default_https": False},
    "no-ipv6": {"nginx_ipv6": False},
    "old-port": {"ai_old_api": ["asr"], "ai_old_api_listeners": ["9000"]},
    "old-port-held": {
        "ai_old_api": ["speaches", "seed"],
        "ai_old_api_listeners": ["9000"],
        "nginx_in_place_of": {"9000": 19000},
        "nginx_own_site": False,
    },
    "old-names": {
        "ai_old_api": ["whisper_api"],
        "ai_old_api_listeners": [
            "80 whisper.lab.test ai.lab.test",
            "443 whisper.lab.test certificate=OLD.crt key=OLD.key",
        ],
        "nginx_default_http": False,
        "nginx_default_https": False,
    },
    "old-default": {"ai_old_api": ["asr"], "ai_old_api_listeners": ["80 whisper.lab.test _"]},
    "odd-sizes": {"ai_max_upload_mib": 0.5, "ai_max_json_mib": 0.25, "ai_upstream_idle_timeout_s": 7.5},
}


def filters() -> Any:
    """The role's filter plugin that tells what an nginx can do."""
    spec = importlib.util.spec_from_file_location("nginx_features", ROLE / "filter_plugins/nginx_features.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def version_text(nginx: str = "nginx") -> str:
    """What `nginx -V` says."""
    return subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr


def tree(folder: Path, features: dict[str, Any], **changed: Any) -> Path:
    """Write a complete configuration to `folder`; answers its nginx.conf. `changed`: variables unlike the role's."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    role_values = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    values |= {name: role_values[name] for name in ROLE_VALUES}
    values |= {
        "ai_domain": "ai.lab.test",
        "nginx_features": features,
        "nginx_ipv6": True,
        "nginx_default_http": True,
        "nginx_default_https": True,
        "nginx_http_port": 80,
        "nginx_https_port": 443,
        "nginx_ai_dir": str(folder),
        "nginx_switch_dir": str(folder / "switch"),
        "nginx_log_dir": str(folder),
        "nginx_certificate": str(folder / "own.crt"),
        "nginx_certificate_key": str(folder / "own.key"),
        **changed,
    }
    # The certificate of an old site is a file like ours here.
    values["ai_old_api_listeners"] = [door.replace("OLD", f"{folder}/own") for door in values["ai_old_api_listeners"]]
    # Ansible's own settings of Jinja
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    for name in ("site", *PARTS):
        (folder / f"{name}.conf").write_text(environment.get_template(f"{name}.conf.j2").render(values))
    main = folder / "nginx.conf"
    # As Debian's: one worker and few connections more than a test needs.
    main.write_text(
        # as root, the workers too: a test's folders are its own
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"worker_processes 2;\nworker_rlimit_nofile 4096;\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log info;\n"
        "events {\n    worker_connections 768;\n}\n"
        f"http {{\n    access_log {folder}/access.log;\n"
        + "".join(
            f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"    include {folder}/site.conf;\n}}\n"
    )
    return main


def every(folder: Path) -> list[Path]:
    """A tree for every release and option under `folder`; answers their nginx.conf files."""
    features = filters().features
    return [
        tree(folder / release / name, features(*versions), **options)
        for release, versions in RELEASES.items()
        for name, options in OPTIONS.items()
    ]


if __name__ == "__main__":
    print("\n".join(str(path) for path in every(Path(sys.argv[1]))))
