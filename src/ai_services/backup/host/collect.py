"""What of a host goes into an archive: settings, keys, certificates, the list of models, what services declare."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.backup.host import certificates, docker, models, places, services, tree
from ai_services.backup.host.archive import FILES_LIMIT_BYTES, MARK_DIGITS, Manifest, SavedFile, Stream, is_name
from ai_services.backup.host.record import utc_now
from ai_services.backup.host.services import Declared
from ai_services.backup.host.writer import Read


class CollectError(Exception):
    """The host cannot be backed up now; the message says why and what to do."""


class NothingThereError(CollectError):
    """Nothing is deployed on the host."""


@dataclass(frozen=True)
class Collected:
    """All that is to be written: the manifest, contents of its files by name, and how its streams are opened."""

    manifest: Manifest
    contents: dict[str, bytes]
    declared: dict[Stream, Declared]
    root: Path

    def open_stream(self, stream: Stream) -> Read:
        """Begin to read a stream. Raises DockerError, now or at its end, where the service's command fails."""
        if stream.service == MIGRATION.service:
            return tree.reader(self.root / places.MIGRATIONS)
        declared = self.declared[stream]
        if declared.volume:
            place = docker.volume(declared.volume)
            if place is None:
                raise docker.DockerError(f"The volume {declared.volume} of {stream.service} has gone meanwhile.")
            return tree.reader(place)
        return docker.Running(declared.container, declared.save, writes=False).read


JOURNAL = "record/journal.jsonl"
# What migrations left for their way back: for the record, however large.
MIGRATION = Stream("migration", "state", "tree")


def collect(given: Mapping[str, Any], root: Path = Path("/"), *, streams: bool = True) -> Collected:
    """Read everything small, and see that everything else can be read. `given` are the operator's public settings.

    Without `streams`, what services declare is left out: for a look, also at a host on which they do not run.

    Raises:
        NothingThereError: nothing is deployed here.
        CollectError: a service that has something to save does not run.
        CertificateError: the certificate could be saved, and not be taken up again.
        DeclarationError: a service's declaration makes no sense.
    """
    release = _release(root)
    settings = release.get("settings") or {}
    domain = str(settings.get("ai_domain") or "")
    contents: dict[str, bytes] = {}
    files = []
    for name, path in _named(root, domain, str(settings.get("ai_tls") or "letsencrypt")):
        status = path.stat()
        if not is_name(name):
            raise CollectError(f"{path} has a name that cannot be saved. Rename it, or take it away.")
        contents[name] = _content(path, name, status.st_size, sum(map(len, contents.values())))
        digest = hashlib.sha256(contents[name]).hexdigest()
        mode = stat.S_IMODE(status.st_mode) & 0o777
        files.append(SavedFile(name, len(contents[name]), digest, mode, status.st_uid, status.st_gid))
    wanted = services.read(*(root / path for path in places.DECLARED)) if streams else []
    declared = {each.stream: each for each in wanted if _is_deployed(each)}
    migrations = [MIGRATION] if streams and (root / places.MIGRATIONS).is_dir() else []
    manifest = Manifest(
        id=mark(root, domain) + secrets.token_hex(8 - MARK_DIGITS // 2),
        made=utc_now(),
        host=socket.gethostname(),
        domain=domain,
        version=str(release.get("version") or ""),
        settings=dict(settings),
        given=dict(given),
        models=models.listed(docker.volume("ollama"), docker.volume("huggingface")),
        files=files,
        streams=[*migrations, *declared],
    )
    return Collected(manifest, contents, declared, root)


def mark(root: Path, domain: str) -> str:
    """Return what the number of an archive begins with: the same for hosts of one domain, whatever their machine is.

    A host without a domain is its machine.
    """
    try:
        whose = domain or (root / "etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        whose = ""
    return hashlib.sha256(whose.encode()).hexdigest()[:MARK_DIGITS]


def _content(path: Path, name: str, size: int, so_far: int) -> bytes:
    with path.open("rb") as stream:
        if name == JOURNAL:
            # Of a journal of many years the end counts.
            stream.seek(max(0, size - places.JOURNAL_LIMIT_BYTES))
            return stream.read(places.JOURNAL_LIMIT_BYTES)
        if so_far + size > FILES_LIMIT_BYTES:
            raise CollectError(
                f"{path}: with its {size} bytes, keys and settings are more than any host's. Look there."
            )
        return stream.read(size)


def _release(root: Path) -> dict[str, Any]:
    path = root / places.HOME / "current" / "release.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise NothingThereError(f"Nothing is deployed on {socket.gethostname()}: there is no {path}.") from None
    return found if isinstance(found, dict) else {}


def _named(root: Path, domain: str, tls: str) -> Iterator[tuple[str, Path]]:
    for path in places.regular_files(root / places.SECRETS):
        name = path.relative_to(root / places.SECRETS).as_posix()
        # Half-written files of a moment ago begin with a dot.
        if not path.name.startswith("."):
            yield f"secrets/{name}", path
    # Where the certificate comes from elsewhere, one of that name is of an earlier day.
    for name, path in certificates.found(root / places.LETSENCRYPT, domain if tls == "letsencrypt" else ""):
        yield f"letsencrypt/{name}", path
    for part in ("own.crt", "own.key") if tls == "own" else ():
        if (path := root / places.OWN_CERTIFICATE / part).is_file():
            yield f"own/{part}", path
    if (path := root / places.EXTRA_CA).is_file():
        yield "ca/extra.crt", path
    yield "record/release.json", root / places.HOME / "current" / "release.json"
    if (path := root / places.JOURNAL).is_file():
        yield JOURNAL, path


def _is_deployed(declared: Declared) -> bool:
    """Whether there is anything to save; a service that is there and does not run is an error."""
    if declared.volume:
        return docker.volume(declared.volume) is not None
    state = docker.state(declared.container)
    if state and state != "running":
        raise CollectError(
            f"{declared.stream} cannot be saved: container {declared.container} is {state}. See why: "
            f"docker logs {declared.container}"
        )
    return bool(state)
