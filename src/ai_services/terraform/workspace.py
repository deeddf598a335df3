"""The copy of terraform/ that is run: with the kinds of machine and record that are used, and no others.

It lies in AI_HOME/provision/terraform beside links to the rest of the checkout, so that every path in it is right. Its
state is the one of terraform/ itself: whoever runs `terraform apply` there by hand sees the same machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.playbook import ROOT
from ai_services.terraform.values import Values

_SOURCE: Final = ROOT / "terraform"
_STATE: Final = "terraform.tfstate"
# Named last, so that it is merged last.
_BACKEND: Final = "zz_state_override.tf"
_OWN_BACKEND: Final = re.compile(r'^\s*(?:backend\s+"|cloud\s*\{)', re.MULTILINE)
_LOCAL_BACKEND: Final = re.compile(r'^\s*backend\s+"local"\s*\{([^}]*)\}', re.MULTILINE)
_KIND_GIVEN: Final = re.compile(r'"?(ai_machine|ai_dns)"?\s*[=:]\s*"(\w+)"')


@dataclass(frozen=True)
class Workspace:
    """A working copy in `folder` of the root module in `source`."""

    folder: Path
    source: Path = _SOURCE

    @property
    def state(self) -> Path:
        """The state on this machine; another place may be named by a backend of the user's own."""
        return self.source / _STATE

    @property
    def has_backend(self) -> bool:
        """Whether the user keeps the state in a place of their own."""
        return any(_OWN_BACKEND.search(file.read_text(encoding="utf-8")) for file in self._root_files())

    def kinds(self, values: Values, state: dict[str, Any]) -> set[str]:
        """Return the kinds that are used: asked for, or still in the state."""
        written = [
            pair for file in self._own_values() for pair in _KIND_GIVEN.findall(file.read_text(encoding="utf-8"))
        ]
        used = {kind for _, kind in written}
        for name in ("ai_machine", "ai_dns"):
            # A file of values of the user's own stands in the place of our default.
            used |= {str(kind) for kind in values.of(name, next((kind for key, kind in written if key == name), None))}
        providers = {str(resource.get("provider", "")) for resource in state.get("resources", [])}
        for kind, files in self._switches().items():
            text = "\n".join(file.read_text(encoding="utf-8") for file in files)
            sources = re.findall(r'source\s*=\s*"([\w.-]+/[\w.-]+)"', text)
            if any(f'/{source}"]' in provider for source in sources for provider in providers):
                used.add(kind)
        return used & set(self._switches())

    def make(self, kinds: Iterable[str]) -> None:
        """Make the copy anew; what Terraform keeps in it (providers, their lock) stays.

        Raises:
            OperatorError: the state would be another one than by hand.
        """
        self._same_state()
        for file in [*self.folder.glob("*.tf"), *self.folder.glob("*.tfvars*")]:
            file.unlink()
        shutil.rmtree(self.folder / "modules", ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._link_checkout()
        for file in self._root_files():
            shutil.copyfile(file, self.folder / file.name)
        switches = self._switches()
        for file in (file for kind in kinds for file in switches[kind]):
            shutil.copyfile(file, self.folder / file.name)
        shutil.copytree(self.source / "modules", self.folder / "modules")
        # Keys of machines that are half made, and files of this run: whichever door made them, the other goes on.
        hosts = self.source / ".hosts"
        hosts.mkdir(mode=0o700, exist_ok=True)
        if not (self.folder / hosts.name).is_symlink():
            (self.folder / hosts.name).symlink_to(hosts)
        if (lock := self.source / ".terraform.lock.hcl").is_file():
            shutil.copyfile(lock, self.folder / lock.name)
        # Linked, not copied: they may hold secrets, and there is one place for these.
        for file in self._own_values():
            (self.folder / file.name).symlink_to(file)
        if (kept := self._local_file()) is not None:
            path = json.dumps(str(kept)).replace("${", "$${").replace("%{", "%%{")
            backend = f'terraform {{\n  backend "local" {{\n    path = {path}\n  }}\n}}\n'
            (self.folder / _BACKEND).write_text(backend, encoding="utf-8")

    def local_state(self) -> dict[str, Any]:
        """Return the state on this machine; empty where there is none."""
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(self.state.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                return content
        return {}

    def _local_file(self) -> Path | None:
        """Return the whole path of a state that is a file; a relative path begins in terraform/, not in the copy."""
        if not self.has_backend:
            return self.state
        for file in self._root_files():
            if found := _LOCAL_BACKEND.search(file.read_text(encoding="utf-8")):
                path = re.search(r'^\s*path\s*=\s*"([^"]+)"', found[1], re.MULTILINE)
                return self.source / (path[1] if path else _STATE)
        return None

    def _same_state(self) -> None:
        if self._local_file() != self.state and self.local_state().get("resources"):
            raise OperatorError(
                f"{self.state} knows machines, and a backend in {self.source} names another place for the state.",
                hint=f"Move it there first: cd {self.source} && terraform init -migrate-state",
                exit_code=BLOCKED,
            )

    def _root_files(self) -> list[Path]:
        # By hand a kind is switched on by links to its files.
        kinds = {file.name for files in self._switches().values() for file in files}
        return [file for file in sorted(self.source.glob("*.tf")) if file.name not in kinds]

    def _switches(self) -> dict[str, list[Path]]:
        folders = sorted(path for path in (self.source / "kinds").glob("*") if path.is_dir())
        return {folder.name: sorted(folder.glob("*.tf")) for folder in folders}

    def _own_values(self) -> list[Path]:
        names = ("terraform.tfvars", "terraform.tfvars.json", "*.auto.tfvars", "*.auto.tfvars.json")
        return [file for name in names for file in sorted(self.source.glob(name))]

    def _link_checkout(self) -> None:
        for entry in self.source.parent.iterdir():
            link = self.folder.parent / entry.name
            if entry == self.source or entry.name.startswith(".") or (link.is_symlink() and link.exists()):
                continue
            link.unlink(missing_ok=True)
            link.symlink_to(entry)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else use the working copies below `folder` meanwhile.

    Raises:
        OperatorError: another run does; it is named.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    holder = folder / ".holder"
    lock = FileLock(folder / ".lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        who = holder.read_text().strip() if holder.is_file() else "unknown"
        raise OperatorError(
            f"Another ./ai provision is at work here (process {who}).",
            hint="Wait for it to end.",
            exit_code=BLOCKED,
        ) from None
    try:
        holder.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()
