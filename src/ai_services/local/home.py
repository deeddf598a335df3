"""AI_HOME: the one directory that holds everything the local stack keeps.

secrets/api.key        the public key, one key a line, 0600
secrets/internal.key   the key between gateway and services, 0600
models/                what was assembled or downloaded
logs/                  rotated by the supervisor
run/                   only while the stack runs: state, supervisor, backends
tmp/                   only while the stack runs: TMPDIR of every component
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.exits import BLOCKED, OperatorError


def default_home() -> Path:
    """Return AI_HOME, or ai-services in the user's data directory (XDG); the account's home if HOME is unset."""
    if explicit := os.environ.get("AI_HOME"):
        return Path(explicit).expanduser()
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data) / "ai-services"
    return _user_home() / ".local" / "share" / "ai-services"


def _user_home() -> Path:
    # Path.home() trusts HOME even when it is set to nothing.
    if os.environ.get("HOME"):
        return Path.home()
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise OperatorError(
            f"User {os.getuid()} has no home directory (no HOME, no account).",
            hint="Say where the stack may keep its state: AI_HOME=/path ./ai up",
            exit_code=BLOCKED,
        ) from None


@dataclass(frozen=True)
class Home:
    """Paths inside one AI_HOME. `root` is absolute and free of links, so that it can identify the stack."""

    root: Path

    @classmethod
    def current(cls) -> Home:
        """Return the AI_HOME that this call of `ai` works on; nothing is created yet."""
        return cls(Path(os.path.realpath(default_home())))

    @property
    def api_key_file(self) -> Path:
        """The public keys, one a line, 0600."""
        return self.root / "secrets" / "api.key"

    @property
    def internal_key_file(self) -> Path:
        """The key between gateway and services, 0600."""
        return self.root / "secrets" / "internal.key"

    @property
    def models(self) -> Path:
        """Models, assembled and downloaded."""
        return self.root / "models"

    @property
    def logs(self) -> Path:
        """Rotated logs; they outlive the stack."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """State of the running stack; gone when it is down."""
        return self.root / "run"

    @property
    def tmp(self) -> Path:
        """TMPDIR of every component; gone when the stack is down."""
        return self.root / "tmp"

    @property
    def state_file(self) -> Path:
        """See `state.Stack`."""
        return self.run / "stack.json"

    @property
    def plan_file(self) -> Path:
        """Command and environment per component, for `launch`."""
        return self.run / "plan.json"

    @property
    def starts_file(self) -> Path:
        """One line per start of a component, written by `launch`."""
        return self.run / "starts.log"

    def create(self) -> None:
        """Make all directories, private to the user. Raises as `create_root` does."""
        self._make(self.root, self.api_key_file.parent, self.models, self.logs, self.run, self.tmp)

    def create_root(self) -> None:
        """Make AI_HOME itself.

        Raises:
            OperatorError: the place cannot be written to, or something that is no directory is in the way.
        """
        self._make(self.root)

    def _make(self, *directories: Path) -> None:
        try:
            for directory in directories:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(
                f"{self.root} cannot hold the stack's state: {error.strerror or error}.",
                hint="Name another directory: AI_HOME=/path/with/space ./ai up",
                exit_code=BLOCKED,
            ) from error

    def key(self, file: Path) -> str:
        """Return the first key in `file`, made now if there is none. Length 43, 256 bits, URL safe."""
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    file.chmod(0o600)
                    return line.strip()
        key = secrets.token_urlsafe(32)
        write_atomically(file, key + "\n")
        return key

    def clear_run(self) -> None:
        """Remove everything that only a running stack needs."""
        for directory in (self.run, self.tmp):
            shutil.rmtree(directory, ignore_errors=True)


def write_atomically(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace `file` by `text` so that a reader, or a machine that loses power, sees the old or the new, never half."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(file: Path, content: Any) -> None:
    """Write `content` as JSON for people and programs, atomically and 0600."""
    write_atomically(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
