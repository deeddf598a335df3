"""The providers that can be had here, as one filesystem mirror for Terraform.

real:      bpg/proxmox, built by .ci/build-terraform-providers (AI_TERRAFORM_MIRROR names another place)
stand-ins: cloudflare/cloudflare, digitalocean/digitalocean, which cannot be had as source
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from terraform.plugin import install

NO_PROXMOX: Final = "no provider bpg/proxmox: .ci/build-terraform-providers builds it"
_STANDINS: Final = {
    "registry.terraform.io/cloudflare/cloudflare": ("5.22.0", "terraform.cloudflare_provider"),
    "registry.terraform.io/digitalocean/digitalocean": ("2.78.0", "terraform.digitalocean_provider"),
}


def real() -> Path | None:
    """The folder with the providers that were built, or None where there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ai-services-ci"
    folder = Path(os.environ.get("AI_TERRAFORM_MIRROR") or cache / "terraform-providers")
    return folder if any(folder.glob("registry.terraform.io/bpg/proxmox/*/*/*")) else None


def make(folder: Path) -> Path:
    """Write a mirror into a folder, and beside it the CLI configuration that names it; returns the latter."""
    mirror = folder / "mirror"
    mirror.mkdir(parents=True)
    if (built := real()) is not None:
        # Terraform follows a link to a package, and none above it.
        for package in built.glob("registry.terraform.io/*/*/*/*"):
            link = mirror / package.relative_to(built)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(package)
    for address, (version, module) in _STANDINS.items():
        install(mirror, address, version, module)
    configuration = folder / "cli.tfrc"
    configuration.write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\ndisable_checkpoint = true\n'
    )
    return configuration
