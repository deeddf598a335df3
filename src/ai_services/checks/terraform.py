"""Checks of terraform/: its form, whether it is valid, a linter, a security scanner.

Terraform wants a provider's program even to validate, and a registry to get it from is not everywhere. So a working
copy is looked at with the kinds whose providers are there; the others are named. Linter and scanner need none.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ai_services.checks import commands
from ai_services.checks.outcome import Outcome, Skip

_SOURCE: Final = re.compile(r'source += "([\w.-]+/[\w.-]+)"')
# Values with which every expression of the root can be worked out.
_GIVEN: Final = 'ai_domain = "ai.example.com"\nai_cloudflare_zone = "example.com"\nai_address = "192.0.2.1"\n'

# The linter does not put together what override files add: what is required is looked at in the modules. And the
# settings are a file of their own beside variables.tf, since another model makes them.
_NOT_OF_THE_ROOT: Final = ("terraform_required_providers", "terraform_standard_module_structure")


def form_and_validity(top: Path) -> Outcome:
    """`terraform fmt -check`, and `terraform validate` of the root with the kinds that can be had here."""
    program = _program("terraform")
    if program is None:
        return Outcome(skips=[Skip("terraform", "terraform is not installed; its files are read by no one else")])
    status, output = commands.call([program, "fmt", "-check", "-diff", "-recursive", "terraform"], cwd=top)
    if status:
        return Outcome.of_check(False, f"{output}\nmend: terraform fmt -recursive terraform")
    kinds = {path.name: _provider(path) for path in sorted((top / "terraform" / "kinds").iterdir())}
    mirror = _mirror()
    there = [name for name, provider in kinds.items() if any(mirror.glob(f"*/{provider}/*"))]
    outcome = Outcome()
    for chosen in ([], there) if there else ([],):
        with _copy(top, chosen) as root:
            ok, output = _validate(program, root, mirror)
        outcome.passed += int(ok)
        outcome.failed += int(not ok)
        outcome.output += output
    outcome.skips = [
        Skip(f"terraform: {name}", f"the provider {provider} is not on this machine, and no registry is asked")
        for name, provider in kinds.items()
        if name not in there
    ]
    return outcome


def lint(top: Path) -> Outcome:
    """Tflint, every rule, over the root with all kinds and over each module."""
    program = _program("tflint")
    if program is None:
        why = "tflint is not installed: .ci/build-tflint builds it; .ci/run has it on PATH"
        return Outcome(skips=[Skip("terraform-lint", why)])
    rules = {"TFLINT_CONFIG_FILE": str(top / "terraform" / ".tflint.hcl"), "NO_COLOR": "1"}
    words, ok = [], True
    with _copy(top, [path.name for path in (top / "terraform" / "kinds").iterdir()]) as root:
        (root / "given.tfvars").write_text(_GIVEN)
        of_root = ["--var-file=given.tfvars", *(f"--disable-rule={rule}" for rule in _NOT_OF_THE_ROOT)]
        for folder in (root, *sorted((root / "modules").iterdir())):
            extra = of_root if folder == root else []
            command = [program, "--no-color", "--call-module-type=none", *extra]
            status, output = commands.call(command, cwd=folder, env=rules)
            ok = ok and status == 0
            words.append(f"{folder.relative_to(root)}: {output}" if status else "")
    return Outcome.of_check(ok, "".join(words))


def scan(top: Path) -> Outcome:
    """Checkov: known ways to leave a cloud open, and secrets in files; the tests' made-up ones aside."""
    program = _program("checkov")
    if program is None:
        why = "checkov is not installed: .ci/build-checkov makes an environment for it; .ci/run has it on PATH"
        return Outcome(skips=[Skip("terraform-scan", why)])
    with _copy(top, [path.name for path in (top / "terraform" / "kinds").iterdir()]) as root:
        for tests in [path for path in root.rglob("tests") if path.is_dir()]:
            shutil.rmtree(tests)
        shutil.rmtree(root / "kinds")
        command = [program, "-d", str(root.parent), "--framework", "terraform", "secrets", "--quiet", "--compact"]
        quiet = {"BC_SKIP_MAPPING": "TRUE", "LOG_LEVEL": "ERROR", "ANSI_COLORS_DISABLED": "1"}
        status, output = commands.call([*command, "--skip-download"], cwd=root, env=quiet)
    return Outcome.of_check(status == 0, output)


def _program(name: str) -> str | None:
    return shutil.which(name, path=commands.environment()["PATH"])


def _mirror() -> Path:
    """Return where .ci/build-terraform-providers leaves providers."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("AI_TERRAFORM_MIRROR") or cache / "ai-services-ci" / "terraform-providers")


def _provider(kind: Path) -> str:
    """Return the provider of a kind as `namespace/name`."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(kind.glob("*.tf")))
    found = next((source for source in _SOURCE.findall(text) if not source.startswith("./")), None)
    if found is None:
        raise ValueError(f'{kind} names no provider: its files must say `source = "namespace/name"`')
    return str(found)


@contextmanager
def _copy(top: Path, kinds: list[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "terraform"
        shutil.copytree(
            top / "terraform",
            root,
            symlinks=True,
            ignore=shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", ".hosts", "*.tfstate*", "*.tfvars*"),
        )
        for link in [path for path in root.iterdir() if path.is_symlink()]:
            link.unlink()
        for kind in kinds:
            for path in (root / "kinds" / kind).glob("*.tf"):
                shutil.copy(path, root)
        shutil.copytree(top / "bootstrap" / "ai" / "cloud-init", Path(scratch) / "bootstrap" / "ai" / "cloud-init")
        yield root


def _validate(program: str, root: Path, mirror: Path) -> tuple[bool, str]:
    settings = root.parent / "terraform.rc"
    settings.write_text(
        f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n'
    )
    ours = {"TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", "TF_DATA_DIR": str(root.parent / "data")}
    words = ""
    for step in (["init", "-backend=false"], ["validate"]):
        status, output = commands.call([program, *step, "-no-color"], cwd=root, env=ours)
        words += output
        if status:
            return False, words
    return True, words
