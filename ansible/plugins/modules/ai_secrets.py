#!/usr/bin/python
"""Make the stack's keys on the host, once, and give every service its own copy."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from ansible.module_utils.ai_stack.durable import write_file
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ai_secrets
short_description: Keys of the stack and the copies that its services read
description:
  - Makes the keys in C(made) that are not there yet; what is there is never made anew.
  - Writes what was given (API keys, a registry's token, a Hugging Face token) and a copy for each service, readable by
    that service's user alone. Nothing of it is ever returned, shown in a diff or put on a command line.
options:
  root: {description: Directory of the secrets., type: path, default: /opt/ai/secrets}
  made: {description: Keys to make on this host., type: list, elements: str, required: true}
  api_keys: {description: Accepted API keys, one a line., type: str}
  registry: {description: Host of the registry the token is for., type: str}
  registry_user: {description: User name that goes with the token., type: str, default: token}
  registry_token: {description: "Token of the registry; empty removes what was there.", type: str, default: ""}
  huggingface_token: {description: "Token of Hugging Face; empty removes what was there.", type: str, default: ""}
  copies:
    description: For each service, the files it reads; C(of) names the keys that go in, one a line.
    type: dict
    required: true
"""
RETURN = r"""
marks: {description: "For each service 12 hex digits that change when its secrets do, and tell nothing of them.",
        type: dict, returned: always}
written: {description: Paths that were written., type: list, elements: str, returned: always}
"""


class Keeper:
    """Writes what differs, and remembers the paths; in check mode it only remembers."""

    def __init__(self, root: Path, check_mode: bool) -> None:
        self.root = root
        self.check_mode = check_mode
        self.written: list[str] = []
        self._content: dict[str, bytes] = {}

    def directory(self, path: Path) -> None:
        """Make `path` for root alone."""
        if path.is_dir() and path.stat().st_mode & 0o777 == 0o700 and path.stat().st_uid == os.geteuid():
            return
        self.written.append(str(path))
        if not self.check_mode:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            os.chown(path, os.geteuid(), os.getegid())

    def keep(self, name: str, content: bytes, uid: int = 0, mode: int = 0o600) -> None:
        """Let the file `name` hold `content`, for `uid` alone."""
        path = self.root / name
        self.directory(path.parent)
        self._content[name] = content
        if path.is_file() and path.read_bytes() == content:
            found = path.stat()
            if (found.st_mode & 0o777, found.st_uid) == (mode, uid if os.geteuid() == 0 else found.st_uid):
                return
        self.written.append(str(path))
        if not self.check_mode:
            write_file(path, content, mode=mode, uid=uid, gid=uid)

    def drop(self, name: str) -> None:
        """Let there be no file `name`."""
        path = self.root / name
        if path.exists():
            self.written.append(str(path))
            if not self.check_mode:
                path.unlink()

    def read(self, name: str) -> bytes:
        """What the file `name` holds, or would hold after a run that is no check."""
        if name in self._content:
            return self._content[name]
        return (self.root / name).read_bytes()


def main() -> None:
    """Make, write, copy."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/ai/secrets"},
            "made": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "api_keys": {"type": "str", "no_log": True},
            "registry": {"type": "str"},
            "registry_user": {"type": "str", "default": "token"},
            "registry_token": {"type": "str", "default": "", "no_log": True},
            "huggingface_token": {"type": "str", "default": "", "no_log": True},
            "copies": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    ask = module.params
    keeper = Keeper(Path(ask["root"]), module.check_mode)
    try:
        keeper.directory(keeper.root)
        for name in ask["made"]:
            there = keeper.root / name
            # Also what is there is kept again, for its rights may have been loosened.
            keeper.keep(name, there.read_bytes() if there.is_file() else secrets.token_urlsafe(32).encode() + b"\n")
        if ask["api_keys"]:
            keeper.keep("api.key", "".join(f"{line}\n" for line in _lines(ask["api_keys"])).encode())
        _tokens(keeper, ask)
        for service, files in ask["copies"].items():
            for name, about in files.items():
                content = b"".join(keeper.read(key).rstrip(b"\n") + b"\n" for key in about["of"])
                keeper.keep(f"{service}/{name}", content, uid=int(about["uid"]), mode=0o400)
        marks = {service: _mark(keeper, service, files) for service, files in ask["copies"].items()}
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. Free room or repair {ask['root']}, then run again.")
    plan = "".join(f"write {path}\n" for path in keeper.written)
    module.exit_json(
        changed=bool(keeper.written), marks=marks, written=keeper.written, diff={"before": "", "after": plan}
    )


def _tokens(keeper: Keeper, ask: dict[str, str]) -> None:
    if ask["registry_token"].strip():
        pair = f"{ask['registry_user']}:{ask['registry_token'].strip()}"
        auth = {"auths": {ask["registry"]: {"auth": base64.b64encode(pair.encode()).decode()}}}
        keeper.keep("docker/config.json", json.dumps(auth, indent=1).encode() + b"\n")
    else:
        keeper.drop("docker/config.json")
    if ask["huggingface_token"].strip():
        # The fetching container runs as whisper-api's user.
        keeper.keep("huggingface/token", ask["huggingface_token"].strip().encode() + b"\n", uid=10002, mode=0o400)
    else:
        keeper.drop("huggingface/token")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _mark(keeper: Keeper, service: str, files: dict[str, object]) -> str:
    """Keyed with a secret of this host, so that a mark in `docker inspect` helps nobody to guess a weak key."""
    key = keeper.read("salt")
    mark = hmac.new(key, digestmod=hashlib.sha256)
    for name in sorted(files):
        content = keeper.read(f"{service}/{name}")
        mark.update(f"{name}:{len(content)}:".encode() + content)
    return mark.hexdigest()[:12]


if __name__ == "__main__":
    main()
