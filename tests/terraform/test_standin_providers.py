"""The stand-ins of providers have the schemas that the real ones' documentation lists, and are installed as real ones.

Names: cloudflare_dns_record and cloudflare_zone of 5.x (without `data`), digitalocean_droplet (without `backup_policy`)
and digitalocean_ssh_key of 2.x, from the providers' published documentation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from terraform import mirror
from terraform.conftest import NO_TERRAFORM

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("terraform") is None, reason=NO_TERRAFORM),
]
ROOT = """
terraform {
  required_providers {
    cloudflare   = { source = "cloudflare/cloudflare" }
    digitalocean = { source = "digitalocean/digitalocean" }
  }
}
"""
RECORD = {
    "required": {"name", "ttl", "type", "zone_id"},
    "optional": {"comment", "content", "priority", "private_routing"},
    "either": {"proxied", "settings", "tags"},
    "computed": {"comment_modified_on", "created_on", "id", "meta", "modified_on", "proxiable", "tags_modified_on"},
}
DROPLET = {
    "required": {"image", "name", "size"},
    "optional": {"droplet_agent", "ssh_keys", "tags", "user_data"},
    "either": {
        # Those with a default are computed here, for the library has no other way to a default.
        "backups", "graceful_shutdown", "ipv6", "ipv6_address", "monitoring", "private_networking", "region",
        "resize_disk", "volume_ids", "vpc_uuid",
    },
    "computed": {
        "created_at", "disk", "id", "ipv4_address", "ipv4_address_private", "locked", "memory", "price_hourly",
        "price_monthly", "status", "urn", "vcpus",
    },
}  # fmt: skip
SSH_KEY = {
    "required": {"name", "public_key"},
    "optional": set[str](),
    "either": set[str](),
    "computed": {"fingerprint", "id"},
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Terraform reads out of the installed stand-ins, by provider."""
    folder = tmp_path_factory.mktemp("schemas")
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": str(mirror.make(folder))}
    root = folder / "root"
    root.mkdir()
    (root / "main.tf").write_text(ROOT)

    def terraform(*arguments: str) -> str:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=root,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    terraform("init", "-input=false")
    found: dict[str, Any] = json.loads(terraform("providers", "schema", "-json"))["provider_schemas"]
    return found


def kinds(schema: dict[str, Any]) -> dict[str, set[str]]:
    """The names of attributes by how they may be set; `either` is optional and computed."""
    found: dict[str, set[str]] = {"required": set(), "optional": set(), "either": set(), "computed": set()}
    for name, attribute in schema["block"]["attributes"].items():
        optional, computed = attribute.get("optional", False), attribute.get("computed", False)
        kind = "either" if optional and computed else "optional" if optional else "computed" if computed else "required"
        found[kind].add(name)
    return found


@pytest.mark.parametrize(
    ("provider", "resource", "documented"),
    [
        ("cloudflare/cloudflare", "cloudflare_dns_record", RECORD),
        ("digitalocean/digitalocean", "digitalocean_droplet", DROPLET),
        ("digitalocean/digitalocean", "digitalocean_ssh_key", SSH_KEY),
    ],
)
def test_a_resource_has_the_attributes_that_are_documented(
    schemas: dict[str, Any], provider: str, resource: str, documented: dict[str, set[str]]
) -> None:
    found = schemas[f"registry.terraform.io/{provider}"]["resource_schemas"][resource]
    assert kinds(found) == documented


def test_a_zone_is_found_by_its_id_or_a_filter(schemas: dict[str, Any]) -> None:
    attributes = schemas["registry.terraform.io/cloudflare/cloudflare"]["data_source_schemas"]["cloudflare_zone"][
        "block"
    ]
    taken = {name for name, attribute in attributes["attributes"].items() if attribute.get("optional")}
    assert taken == {"zone_id", "filter"}
    filters = attributes["attributes"]["filter"]["nested_type"]["attributes"]
    assert set(filters) == {"account", "direction", "match", "name", "order", "status"}


def test_a_token_is_marked_as_a_secret(schemas: dict[str, Any]) -> None:
    attributes = schemas["registry.terraform.io/cloudflare/cloudflare"]["provider"]["block"]["attributes"]
    assert attributes["api_token"]["sensitive"]


def test_a_mirror_names_its_providers_by_version_and_platform(tmp_path: Path) -> None:
    mirror.make(tmp_path)
    packages = {path.parent.relative_to(tmp_path / "mirror") for path in tmp_path.glob("mirror/*/*/*/*/*/terraform-*")}
    addresses = {"/".join(package.parts[:3]) for package in packages}
    assert addresses >= {
        "registry.terraform.io/cloudflare/cloudflare",
        "registry.terraform.io/digitalocean/digitalocean",
    }
    assert all(len(package.parts) == 5 for package in packages)
