"""Working copies of terraform/ in a folder of their own, and Terraform run in them without a registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

TOP: Final = Path(__file__).resolve().parents[2]
NO_TERRAFORM: Final = "there is no terraform on PATH; what runs it is left out (any 1.11 or newer will do)"


def terraform_program() -> str:
    """Return the path of Terraform; skips the test where there is none."""
    found = shutil.which("terraform")
    if found is None:
        pytest.skip(NO_TERRAFORM)
    return found


def copy(folder: Path, *kinds: str) -> Path:
    """Lay the root with these kinds switched on, and what it refers to, into `folder`; return the root's copy."""
    root = folder / "terraform"
    shutil.copytree(TOP / "terraform", root, symlinks=True, ignore=shutil.ignore_patterns(".terraform*", ".hosts"))
    for link in [path for path in root.iterdir() if path.is_symlink()]:
        link.unlink()
    for kind in kinds:
        for path in (root / "kinds" / kind).glob("*.tf"):
            shutil.copy(path, root)
    shutil.copytree(TOP / "bootstrap" / "ai" / "cloud-init", folder / "bootstrap" / "ai" / "cloud-init")
    return root


def run(root: Path, *words: str, mirror: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Terraform in `root`; no registry is asked, and nothing of this user's own settings is seen."""
    settings = root.parent / "terraform.rc"
    path = f'  filesystem_mirror {{ path = "{mirror or root.parent / "no-providers"}" }}\n'
    settings.write_text(f"disable_checkpoint = true\nprovider_installation {{\n{path}}}\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AI_"))}
    return subprocess.run(
        [terraform_program(), *words],
        cwd=root,
        env=clean | {"TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def initialised(folder: Path, *kinds: str, mirror: Path | None = None) -> Path:
    """Return a copy in which `terraform init` has been."""
    root = copy(folder, *kinds)
    done = run(root, "init", "-no-color", mirror=mirror)
    assert done.returncode == 0, done.stdout + done.stderr
    return root
