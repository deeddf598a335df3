"""The stack's containers as the engine knows them, the engine's configuration, and CUDA inside a container."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, as_object, read, unix_http
from ai_services.doctor.observe_services import DOCKER_SOCKET, PROJECT, brief, docker_api, row_project
from ai_services.doctor.observe_services import containers as listed

# What of /etc/docker/daemon.json the engine tells about itself, and under which name (API `/info`).
_TOLD = {
    "live-restore": "LiveRestoreEnabled",
    "log-driver": "LoggingDriver",
    "default-runtime": "DefaultRuntime",
    "storage-driver": "Driver",
    "data-root": "DockerRootDir",
}
_CUDA_PROBE = (
    "import ctypes\n"
    "try:\n"
    " c=ctypes.CDLL('libcuda.so.1')\n"
    "except OSError as e:\n"
    " print('none', e)\n"
    "else:\n"
    " n=ctypes.c_int(0); r=c.cuInit(0); c.cuDeviceGetCount(ctypes.byref(n)); print('cuda', r, n.value)\n"
)


def containers() -> list[dict[str, Any]]:
    """Return the containers of our compose project.

    `name`, `service`, `state`, `exit_code`, `health` (healthy, unhealthy, starting, or "" without a check),
    `health_said` (first line of the last failed check), `restarts`, `age_s` (since the last start), `oom_killed`,
    `image_id`, `digests` (sha256:… under which the image is known to registries), `reference`, `published`.
    """
    return [_inspected(row) for row in listed() if row_project(row) == PROJECT]


def _inspected(row: dict[str, Any]) -> dict[str, Any]:
    short = brief(row)
    try:
        inspected = docker_api(f"/containers/{row['Id']}/json")
    except Unseen as error:
        if " 404 " in f" {error} ":
            raise Unseen("the containers changed while they were looked at; look again") from None
        raise
    state = inspected.get("State") or {}
    health = state.get("Health") or {}
    image_id = str(inspected.get("Image", ""))
    return {
        "name": short["name"],
        "service": str((row.get("Labels") or {}).get("com.docker.compose.service", short["name"])),
        "state": str(state.get("Status", short["state"])),
        "exit_code": state.get("ExitCode", 0),
        "health": str(health.get("Status", "")).replace("none", ""),
        "health_said": _last_failure(health.get("Log") or []),
        "restarts": int(inspected.get("RestartCount") or 0),
        "age_s": _age_s(str(state.get("StartedAt", ""))),
        "oom_killed": state.get("OOMKilled") is True,
        "image_id": image_id,
        "digests": _digests(image_id),
        "reference": str((inspected.get("Config") or {}).get("Image", "")),
        "published": short["ports"],
    }


def _last_failure(log: list[dict[str, Any]]) -> str:
    for probe in reversed(log):
        if probe.get("ExitCode"):
            lines = str(probe.get("Output", "")).strip().splitlines()
            return lines[-1][:160] if lines else f"its check ends with {probe['ExitCode']}"
    return ""


def _age_s(stamp: str) -> float | None:
    # 2026-11-21T13:45:00.123456789Z: nanoseconds, which fromisoformat refuses. Year 1: never started.
    try:
        began = datetime.fromisoformat(re.sub(r"\.\d+", "", stamp).replace("Z", "+00:00"))
    except ValueError:
        return None
    return None if began.year < 1970 else time.time() - began.timestamp()


def _digests(image_id: str) -> list[str]:
    try:
        image = docker_api(f"/images/{image_id}/json")
    except Unseen:
        return []
    return [str(name).partition("@")[2] for name in image.get("RepoDigests") or []]


def docker_config(root: Path = Path("/")) -> dict[str, Any]:
    """Return how daemon.json fits the running engine: `broken` (why it is no JSON), `differs` (sentences)."""
    place = root / "etc/docker/daemon.json"
    if not place.exists():
        return {"broken": "", "differs": []}
    try:
        wanted = as_object(read(place), "it")
    except Unseen as error:
        return {"broken": str(error).replace("it is", "is", 1), "differs": []}
    info = docker_api("/info")
    differs = [
        f"{name} is {json.dumps(info[told])}, the file says {json.dumps(wanted[name])}"
        for name, told in _TOLD.items()
        if name in wanted and told in info and wanted[name] != info[told]
    ]
    runtimes = wanted.get("runtimes")
    known = info.get("Runtimes")
    if isinstance(runtimes, dict) and isinstance(known, dict):
        differs += [f"it does not know the runtime {name}" for name in runtimes if name not in known]
    return {"broken": "", "differs": differs}


def cuda(container: str = "whisper-api") -> dict[str, Any]:
    """Call cuInit inside a container. Returns `code` (0: well), `devices` (how many), `why` it could not be called."""
    output = execute(container, ["python", "-I", "-c", _CUDA_PROBE])
    found = re.search(r"cuda (-?\d+) (\d+)", output)
    if found:
        return {"code": int(found.group(1)), "devices": int(found.group(2)), "why": ""}
    line = output.strip().splitlines()[-1][:200] if output.strip() else "the container said nothing"
    return {"code": -1, "devices": 0, "why": line.replace("none ", "", 1)}


def execute(container: str, argv: list[str], timeout_s: float = 30.0) -> str:
    """Run a command in a container and return what it wrote, bounded.

    Raises:
        Unseen: no such container, it does not run, or no answer in time.
    """
    body = json.dumps({"AttachStdout": True, "AttachStderr": True, "Cmd": argv}).encode()
    status, answer = unix_http(DOCKER_SOCKET, "POST", f"/containers/{container}/exec", body)
    made = as_object(answer.decode("utf-8", "replace"), "docker's answer to exec")
    if status != 201:
        raise Unseen(f"nothing can be run in {container}: {str(made.get('message', status))[:200]}")
    start = json.dumps({"Detach": False, "Tty": False}).encode()
    status, stream = unix_http(DOCKER_SOCKET, "POST", f"/exec/{made['Id']}/start", start, timeout_s, limit=65536)
    return _frames(stream)


def _frames(stream: bytes) -> str:
    # Each frame: kind, three zeros, length (big endian), then so many bytes.
    texts = []
    while len(stream) >= 8:
        length = int.from_bytes(stream[4:8], "big")
        texts.append(stream[8 : 8 + length])
        stream = stream[8 + length :]
    return b"".join(texts).decode("utf-8", "replace")
