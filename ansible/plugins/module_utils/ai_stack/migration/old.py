"""The old speech service: stopped, started again and asked by its own means, and remembered exactly."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import point, sync_directory
from ..engine import Engine
from .state import MigrationError

UNITS = Path("/etc/systemd/system")
# Local traffic with this mark is not redirected (front.py): so the old service can be asked behind its own back.
MARK = 0x6169
_COMMAND_S = 120
# A server that is told to end finishes what it has begun; the longest recording may take its time.
_STOP_S = 900
_LOOK_EVERY_S = 0.5
# Who asks again and again for the result of a task has asked within this time after the last one ended.
FETCHED_WITHIN_S = 8.0
_PROBES = {
    "asr": ("/asr?output=json", "audio_file", {}),
    "speaches": ("/v1/audio/transcriptions", "file", {"model": "whisper-1"}),
    "whisper_api": ("/api/v1/transcribe", "file", {}),
    "seed": ("/transcribe", "file", {}),
}
# An answer with one of these came from the service itself: it is there, and asks for its own key or another model.
_ANSWERED = (200, 400, 401, 403, 404, 422)


@dataclass(frozen=True)
class Old:
    """`what` is the order's part on it: api, how, address, port, inside, containers [{id,name,restart}], units [..]."""

    what: dict[str, Any]
    engine: Engine

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Its containers as they were found."""
        return list(self.what.get("containers") or [])

    @property
    def units(self) -> list[dict[str, Any]]:
        """Its systemd units as they were found: name, enabled."""
        return list(self.what.get("units") or [])

    def keys(self) -> list[str]:
        """The keys that its callers use, out of its own environment; empty where it asks for none."""
        name = str(self.what.get("key_variable") or "")
        if not name:
            return []
        lines: list[str] = []
        for one in self.containers:
            lines += ((self.engine.container(one["id"]) or {}).get("Config") or {}).get("Env") or []
        for one in self.units:
            number = _said(["systemctl", "show", "--property=MainPID", "--value", one["name"]])
            if number.isdigit() and int(number):
                lines += Path(f"/proc/{number}/environ").read_bytes().decode(errors="replace").split("\0")
        values = [line.partition("=")[2] for line in lines if line.partition("=")[0] == name]
        return [key.strip() for value in values for key in value.split(",") if key.strip()]

    def is_running(self) -> bool:
        """Whether all of it runs."""
        states = [(self.engine.container(one["id"]) or {}).get("State", {}).get("Running") for one in self.containers]
        states += [_said(["systemctl", "is-active", one["name"]]) == "active" for one in self.units]
        return bool(states) and all(states)

    def stop(self, limit_s: float = _STOP_S) -> None:
        """Stop it in its own time, within `limit_s` each; see that nothing starts it again by itself.

        Raises:
            MigrationError: it did not stop.
        """
        for one in self.containers:
            _do(["docker", "update", "--restart=no", one["id"]])
            _do(["docker", "stop", "--time", str(round(limit_s)), one["id"]], limit_s + _COMMAND_S)
        for one in self.units:
            if one.get("enabled"):
                _disable(one["name"])
            _do(["systemctl", "stop", one["name"]], limit_s + _COMMAND_S)

    def step_aside(self, mark: str) -> None:
        """Give up a name that a container of ours is to have."""
        for one in self.containers:
            if one["name"] in ("gateway", "whisper-api", "ollama"):
                found = self.engine.container(one["id"])
                if found is not None and found["Name"].lstrip("/") == one["name"]:
                    _do(["docker", "rename", one["id"], f"{one['name']}-before-{mark}"])

    def start(self) -> None:
        """Start it as it was found, with its name and whatever starts it again by itself.

        Raises:
            MigrationError: it did not start.
        """
        for one in self.containers:
            found = self.engine.container(one["id"])
            if found is None:
                raise MigrationError(
                    f"The old container {one['name']} is not there any more: nothing can be brought back."
                )
            _do(["docker", "start", one["id"]], _STOP_S)
            _do(["docker", "update", f"--restart={one.get('restart') or 'no'}", one["id"]])
        for one in self.units:
            if one.get("enabled"):
                _enable(one["name"])
            _do(["systemctl", "start", one["name"]], _STOP_S)
        # A name that one of ours has keeps nobody from being served; a rollback insists on it.
        with contextlib.suppress(MigrationError):
            self.as_found()

    def as_found(self) -> None:
        """Have its containers called as they were found, and started again by whatever started them.

        Raises:
            MigrationError: somebody else is called so.
        """
        for one in self.containers:
            found = self.engine.container(one["id"])
            if found is None:
                continue
            policy = (found.get("HostConfig") or {}).get("RestartPolicy") or {}
            count = policy.get("MaximumRetryCount")
            if f"{policy.get('Name') or 'no'}{f':{count}' if count else ''}" != (one.get("restart") or "no"):
                _do(["docker", "update", f"--restart={one.get('restart') or 'no'}", one["id"]])
            if found["Name"].lstrip("/") != one["name"]:
                _do(["docker", "rename", one["id"], one["name"]])
        for one in self.units:
            if one.get("enabled"):
                _enable(one["name"])

    def works(self, sample: bytes, timeout_s: float) -> None:
        """Wait until it answers a recording; its own refusal of a key or a name counts as an answer.

        Raises:
            MigrationError: it does not, in time.
        """
        ends_at, said = time.monotonic() + timeout_s, "no answer"
        while time.monotonic() < ends_at:
            try:
                status = self.ask(sample, ends_at - time.monotonic())
                if status in _ANSWERED:
                    return
                said = f"status {status}"
            except (OSError, http.client.HTTPException) as error:
                said = repr(error)
            time.sleep(_LOOK_EVERY_S)
        raise MigrationError(f"The old service does not answer within {timeout_s:g} s: {said}.")

    def ask(self, sample: bytes, timeout_s: float) -> int:
        """Ask it for a transcription, past every redirection; returns HTTP's status."""
        if str(self.what["api"]) not in _PROBES:
            return self._call("GET", "/", b"", {"Connection": "close"}, timeout_s)[0]
        path, field, form = _PROBES[str(self.what["api"])]
        mark = secrets.token_hex(16)
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in form.items()
        ]
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="sample.ogg"\r\n'
            "Content-Type: audio/ogg\r\n\r\n"
        )
        body = b"".join(parts) + head.encode() + sample + f"\r\n--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}", "Connection": "close"}
        return self._call("POST", path, body, headers, timeout_s)[0]

    def left(self, timeout_s: float, known: set[str]) -> int:
        """Wait until nobody but `known` addresses (ours) asks it past the gateway; returns how many still do."""
        ends_at = time.monotonic() + timeout_s
        while (count := self.strangers(known) + _old_workers()) and time.monotonic() < ends_at:
            time.sleep(_LOOK_EVERY_S)
        return count

    def has_finished(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do for an API that works in the background, and its results were asked for."""
        return self.what["api"] != "whisper_api" or fetched(
            lambda: self._call("GET", "/api/v1/decoder_status", b"", {"Connection": "close"}, 10), timeout_s
        )

    def strangers(self, known: set[str]) -> int:
        """How many connections it has from addresses that are not of this host."""
        if self.containers and self.what.get("how") not in ("systemd", "venv"):  # else they are what is beside it
            found = self.engine.container(self.containers[0]["id"]) or {}
            pid, port = int(found.get("State", {}).get("Pid") or 0), int(self.what.get("inside") or self.what["port"])
            networks = found.get("NetworkSettings", {}).get("Networks", {}).values()
            known = known | {str(network.get("Gateway")) for network in networks}
            place = Path(f"/proc/{pid}/net") if pid else None
        else:
            port, place = int(self.what["port"]), Path("/proc/net")
        count = 0
        for line in [one for name in ("tcp", "tcp6") if place for one in _lines(place / name)]:
            local, remote, status = line.split()[1:4]
            if status == "01" and int(local.rpartition(":")[2], 16) == port and not _is_ours(_address(remote), known):
                count += 1
        return count

    def _call(
        self, method: str, path: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> tuple[int, bytes]:
        connection = _Marked("127.0.0.1", int(self.what["port"]), timeout=max(1.0, timeout_s))
        try:
            connection.request(method, path, body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def fetched(ask: Callable[[], tuple[int, bytes]], timeout_s: float) -> bool:
    """Whether within `timeout_s` a service with tasks has none left, and a little later, so that results are fetched.

    `ask` gets its /api/v1/decoder_status. One that does not answer that works on nothing.
    """
    ends_at, quiet_since = time.monotonic() + timeout_s, time.monotonic()
    while time.monotonic() - quiet_since < FETCHED_WITHIN_S:
        try:
            status, text = ask()
            said = json.loads(text) if status == 200 else {}
            busy = bool(said.get("currently_busy")) or bool(said.get("tasks_in_queue"))
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            busy = False
        if busy:
            quiet_since = time.monotonic()
            if quiet_since >= ends_at:
                return False
        time.sleep(_LOOK_EVERY_S)
    return True


class _Marked(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))


def _disable(unit: str) -> None:
    """Have a unit stay off at boot. `disable` takes away the very link by which systemd knows one kept elsewhere."""
    link = UNITS / unit
    if link.is_symlink():
        # Under a name that is no unit's, so that it stays, also if we are cut off.
        point(_spare(link), str(link.readlink()))
    _do(["systemctl", "disable", unit])
    _link_again(link)


def _enable(unit: str) -> None:
    _link_again(UNITS / unit)
    _do(["systemctl", "enable", unit])


def _link_again(link: Path) -> None:
    if _spare(link).is_symlink():
        _spare(link).rename(link)
        sync_directory(link.parent)
        _do(["systemctl", "daemon-reload"])


def _spare(link: Path) -> Path:
    return link.with_name(f".{link.name}.ai-services")


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except OSError:
        return []  # it has just ended, or this host has no IPv6


def _address(text: str) -> str:
    # As the kernel prints it: numbers of four bytes each, in this machine's order.
    raw = bytes.fromhex(text.partition(":")[0])
    turned = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
    address = ipaddress.ip_address(turned)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_ours(address: str, known: set[str]) -> bool:
    return (
        address in known
        or ipaddress.ip_address(address).is_loopback
        or any("/" in one and ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in known)
    )


def _old_workers() -> int:
    """How many workers of nginx still end what they had begun before the last reload, perhaps with the old service."""
    count = 0
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            count += place.read_bytes().startswith(b"nginx: worker process is shutting down")
    return count


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMMAND_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MigrationError(f"`{' '.join(command)}`: {error}") from error
    return done.stdout.strip()


def _do(command: list[str], timeout_s: float = _COMMAND_S) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MigrationError(f"`{' '.join(command)}`: {error}") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MigrationError(f"`{' '.join(command)}` failed ({done.returncode}): {' '.join(words)}")
    return done.stdout
