"""What Terraform complains of, as a person needs it: what happened, to what, and the next step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ai_services.exits import BLOCKED, FAILED, USAGE, OperatorError
from ai_services.terraform.things import Thing, of_address

_MOST: Final = 6
# summary or detail -> the next step
_HINTS: Final = (
    (
        r"401|403|[Uu]nauthorized|[Ff]orbidden|[Aa]uthentication (?:failed|error)|permission denied",
        "The token is not accepted, or may not do this: see the file that the setting ai_…_token_file names.",
    ),
    (
        r"registry\.(?:terraform\.io|opentofu\.org)|query available provider packages|provider registry",
        "The provider could not be fetched: see whether this machine reaches the internet (HTTPS_PROXY), or name a "
        "mirror of your own in Terraform's configuration file (TF_CLI_CONFIG_FILE).",
    ),
    (r"checksum|signature", "Do not go on before you know why: what was downloaded is not what the lock file names."),
    (
        r"already exists|81057|81053",
        "Look at what is there. An existing DNS record is taken over by its id: --set ai_cloudflare_record_id=…",
    ),
    (r"no such host|connection refused|i/o timeout|deadline exceeded|no route to host|TLS handshake",
     "See whether the address in the settings is right and this machine reaches it."),
    (r"is protected|prevent_destroy", "If it shall go with its data: ./ai provision --destroy --data"),
)  # fmt: skip


def explain(
    diagnostics: Sequence[dict[str, Any]],
    said: Mapping[str, Sequence[str]],
    things: Mapping[str, Thing],
    log: Path,
    *,
    again: str,
    applying: bool = False,
) -> OperatorError:
    """Return the one error for a run that failed.

    `said` is what provisioners printed, by the resource's address; `again` the command that goes on from here;
    `applying` tells that something may have been changed already.
    """
    where = f"Everything Terraform said: {log}"
    found = _without_echoes(diagnostics)
    if not found:
        return OperatorError("Terraform stopped without a word of why.", hint=where)
    for diagnostic in found:
        if held := _held_lock(diagnostic):
            return held
    values = [sentence for d in found if (sentence := _value_sentence(d))]
    if len(values) == len(found):
        count = "One value is" if len(values) == 1 else f"{len(values)} values are"
        return OperatorError(
            f"{count} not right{'' if applying else '; nothing was changed'}.\n  " + "\n  ".join(values),
            hint="All names, with defaults and limits: docs/settings.md and docs/terraform-reference.md",
            exit_code=USAGE,
        )
    messages, hints = [], []
    for diagnostic in found[:_MOST]:
        message, hint = _explained(diagnostic, said, things)
        messages.append(message)
        hints.append(hint)
    if len(found) > _MOST:
        messages.append(f"And {len(found) - _MOST} more; the log has them.")
    steps = [hint for hint in dict.fromkeys(hints) if hint]
    return OperatorError(
        "\n  ".join(messages),
        hint="\n  ".join([*steps, f"After mending it, a second run goes on from here: {again}", where]),
        exit_code=FAILED,
    )


def _without_echoes(diagnostics: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    for diagnostic in diagnostics:
        if diagnostic.get("summary") == "execution halted":  # said of everything that was interrupted
            continue
        key = {name: diagnostic.get(name) for name in ("summary", "detail", "address")}
        if not any(key.items() <= other.items() for other in seen):
            seen.append({**diagnostic, **key})
    return seen


def _held_lock(diagnostic: dict[str, Any]) -> OperatorError | None:
    detail = str(diagnostic.get("detail"))
    if "state lock" not in str(diagnostic.get("summary")) or "Lock Info" not in detail:
        return None
    held = dict(re.findall(r"^\s+(\w+):\s+(\S.*?)\s*$", detail, re.MULTILINE))
    since = re.sub(r"\.\d+ \+0000", "", held.get("Created", "an unknown time"))
    doing = held.get("Operation", "").removeprefix("OperationType").lower()
    return OperatorError(
        f"The state is in use: {held.get('Who', 'somebody')} holds it since {since}"
        f"{f' ({doing})' if doing else ''}. Nothing was changed.",
        hint="Wait for that run to end. If it is dead and the lock stayed: "
        f"cd terraform && terraform force-unlock {held.get('ID', 'ID')}",
        exit_code=BLOCKED,
    )


def _value_sentence(diagnostic: dict[str, Any]) -> str:
    """Return what a validation says of a value, without where in our files it is written."""
    detail = str(diagnostic.get("detail") or "")
    summary = str(diagnostic.get("summary") or "")
    if summary in ("Invalid value for variable", "Resource precondition failed", "Invalid value for input variable"):
        text = detail.partition("\n\nThis was checked by")[0].strip()
        return re.sub(r"The given value is not suitable for (var\.)?(\w+) declared at [^:]*:[^:]*:", r"\2:", text)
    return ""


def _explained(
    diagnostic: dict[str, Any], said: Mapping[str, Sequence[str]], things: Mapping[str, Thing]
) -> tuple[str, str]:
    summary, detail = (str(diagnostic.get(name) or "").strip() for name in ("summary", "detail"))
    address = str(diagnostic.get("address") or "")
    thing = things.get(address) or of_address(address) if address else None
    place = (f"{thing.host}: {thing}" if thing.host else str(thing)) if thing else ""
    if "provisioner error" in summary and thing and thing.is_guard:
        first = next(iter(said.get(address, ())), "Data is protected.")
        return first, "If its data is to go: ./ai provision --set ai_protect_data=false, or --destroy --data"
    if "provisioner error" in summary and thing:
        return _of_provisioner(place, said.get(address, ()))
    value = _value_sentence(diagnostic)
    first = detail.split("\n\n")[0].replace("\n", " ").strip()
    message = value or ". ".join(filter(None, (summary.rstrip("."), first)))
    if not place and (source := (diagnostic.get("range") or {}).get("filename")) and not value:
        message += f" ({source}, line {diagnostic['range']['start']['line']})"
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, f"{summary} {detail}")), "")
    return (f"{place}: {message}" if place else message), hint


def _of_provisioner(place: str, lines: Sequence[str]) -> tuple[str, str]:
    """Return the provisioner's own error: `./ai deploy` says it with a cross, and the next step below it."""
    # A phase that failed has a cross too; the error is the last one.
    crosses = [number for number, line in enumerate(lines) if line.startswith("✘ ")]
    if not crosses:
        last = [line for line in lines if line.strip()][-3:]
        return "\n  ".join([f"{place}: it failed.", *last]), ""
    below = [line.strip() for line in lines[crosses[-1] + 1 :] if line.strip() and "./ai deploy" not in line]
    return f"{place}: {lines[crosses[-1]].removeprefix('✘ ')}", "\n  ".join(below[:4])
