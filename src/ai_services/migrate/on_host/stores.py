"""What takes room and who is connected: sizes of volumes and model caches, free-able room, established connections."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read, run
from ai_services.doctor.observe_ports import _address
from ai_services.doctor.observe_services import docker_api

_ESTABLISHED = "01"
_TABLE_LIMIT_BYTES = 16 << 20
_DU_TIMEOUT_S = 25.0
# All of them together: less than a look as a whole may take, or nothing of what was counted would be told.
_ALL_S = 45.0
_MODEL_MARKS = (
    ("ollama", ("models/manifests", "models/blobs", ".ollama/models")),
    ("huggingface", ("hub/models--", "models--", "huggingface/hub")),
)
_CACHES = (".cache/huggingface", ".cache/whisper", ".ollama", ".cache/faster-whisper", ".cache/torch/whisper")


def sizes(paths: list[str]) -> dict[str, dict[str, Any]]:
    """Return `size_mib` (None where it took too long) and `holds` (huggingface, whisper, ollama or "") by path."""
    found = {}
    ends_at = time.monotonic() + _ALL_S
    for path in list(dict.fromkeys(paths))[:40]:
        if not os.path.isdir(path):  # noqa: PTH112  # a text goes in
            continue
        size: int | None = None
        left_s = min(_DU_TIMEOUT_S, ends_at - time.monotonic())
        try:
            said = run(["du", "-sxk", "--", path], left_s).out.split() if left_s > 0.5 else []
            size = int(said[0]) // 1024 if said else None
        except (Unseen, ValueError):
            pass
        found[path] = {"size_mib": size, "holds": holds(path), "models": models(path)}
    return found


def models(path: str) -> list[str]:
    """Return the speech models in a cache of Hugging Face's client, as OWNER/NAME."""
    names = [name for top in (path, f"{path}/hub", f"{path}/huggingface/hub") for name in _names(top)]
    found = {name[len("models--") :].replace("--", "/") for name in names if name.startswith("models--")}
    return sorted(name for name in found if "whisper" in name.lower())[:50]


def holds(path: str) -> str:
    """Tell by what lies in a folder whose models it holds: two levels are looked at."""
    names = _names(path)[:200]
    for folder in names[:50]:
        names = names + [f"{folder}/{one}" for one in _names(f"{path}/{folder}")[:200]]
    joined = "\n".join(names)
    for kind, marks in _MODEL_MARKS:
        if any(mark in joined for mark in marks):
            return kind
    return "whisper" if re.search(r"(?m)(?:^|/)(?:tiny|base|small|medium|large|turbo)[\w.-]*\.pt$", joined) else ""


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))  # noqa: PTH208  # names are enough
    except OSError:
        return []


def caches(homes: list[str]) -> list[str]:
    """Return the folders of model caches below these home directories."""
    return [
        str(Path(home) / cache)
        for home in dict.fromkeys(["/root", *homes])
        for cache in _CACHES
        if (Path(home) / cache).is_dir()
    ]


def clients(ports: dict[int, list[int]]) -> list[dict[str, Any]]:
    """Return who is connected: `address`, `port` (the host's), `count`.

    `ports` maps a host's port to the process ids in whose network it is looked for beside our own: a container's
    connections are seen in its own network only, there on its inner port; so the values are [pid, inner port, …].
    """
    counted: dict[tuple[str, int], int] = {}

    def count(table: Path, wanted: dict[int, int]) -> None:
        for name in ("tcp", "tcp6"):
            try:
                lines = read(table / name, _TABLE_LIMIT_BYTES).splitlines()[1:]
            except Unseen:
                continue
            for line in lines:
                fields = line.split()
                if len(fields) < 4 or fields[3] != _ESTABLISHED:
                    continue
                local = int(fields[1].rpartition(":")[2], 16)
                if local in wanted:
                    key = (_address(fields[2].rpartition(":")[0]), wanted[local])
                    counted[key] = counted.get(key, 0) + 1

    count(Path("/proc/net"), {port: port for port in ports})
    for port, pairs in ports.items():
        for pid, inner in zip(pairs[::2], pairs[1::2]):
            if pid:
                count(Path(f"/proc/{pid}/net"), {inner: port})
    return [{"address": address, "port": port, "count": n} for (address, port), n in sorted(counted.items())]


def gateways() -> list[str]:
    """Return the host's own addresses on Docker's bridges: behind them are callers that cannot be told apart."""
    try:
        said = run(["ip", "-4", "-o", "address", "show"], 5).out
    except Unseen:
        return []
    return re.findall(r"(?:docker\d|br-[0-9a-f]{12})\s+inet ([0-9.]+)/", said)


def reclaimable() -> dict[str, int]:
    """Return what could be freed on Docker's disk, in MiB, by what it is; each is somebody's to look at first."""
    found: dict[str, int] = {}
    root = "/var/lib/docker"
    try:
        root = str(docker_api("/info").get("DockerRootDir") or root)
        answer = docker_api("/system/df", 25)
        images = [one for one in _objects(answer, "Images") if not one.get("Containers")]
        found["unused images"] = sum(int(one.get("Size") or 0) - int(one.get("SharedSize") or 0) for one in images)
        cache = [one for one in _objects(answer, "BuildCache") if not one.get("InUse")]
        found["build cache"] = sum(int(one.get("Size") or 0) for one in cache)
        stopped = [one for one in _objects(answer, "Containers") if one.get("State") != "running"]
        found["stopped containers"] = sum(int(one.get("SizeRw") or 0) for one in stopped)
        for one in _objects(answer, "Volumes"):
            usage = one.get("UsageData")
            if isinstance(usage, dict) and usage.get("RefCount") == 0:
                found[f"volume {one.get('Name')}, which no container has"] = int(usage.get("Size") or 0)
    except (Unseen, TypeError, ValueError):
        pass
    found = {name: size >> 20 for name, size in found.items()}
    for name, path in (("apt's package cache", "/var/cache/apt/archives"), ("the journal", "/var/log/journal")):
        if _on_one_disk(root, path):
            found[name] = sizes([path]).get(path, {}).get("size_mib") or 0
    return {name: size for name, size in found.items() if size > 0}


def _objects(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [one for one in answer.get(name) or [] if isinstance(one, dict)]


def _on_one_disk(first: str, second: str) -> bool:
    try:
        return os.stat(first).st_dev == os.stat(second).st_dev  # noqa: PTH116  # two numbers, no path is wanted
    except OSError:
        return False
