"""From what a look brought back: which service is to be migrated, what stands before it, and what must survive.

Pure. Each statement carries what it rests on; where several services may be meant, none is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_services.migrate import apis, found, fronts, seen
from ai_services.migrate.apis import Candidate
from ai_services.migrate.found import Fact, Found, How, Port, Service, Store
from ai_services.migrate.seen import Answer, Seen

# Where our own releases lie: what is started from there is not to be migrated.
_OURS: Final = ("/opt/ai/releases/", "/opt/ai/current/")
_NO_SERVICE: Final = {
    "docker-proxy",
    "nginx",
    "caddy",
    "apache2",
    "traefik",
    "sshd",
    "systemd",
    "dockerd",
    "containerd",
}
_OLLAMA_PORT: Final = 11434
# Who listens for a container of another engine: Podman's, or a Docker that a user runs without root.
_FOREIGN: Final = {
    "conmon": "Podman", "rootlessport": "Podman or a Docker without root", "pasta": "Podman", "pasta.avx2": "Podman",
    "rootlesskit": "a Docker without root", "slirp4netns": "Podman or a Docker without root",
}  # fmt: skip


def recognise(raw: Mapping[str, Any], host: str, wanted: str | None = None) -> Found:
    """Return what is there. `wanted` names the service to migrate, where the look alone cannot tell."""
    look = Seen(raw)
    containers = look.rows("containers", seen.Container)
    listeners = look.rows("listeners", seen.Listener)
    units = {unit.name: unit for unit in look.rows("units", seen.Unit)}
    answers, sizes = look.answers(), look.table("stores", seen.Store)
    all_containers = {one.name: _container(one, sizes) for one in containers}
    services = [
        _of_container(one, all_containers[one.name], listeners, answers, frozenset(look.mapping("compose")))
        for one in containers
        if one.state == "running" and not is_ours(one)
    ]
    named = {one.id: one.name for one in containers}
    for pid in dict.fromkeys(one.pid for one in listeners if one.pid):
        sockets = [one for one in listeners if one.pid == pid]
        first = sockets[0]
        if first.container in named or (first.process or "") in _NO_SERVICE or not first.command:
            continue
        services.append(_of_process(sockets, units.get(first.unit), answers, sizes))
    services = _without_workers(services)
    candidates = tuple(service for service, is_speech in services if is_speech)
    ollama = next((service for service, _ in services if service.is_ollama), None)
    chosen = _chosen(candidates, wanted)
    front = fronts.front_of(look, candidates, containers, ollama)
    unseen = [*look.mapping("why").items(), *look.odd.items()]
    unseen += [(f"container {one.name}", "it is described in a way that makes no sense")
               for one in containers if one.state == "unreadable"]  # fmt: skip
    ports = {port.port for service in candidates for port in service.ports}
    ports |= {port.port for site in front.sites for port in site.listens}
    return Found(
        host=host,
        looked_at=look.text("utc"),
        service=chosen,
        candidates=candidates,
        ollama=ollama,
        front=front,
        containers=tuple(all_containers.values()),
        units=tuple(_unit(unit) for unit in units.values()),
        clients=tuple(
            found.Client(one.address, one.port, one.count)
            for one in look.rows("clients", seen.Client)
            if one.port in ports
        ),
        machine=look.mapping("facts"),
        room={name: size for name, size in look.mapping("reclaimable").items() if isinstance(size, int)},
        texts={path: text for path, text in look.mapping("compose").items() if isinstance(text, str)},
        cloudflare=look.text("cloudflare"),
        release=look.text("release"),
        packet_filter=str(look.mapping("packet_filter").get("kind") or ""),
        packet_filter_seen=str(look.mapping("packet_filter").get("evidence") or "")[:200],
        migration=str(look.mapping("migration").get("id") or ""),
        unseen=tuple(
            Fact(f"{name} could not be seen", str(why)[:300])
            for name, why in unseen
            if not _is_expected(name, str(why))
        ),
    )


def _is_expected(name: str, why: str) -> bool:
    """Tell whether it is no news that this was not seen: most hosts do not have all of them."""
    return name in ("caddy", "apache", "nginx") or (name == "containers" and why.endswith("is not there"))


def is_ours(container: seen.Container) -> bool:
    """Tell whether a container is of one of our releases (the first version lay in /opt/ai too, but not there)."""
    return any(path.startswith(_OURS) for path in container.compose.paths())


def _chosen(candidates: tuple[Service, ...], wanted: str | None) -> Service | None:
    if wanted is not None:
        return next((one for one in candidates if wanted in (one.name, one.unit.name if one.unit else "")), None)
    known = [one for one in candidates if one.api != "unknown"]
    # One that is understood beside others that are not is still a choice for a person.
    return known[0] if len(known) == 1 and len(candidates) == 1 else None


def _container(one: seen.Container, sizes: Mapping[str, seen.Store]) -> found.Container:
    return found.Container(
        id=one.id, name=one.name, image=one.image, image_id=one.image_id, state=one.state, restart=one.restart,
        auto_remove=one.auto_remove,
        command=tuple(one.command), ports=tuple(Port(p.address, p.port, p.inside) for p in one.ports),
        stores=tuple(_store(mount, sizes) for mount in one.mounts if mount.kind in ("volume", "bind")),
        network_mode=one.network_mode, gpu=one.gpu, environment=one.environment,
        environment_names=tuple(one.environment_names), compose_project=one.compose.project,
        compose_service=one.compose.service, compose_version=one.compose.version, compose_folder=one.compose.folder,
        compose_files=one.compose.paths(),
    )  # fmt: skip


def _store(mount: seen.Mount, sizes: Mapping[str, seen.Store]) -> Store:
    size = sizes.get(mount.path)
    kinds = {"huggingface", "whisper", "ollama"}
    holds: Any = size.holds if size and size.holds in kinds else ""
    return Store(
        "volume" if mount.kind == "volume" else "bind", mount.name, mount.path, mount.target,
        size.size_mib if size else None, holds, tuple(size.models) if size else (),
    )  # fmt: skip


def _how(one: seen.Container) -> How:
    if not one.compose.project:
        return "docker"
    return "compose_v1" if one.compose.version.startswith("1.") else "compose_v2"


def _of_container(
    one: seen.Container,
    container: found.Container,
    listeners: list[seen.Listener],
    answers: Mapping[str, Mapping[str, Answer]],
    files: frozenset[str],
) -> tuple[Service, bool]:
    ports = list(container.ports)
    if one.network_mode == "host":
        ports = [Port(place.address, place.port) for place in listeners if place.container == one.id]
    if not ports and one.addresses:
        ports = [Port(one.addresses[0], inside, inside, inner=True) for inside in one.exposed]
    said, where, ports = _answering(ports, answers)
    command = " ".join(one.command)
    candidate = Candidate(one.image, command, {}, said.get("/openapi.json"), where)
    api, facts = apis.tell(candidate)
    model, model_said = apis.model_of(api, one.environment, said, container.stores)
    is_ollama = _is_ollama(one.image, command, said, ports)
    how = _how(one)
    # Compose reads .env by itself; its labels do not name it.
    described = tuple(dict.fromkeys([*container.compose_files, *(files & {f"{one.compose.folder}/.env"})]))
    started = {
        "compose_v1": f"Compose v{one.compose.version} (project {one.compose.project}) started it",
        "compose_v2": f"Compose v{one.compose.version} (project {one.compose.project}) started it",
    }.get(how, "`docker run` started it, no Compose labels are on it")
    memory = next((place.memory_mib for place in listeners if place.container == one.id), None)
    service = Service(
        name=one.name, api=api, how=how, ports=tuple(ports), container=container, command=command,
        folder=one.compose.folder,
        files=described, stores=container.stores, model=model,
        version=said["/openapi.json"].version if "/openapi.json" in said else "",
        key_variable=apis.key_variable(api, one.environment_names), is_ollama=is_ollama, healthy=_healthy(said),
        routes=tuple(said["/openapi.json"].paths) if "/openapi.json" in said else (), memory_mib=memory,
        facts=(
            *facts, Fact(started, f"docker inspect {one.name}"),
            *([Fact(f"its model is {model}", model_said)] if model else []),
        ),
    )  # fmt: skip
    return service, not is_ollama and (api != "unknown" or apis.is_speech(candidate))


def _of_process(
    sockets: list[seen.Listener],
    unit: seen.Unit | None,
    answers: Mapping[str, Mapping[str, Answer]],
    sizes: Mapping[str, seen.Store],
) -> tuple[Service, bool]:
    first = sockets[0]
    said, where, ports = _answering([Port(one.address, one.port) for one in sockets], answers)
    command = " ".join(unit.command if unit and unit.command else first.command)
    # The program's own name counts, not the folder that it lies in.
    told = " ".join(word.rsplit("/", 1)[-1] if place < 2 else word for place, word in enumerate(first.command))
    candidate = Candidate("", told, first.venv.packages, said.get("/openapi.json"), where)
    api, facts = apis.tell(candidate)
    environment = {**(unit.environment if unit else {}), **first.environment}
    names = [*first.environment_names, *(unit.environment_names if unit else [])]
    is_ollama = _is_ollama("", command, said, ports)
    stores = [
        Store("folder", path.rsplit("/", 1)[-1], path, "", size.size_mib, size.holds, tuple(size.models))  # type: ignore[arg-type]  # `in` narrows no text
        for path, size in sizes.items()
        if size.holds in ("huggingface", "whisper", "ollama") and "/.cache/" in path
    ]
    model, model_said = apis.model_of(api, environment, said, stores)
    engine = _FOREIGN.get(first.process or "", "another engine" if first.container else "")
    evidence = f"systemctl show {unit.name}" if unit else f"process {first.pid} of {first.user or 'somebody'}"
    service = Service(
        name=unit.name.removesuffix(".service") if unit else (first.process or str(first.pid)),
        api=api, how="systemd" if unit else "venv", ports=tuple(ports), unit=_unit(unit) if unit else None,
        process=first.pid, command=command, engine=engine, folder=(unit.folder if unit else "") or first.folder,
        files=(unit.file, *unit.drop_ins, *unit.environment_files) if unit else (), stores=tuple(stores), model=model,
        version=said["/openapi.json"].version if "/openapi.json" in said else "",
        key_variable=apis.key_variable(api, names), is_ollama=is_ollama, healthy=_healthy(said),
        routes=tuple(said["/openapi.json"].paths) if "/openapi.json" in said else (), memory_mib=first.memory_mib,
        facts=(
            *facts,
            Fact(f"the unit {unit.name} starts it" if unit else "no unit is behind it: started by hand", evidence),
            *([Fact(f"it runs from {first.venv.path}", "its command line")] if first.venv.path else []),
            *([Fact(f"its model is {model}", model_said)] if model else []),
        ),
    )  # fmt: skip
    return service, not is_ollama and (api != "unknown" or apis.is_speech(candidate))


def _unit(unit: seen.Unit) -> found.Unit:
    return found.Unit(
        name=unit.name, file=unit.file, parts=(*unit.drop_ins, *unit.environment_files),
        active=unit.active == "active", enabled=unit.enabled == "enabled", user=unit.user, folder=unit.folder,
        command=" ".join(unit.command),
    )  # fmt: skip


def _answering(
    ports: list[Port], answers: Mapping[str, Mapping[str, Answer]]
) -> tuple[Mapping[str, Answer], str, list[Port]]:
    """Return what the first port that describes itself answered, and where; that port comes first from now on."""
    best: tuple[int, Port, Mapping[str, Answer], str] | None = None
    for port in ports:
        for place in _places(port):
            said = answers.get(place)
            if said is None:
                continue
            worth = 2 if said.get("/openapi.json") and said["/openapi.json"].paths else 1
            if best is None or worth > best[0]:
                best = (worth, port, said, f"http://{place}")
    if best is None:
        return {}, "", _once(ports)
    return best[2], best[3], _once([best[1], *ports])


def _once(ports: list[Port]) -> list[Port]:
    """Docker publishes each port twice, for IPv4 and IPv6: one is enough."""
    kept: dict[tuple[int, int | None, bool], Port] = {}
    for port in ports:
        kept.setdefault((port.port, port.inside, port.is_public), port)
    return list(kept.values())


def _places(port: Port) -> list[str]:
    if port.address in ("0.0.0.0", "*", ""):  # noqa: S104 -- where it listens, not we
        return [f"127.0.0.1:{port.port}"]
    if port.address in ("::", "[::]"):
        return [f"::1:{port.port}", f"127.0.0.1:{port.port}"]
    return [f"{port.address}:{port.port}"]


def _healthy(said: Mapping[str, Answer]) -> bool | None:
    if not said:
        return None
    health = said.get("/health")
    if health and health.status not in (0, 404, 405):
        return health.status < 400
    return any(0 < answer.status < 500 for answer in said.values())


def _is_ollama(image: str, command: str, said: Mapping[str, Answer], ports: list[Port]) -> bool:
    if "/openapi.json" in said and said["/openapi.json"].paths:
        return False
    called = "ollama/ollama" in image or "ollama serve" in command
    tags = said.get("/api/tags")
    # Its answer alone would also be that of anything that speaks its dialect.
    return called or bool(tags and tags.status == 200 and any(port.port == _OLLAMA_PORT for port in ports))


def _without_workers(services: list[tuple[Service, bool]]) -> list[tuple[Service, bool]]:
    """Several processes of one unit, or of one socket, are one service."""
    kept: dict[tuple[str, frozenset[tuple[str, int]]], tuple[Service, bool]] = {}
    for service, is_speech in services:
        places = frozenset((port.address, port.port) for port in service.ports)
        key = (service.unit.name, frozenset()) if service.unit else (service.name, places)
        kept.setdefault(key, (service, is_speech))
    return list(kept.values())
