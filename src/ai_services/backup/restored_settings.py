"""The settings of an archive as `deploy` takes them: files of an operator's machine come out of the host's own."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_services import __version__
from ai_services.backup.host.archive import Manifest
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import SettingsError, load
from ai_services.host.settings_table import renamed, variables
from ai_services.private import write_private

_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def settings(manifest: Manifest, contents: Mapping[str, bytes], over: Mapping[str, Any], folder: Path) -> HostSettings:
    """Return what the host is deployed with: as it was, except for what the operator says now (`over`).

    Files are written into `folder`, for this user alone.

    Raises:
        OperatorError: a setting is not right any more, or needs a file that the archive has not, or it is of a later
            version.
    """
    values = _of_today({**manifest.given, **manifest.settings})
    values = {name: value for name, value in values.items() if name in variables() and not name.endswith("_file")}
    if "ai_version" not in over:
        values |= _version(str(values.pop("ai_version", manifest.version)))
    for name, content in _files(contents).items():
        if name.startswith("ai_tls_") and values.get("ai_tls") != "own":
            continue
        write_private(folder / name, content)
        values[name] = str(folder / name)
    values |= over
    try:
        return load(values)
    except SettingsError as error:
        lines = "\n  ".join(map(str, error.problems))
        raise OperatorError(
            f"The archive's settings do not make a host; nothing was touched.\n  {lines}",
            hint="Give what is missing: --set NAME=VALUE",
            exit_code=BLOCKED,
        ) from None


def left_out(manifest: Manifest) -> list[str]:
    """Return the names of settings that this version does not have, and so does not restore."""
    return sorted(name for name in _of_today(manifest.settings) if name not in variables())


def _of_today(values: Mapping[str, Any]) -> dict[str, Any]:
    return {renamed().get(name, name): value for name, value in values.items()}


def _version(was: str) -> dict[str, str]:
    """Return which version is brought: this checkout's, whose roles were tried with no other; a tag of one's own stays.

    Raises:
        OperatorError: it was a later one.
    """
    before, now = (_RELEASE.fullmatch(words) for words in (was, __version__))
    if not before or not now:
        return {"ai_version": was} if was else {}
    if tuple(map(int, before.groups())) > tuple(map(int, now.groups())):
        raise OperatorError(
            f"The archive is of version {was}, and this checkout is {__version__}; nothing was touched.",
            hint=f"Update this checkout. To go back with it: --set ai_version={__version__}",
            exit_code=BLOCKED,
        )
    return {}


def _files(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Return the texts of file settings that the host still had, by the setting's name. Its API keys stay its own."""
    found = {
        "ai_tls_certificate_file": _text(contents, "own/own.crt"),
        "ai_tls_key_file": _text(contents, "own/own.key"),
        "ai_extra_ca_file": _text(contents, "ca/extra.crt"),
        "ai_huggingface_token_file": _text(contents, "secrets/huggingface/token"),
        "ai_ghcr_token_file": _registry_token(_text(contents, "secrets/docker/config.json")),
        "ai_cloudflare_token_file": _cloudflare_token(_text(contents, "letsencrypt/cloudflare.ini")),
        "ai_backup_s3_credentials_file": _text(contents, "secrets/backup/s3-credentials"),
    }
    return {name: text for name, text in found.items() if text and name in variables()}


def _text(contents: Mapping[str, bytes], name: str) -> str:
    return contents.get(name, b"").decode("utf-8", "replace")


def _registry_token(text: str) -> str:
    try:
        entry = next(iter(json.loads(text)["auths"].values()))
        return base64.b64decode(entry["auth"]).decode().partition(":")[2] + "\n"
    except (ValueError, KeyError, StopIteration, AttributeError, TypeError):
        return ""


def _cloudflare_token(text: str) -> str:
    found = re.search(r"^dns_cloudflare_api_token = (\S+)$", text, re.MULTILINE)
    return f"{found[1]}\n" if found else ""
