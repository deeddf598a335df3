"""Reads values into `HostSettings` and says everything that is wrong with them, each by the variable's name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ai_services.host.machine_settings import MachineSettings
from ai_services.host.settings import HostSettings
from ai_services.host.settings_kinds import ANY
from ai_services.host.settings_table import renamed, secret_values, table, variables

Purpose = Literal["deploy", "destroy"]

# Where people look for a variable that takes a secret itself. It goes into a file: a value would be seen in
# `ps`, in shell histories and in Ansible's own output.
_AS_FILE = {
    "ai_cloudflare_token": "ai_cloudflare_token_file",
    "ai_cloudflare_api_token": "ai_cloudflare_token_file",
    "ai_huggingface_token": "ai_huggingface_token_file",
    "ai_hf_token": "ai_huggingface_token_file",
    "ai_api_key": "ai_api_keys_file",
    "ai_api_keys": "ai_api_keys_file",
    "ai_tls_certificate": "ai_tls_certificate_file",
    "ai_tls_key": "ai_tls_key_file",
    "ai_extra_ca": "ai_extra_ca_file",
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one variable: what it is, and what would be right."""

    name: str
    what: str
    right: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}. {self.right}"


class SettingsError(ValueError):
    """Everything that is wrong, by variable."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(values: Mapping[str, Any], purpose: Purpose = "deploy") -> HostSettings:
    """Return the settings with defaults for whatever `values` leaves out.

    `values` has names with their `ai_`. Files are looked at on this machine; a relative path is meant from the
    working directory. To destroy a host, less needs to be given, and files need not be there any more.

    Raises:
        SettingsError: with all problems at once.
    """
    values = dict(values)
    if purpose == "destroy":
        # Files are given to install something; whoever removes it may have thrown them away.
        values = {
            name: value for name, value in values.items() if name not in variables() or not name.endswith("_file")
        }
    problems = [unknown(name) for name in values if name not in variables()]
    known = {name: value for name, value in values.items() if name in variables()}
    try:
        settings = HostSettings.model_validate(known)
    except ValidationError as error:
        found = [_problem(detail) for detail in error.errors(include_input=False, include_url=False)]
        wrong = {problem.name for problem in found}
        sound = HostSettings.model_validate({name: value for name, value in known.items() if name not in wrong})
        # What belongs together can be judged where nothing of it is wrong by itself.
        together = [
            problem for problem in _together(sound, purpose) if problem.name not in wrong and "ai_tls" not in wrong
        ]
        raise SettingsError(problems + found + together) from None
    problems += _together(settings, purpose)
    if problems:
        raise SettingsError(problems)
    return settings


def _problem(detail: Any) -> Problem:
    context = detail.get("ctx", {})
    return Problem(str(detail["loc"][0]), context.get("what", detail["msg"]), context.get("right", ""))


def unknown(name: str) -> Problem:
    """Return what to say of a name that is none: its name of today, the file it is given in, the nearest one."""
    if today := renamed().get(name):
        return Problem(name, f"is called {today} now", f"Write {today} in its place; the value stays as it is.")
    if file := _AS_FILE.get(name):
        return Problem(name, "is not taken as a value", f"Put it into a file, and give that file's path as {file}.")
    if name == "ai_hosts" or name in table(MachineSettings):
        return Problem(name, "is of the machine, not of what is put upon it", "Use ./ai provision, or leave it out.")
    near = difflib.get_close_matches(name, variables(), n=1, cutoff=0.6)
    right = f"Did you mean {near[0]}?" if near else "docs/settings.md has all names."
    return Problem(name, "is not a setting", right)


def _together(s: HostSettings, purpose: Purpose) -> list[Problem]:
    if purpose == "destroy":
        return []
    found = []

    def need(name: str, why: str) -> None:
        if getattr(s, name) is None:
            kind = variables()[name].kind
            found.append(Problem(name, f"is needed: {why}", f"Give {kind.words()}."))

    if s.ai_tls != "off":
        need("ai_domain", f'ai_tls is "{s.ai_tls}", and a certificate is for a name')
    if s.ai_tls == "letsencrypt":
        need("ai_cloudflare_token_file", "Let's Encrypt proves the domain by a DNS record at Cloudflare (ai_tls)")
    if s.ai_tls == "own":
        need("ai_tls_certificate_file", 'ai_tls is "own"')
        need("ai_tls_key_file", 'ai_tls is "own"')
        found += _own_certificate(s)
    else:
        found += [
            Problem(name, f'is given, but ai_tls is "{s.ai_tls}"', 'Set ai_tls to "own", or leave it out.')
            for name in ("ai_tls_certificate_file", "ai_tls_key_file")
            if getattr(s, name)
        ]
    if s.ai_tls == "off" and ANY in s.ai_allowed_networks:
        found.append(
            Problem(
                "ai_allowed_networks",
                'is "any" while ai_tls is "off": keys and recordings would cross the internet in the clear',
                "Name your own networks, or use a certificate.",
            )
        )
    if not (s.ai_gateway_image and s.ai_whisper_api_image):
        need("ai_github_owner", "the images are named after it")
    if s.ai_ghcr_token and s.ai_ghcr_token_file:
        found.append(Problem("ai_ghcr_token", "is given, and ai_ghcr_token_file too", "Keep the file."))
    return found


def _own_certificate(s: HostSettings) -> list[Problem]:
    if not (s.ai_tls_certificate_file and s.ai_tls_key_file and s.ai_domain):
        return []
    # Only here, because `./ai` without hosts has nothing that reads certificates.
    from ai_services.host import certificate

    flaws = certificate.problems(Path(s.ai_tls_certificate_file), Path(s.ai_tls_key_file), s.ai_domain)
    return [Problem(f"ai_tls_{flaw.file}_file", flaw.what, flaw.right) for flaw in flaws]


def public(settings: HostSettings) -> dict[str, Any]:
    """Return the settings without those whose very value is a secret: fit for facts, logs and documents."""
    return settings.model_dump(exclude=set(secret_values()))
