"""Images by digest: which tag means which bytes is decided once, when it is pulled, and written into the release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .engine import Engine, EngineError, credentials_for, registry_of
from .progress import Progress


class ImageError(Exception):
    """An image cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Resolved:
    """`pinned`: service -> reference with digest; `missing`: service -> reference that must be pulled first."""

    pinned: dict[str, str]
    missing: dict[str, str]


def resolve(engine: Engine, wanted: Mapping[str, str], known: Mapping[str, str]) -> Resolved:
    """Pin what is on this machine. `known` are the pins of the current release: a tag keeps the digest it got there."""
    pinned, missing = {}, {}
    for service, reference in wanted.items():
        before = known.get(service, "")
        if before.partition("@")[0] == reference and _here(engine, before):
            pinned[service] = before
        elif "@sha256:" in reference and _here(engine, reference):
            pinned[service] = reference
        else:
            missing[service] = reference
    return Resolved(pinned, missing)


def pull(engine: Engine, wanted: Mapping[str, str], docker_config: Path, progress: Progress) -> dict[str, str]:
    """Pull every image and return it by digest.

    Raises:
        ImageError: a registry refused, does not know the image, or cannot be reached.
    """
    pinned: dict[str, str] = {}
    for service, reference in wanted.items():
        if reference not in {pin.partition("@")[0] for pin in pinned.values()}:
            _pull_one(engine, reference, docker_config, progress)
        pinned[service] = _pin(engine, reference)
    return pinned


def discard(engine: Engine, pins: Iterable[str], spared: Iterable[str] = ()) -> list[str]:
    """Remove images that are pinned so and that no container and none of the pins `spared` needs. Returns which went.

    Raises:
        EngineError: Docker cannot be talked to.
    """
    needed = set(spared)
    doomed = sorted(set(pins) - needed)
    kept = {str(found["Id"]) for pin in needed if (found := engine.image(pin))} if doomed else set()
    gone = []
    for pin in doomed:
        found = engine.image(pin)
        if found is None or str(found["Id"]) in kept:
            continue
        # The tag it came by holds it too; the digest goes with the last tag. A tag that means other bytes by now stays.
        tag = pin.partition("@")[0]
        tagged = engine.image(tag)
        if tagged is not None and tagged["Id"] == found["Id"]:
            engine.remove_image(tag)
        engine.remove_image(pin)
        if engine.image(pin) is None:
            gone.append(pin)
    return gone


def _pull_one(engine: Engine, reference: str, docker_config: Path, progress: Progress) -> None:
    layers: dict[str, tuple[int, int]] = {}
    auth = credentials_for(reference, docker_config)
    progress.say(f"pulling {reference}", now=True)
    try:
        for message in engine.pull(reference, auth):
            detail = message.get("progressDetail") or {}
            if message.get("status") == "Downloading" and detail.get("total"):
                layers[str(message["id"])] = (int(detail["current"]), int(detail["total"]))
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                progress.say(f"pulling {reference}", done, total)
            elif message.get("status") == "Extracting":
                progress.say(f"unpacking {reference}")
    except EngineError as error:
        raise ImageError(_in_plain_words(reference, error, given=auth is not None)) from error


def _in_plain_words(reference: str, error: EngineError, *, given: bool) -> str:
    words, registry = str(error), registry_of(reference)
    lower = words.lower()
    if any(hint in lower for hint in ("unauthorized", "denied", "authentication required", "401", "403")):
        advice = (
            f"The token given for {registry} may not read it: it needs read:packages, and must not have expired."
            if given
            else f"{registry} wants a token for it: give one with read:packages in ai_ghcr_token_file."
        )
    elif any(hint in lower for hint in ("not found", "manifest unknown", "name unknown", "404")):
        advice = f"{registry} does not have it: check ai_github_owner, ai_version, and the image's name."
    elif "no space left" in lower:
        advice = "The disk is full: free some room under /var/lib/docker."
    elif "certificate" in lower or "x509" in lower:
        advice = f"The certificate of {registry} is not trusted here; behind a re-signing proxy set ai_extra_ca_file."
    else:
        advice = f"Check that this host reaches {registry}, then deploy again: what has arrived is kept."
    return f"{reference} cannot be pulled: {words}. {advice}"


def _pin(engine: Engine, reference: str) -> str:
    found = engine.image(reference)
    if found is None:
        raise ImageError(f"{reference} was pulled and is gone again: something removes images on this host.")
    if "@sha256:" in reference:
        return reference
    repository = _repository(reference)
    for digest in found.get("RepoDigests") or []:
        if _same_repository(digest.partition("@")[0], repository):
            return f"{reference}@{digest.partition('@')[2]}"
    raise ImageError(f"{reference} has no digest: it was built here and never pulled from {registry_of(reference)}.")


def _repository(reference: str) -> str:
    """The reference without its tag; a colon before the last slash belongs to the registry's port."""
    head, slash, last = reference.rpartition("/")
    return head + slash + last.partition(":")[0]


def _same_repository(one: str, other: str) -> bool:
    def whole(name: str) -> str:
        return name.removeprefix("docker.io/").removeprefix("library/")

    return whole(one) == whole(other)


def _here(engine: Engine, reference: str) -> bool:
    return bool(reference) and engine.image(reference) is not None
