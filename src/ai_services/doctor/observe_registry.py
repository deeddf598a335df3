"""The newest digest of each image's tag, asked at its registry: a few seconds in all, or not at all."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import re
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, as_object, ask, client_tls, read

TIMEOUT_S = 6.0
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
_LOGINS = (Path("/opt/ai/secrets/docker/config.json"), Path("/root/.docker/config.json"))
# The Hub's names in references, in logins and on the network are three different ones.
_HUB, _HUB_LOGIN, _HUB_HOST = "docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"


def registry(images: Mapping[str, str], ours: Mapping[str, list[str]]) -> dict[str, Any]:
    """Ask for the digest of each image's tag.

    Takes references by service, and the digests that the host has under each. Returns `images`: by service `newest`
    (digest or empty), `ours`, `why` it could not be asked; and `offset_s`: this clock minus the registry's, or None.
    """
    found: dict[str, Any] = {}
    offset_s: float | None = None
    silent: dict[str, str] = {}
    for service, reference in sorted(images.items()):
        host, repository, tag = split(reference)
        # What the release names counts as ours: whether a container runs it is another question.
        known = [*ours.get(service, []), reference.partition("@")[2]]
        row: dict[str, Any] = {"newest": "", "ours": known, "why": silent.get(host, "")}
        found[service] = row
        if row["why"]:
            continue
        try:
            row["newest"], date = _digest(host, repository, tag)
        except Unseen as error:
            row["why"] = str(error)
            if "answers" not in row["why"]:
                silent[host] = row["why"]  # who does not answer is not asked again: each time costs seconds
            continue
        if date is not None:
            # The header counts whole seconds, downwards.
            offset_s = time.time() - date - 0.5
    return {"images": found, "offset_s": offset_s}


def split(reference: str) -> tuple[str, str, str]:
    """Return registry, repository and tag of an image reference; the digest is left out."""
    name = reference.partition("@")[0]
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = _HUB, name
    repository, colon, tag = rest.rpartition(":")
    if not colon:
        repository, tag = rest, "latest"
    if first == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return first, repository, tag


def _digest(host: str, repository: str, tag: str) -> tuple[str, float | None]:
    target = f"/v2/{repository}/manifests/{tag}"
    server = _HUB_HOST if host == _HUB else host
    headers = {"Accept": _MANIFESTS}
    status, body, said = _https(server, "HEAD", target, headers)
    if status == 401:
        headers["Authorization"] = _authorisation(said.get("www-authenticate", ""), host, repository)
        status, body, said = _https(server, "HEAD", target, headers)
    if status != 200:
        raise Unseen(f"{server} answers {status} for {repository}:{tag} {body[:0].decode()}".rstrip())
    date = email.utils.parsedate_to_datetime(said["date"]).timestamp() if "date" in said else None
    return said.get("docker-content-digest", ""), date


def _https(server: str, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPSConnection(server, timeout=TIMEOUT_S, context=client_tls())
    return ask(connection, method, target, None, headers, server, TIMEOUT_S, limit=2**20)


def _authorisation(challenge: str, host: str, repository: str) -> str:
    login = _login(host)
    if challenge.lower().startswith("basic"):
        if not login:
            raise Unseen(f"{host} answers only to those who log in")
        return f"Basic {login}"
    parts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = urllib.parse.urlsplit(parts.get("realm", ""))
    if realm.scheme != "https" or not realm.netloc:
        raise Unseen(f"{host} answers 401 and names no place to log in")
    query = urllib.parse.urlencode({"service": parts.get("service", host), "scope": f"repository:{repository}:pull"})
    # The login goes only where it belongs: to the registry itself, or to the Hub's own place for it.
    known = realm.netloc == host or (host == _HUB and realm.netloc == "auth.docker.io")
    headers = {"Authorization": f"Basic {login}"} if login and known else {}
    status, body, _ = _https(realm.netloc, "GET", f"{realm.path}?{query}", headers)
    answer = as_object(body.decode("utf-8", "replace"), f"{realm.netloc}'s answer")
    token = answer.get("token") or answer.get("access_token")
    if status != 200 or not token:
        raise Unseen(f"{host} answers only to those who log in")
    return f"Bearer {token}"


def _login(host: str) -> str:
    for place in _LOGINS:
        try:
            auths = json.loads(read(place)).get("auths", {})
            entry = auths.get(_HUB_LOGIN if host == _HUB else host) or {}
            login = str(entry.get("auth") or "")
            base64.b64decode(login, validate=True)
        except (Unseen, ValueError, AttributeError):
            continue
        if login:
            return login
    return ""
