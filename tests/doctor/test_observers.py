"""B.5: every look at a machine is bounded in time and memory, and garbage in any source is survived."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_services.doctor import observe_containers, observe_gpu, observe_ports, observe_release, observe_services, x509
from ai_services.doctor.bounded import Unseen, read, run
from ai_services.doctor.examine import Observatory
from ai_services.doctor.facts import look
from ai_services.doctor.observe_log import kernel_log, parse
from ai_services.doctor.observe_registry import split

pytestmark = pytest.mark.promise("B.5")


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    begun = time.monotonic()
    with pytest.raises(Unseen, match=r"gave no answer in 1 s"):
        run(["sh", "-c", f"sleep 1000 & echo $! >{note}; wait"], timeout_s=1)
    assert time.monotonic() - begun < 10
    pid = int(note.read_text())
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < until, "its child lives on"
        time.sleep(0.01)


def test_a_command_that_floods_is_cut_and_still_ends() -> None:
    ran = run(["sh", "-c", "head -c 50000000 /dev/zero; echo end >&2"], limit=1000)
    assert len(ran.out) == 1000
    assert ran.said == "end"


def test_what_is_not_installed_is_said() -> None:
    with pytest.raises(Unseen, match="no-such-tool is not installed"):
        run(["no-such-tool"])


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe") == ""


def test_odd_bytes_become_text(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"a\xff\x00b")
    assert read(tmp_path / "odd") == "a\ufffd\x00b"


def test_one_hanging_look_costs_one_fact() -> None:
    stop = threading.Event()
    begun = time.monotonic()
    values, why = look(
        {"well": lambda: 1, "hangs": lambda: stop.wait(60), "odd": lambda: json.loads("{}")["a"]}, deadline_s=0.5
    )
    stop.set()
    assert time.monotonic() - begun < 5
    assert values == {"well": 1, "hangs": None, "odd": None}
    assert why["hangs"] == "no answer in 0 s" or "no answer" in why["hangs"]
    assert "KeyError" in why["odd"]


def test_an_observation_is_made_once_and_only_when_asked_for() -> None:
    made: list[str] = []
    seen = Observatory(
        {"a": lambda _: made.append("a"), "b": lambda s: s["a"], "c": lambda _: made.append("c")}, eager=False
    ).seen
    _ = seen["b"], seen["a"], seen["b"]
    assert made == ["a"]


# -- docker ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A socket that answers what stands under "bytes", whatever is asked; with "hang" it says nothing more after it."""
    place = tmp_path / "docker.sock"
    monkeypatch.setattr(observe_services, "DOCKER_SOCKET", str(place))
    monkeypatch.setattr(observe_containers, "DOCKER_SOCKET", str(place))
    said: dict[str, bytes] = {}
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(place))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(65536)
            connection.sendall(said["bytes"])
            try:
                while "drip" in said:
                    connection.sendall(said["drip"])
                    time.sleep(0.2)
            except OSError:
                pass
            if "hang" not in said:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield said
    server.close()


def _http(body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xfe\xfd",
        b"HTTP/1.1 200 OK\r\n",
        _http(b'{"ServerVersion": "26'),
        _http(b'{"ServerVersion": "26', 5000),
        _http(b"[]"),
        _http(b"[" * 100_000),
        _http(b'"' + b"x" * 100_000),
        b"HTTP/1.1 500 Oops\r\nContent-Length: 17\r\n\r\n" + b'{"message": "no"}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "bytes", "half-a-head", "cut", "short", "a-list", "deep", "a-string", "an-error", "bad-chunks"],
)
def test_garbage_from_docker_is_a_reason_and_no_crash(docker: dict[str, bytes], answer: bytes) -> None:
    docker["bytes"] = answer
    with pytest.raises(Unseen) as caught:
        observe_services.docker_api("/info", timeout_s=2)
    assert len(str(caught.value)) < 400
    assert observe_services.docker()["running"] is False


def test_docker_that_never_answers_is_given_up(docker: dict[str, bytes]) -> None:
    docker.update(bytes=b"HTTP/1.1 200 OK\r\n", hang=b"")
    begun = time.monotonic()
    with pytest.raises(Unseen):
        observe_services.docker_api("/info", timeout_s=1)
    assert time.monotonic() - begun < 10


def test_docker_that_drips_is_given_up_too(docker: dict[str, bytes]) -> None:
    """A byte now and then keeps a socket's own timeout from ever striking."""
    docker.update(bytes=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", drip=b" ")
    begun = time.monotonic()
    with pytest.raises(Unseen):
        observe_services.docker_api("/info", timeout_s=1)
    took_s = time.monotonic() - begun
    docker.pop("drip")
    assert took_s < 8


def test_a_list_with_odd_rows_keeps_the_good_ones(docker: dict[str, bytes]) -> None:
    docker["bytes"] = _http(json.dumps([None, 3, {"Labels": None}, {"Names": None, "Ports": None}]).encode())
    assert len(observe_services.containers()) == 2
    assert observe_services.brief({"Names": None, "Ports": None})["name"] == "?"


# -- kernel log --------------------------------------------------------------------------------------------------------


def test_xid_and_oom_are_found_among_noise() -> None:
    noise: list[tuple[float | None, str]] = [(5.0, "x" * 10_000)] * 1000
    lines = [
        *noise,
        (9.0, "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
        (8.0, "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
        (7.0, "Memory cgroup out of memory: Killed process 4242 (python3) total-vm:1kB"),
        (6.0, "Out of memory: Killed process 17 (ollama) total-vm:1kB"),
        (None, "NVRM: Xid (\xff): nonsense"),
    ]
    found = parse(lines)
    assert [row["code"] for row in found["xid"]] == [79], "the same line from two logs counts once"
    assert [row["process"] for row in found["oom"]] == ["python3", "ollama"]


def test_a_huge_log_is_read_in_bounded_memory_and_time(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("1000.00 1\n")
    with (tmp_path / "dev/kmsg").open("wb") as log:
        log.write(b"3,1,999000000,-;NVRM: Xid (PCI:0000:01:00): 48, pid=1\n")
        log.write(b"\xff\x00garbage without a head\n" * 2_000_000)
    begun = time.monotonic()
    found = kernel_log(tmp_path)
    assert time.monotonic() - begun < 30
    assert (48, True) in [(row["code"], 0 <= (row["age_s"] or 0) < 5) for row in found["xid"]]


# -- release -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    release = tmp_path / "releases" / "0123456789ab"
    release.mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/0123456789ab")
    (release / "release.json").write_text('{"id": "0123456789ab", "files": {"a": "0"}, "images": 7}')
    return tmp_path


def test_a_release_without_some_members_is_read(home: Path) -> None:
    found = observe_release.release(home)
    assert found["images"] == {}
    assert observe_release.files(home) == [{"path": str(home / "current/a"), "expected": "0", "found": None}]


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", "[" * 100_000])
def test_a_broken_record_is_said(home: Path, content: str) -> None:
    (home / "current/release.json").write_text(content)
    assert "release.json" in observe_release.state(home)["problem"]
    with pytest.raises(Unseen, match=r"release\.json"):
        observe_release.release(home)


def test_current_that_leads_out_is_said(home: Path) -> None:
    (home / "current").unlink()
    (home / "current").symlink_to("/etc")
    assert "leads out" in observe_release.state(home)["problem"]


def test_the_journal_knows_what_was_begun_and_not_done(home: Path) -> None:
    def line(step: str, state: str, release: str = "0123456789ab") -> str:
        return json.dumps({"time": "2026-11-21T12:00:00Z", "release": release, "step": step, "state": state}) + "\n"

    path = home / "journal.jsonl"
    path.write_text(line("images", "begun") + line("images", "done") + line("switch", "begun") + '{"torn')
    found = observe_release.journal(home)
    assert [row["step"] for row in found["open"]] == ["switch"]
    assert (found["lines"], found["garbage"]) == (4, 1)
    # A later deploy, of another release, went through the same step: nothing is open any more.
    path.write_text(line("switch", "begun") + line("switch", "begun", "ffff") + line("switch", "done", "ffff"))
    assert observe_release.journal(home)["open"] == []
    path.write_text(line("switch", "begun") + line("switch", "failed"))
    assert "switch" in observe_release.journal(home)["failed"]


def test_a_journal_of_ten_years_is_read_from_its_end(home: Path) -> None:
    path = home / "journal.jsonl"
    with path.open("w") as journal:
        for _ in range(120_000):
            journal.write('{"time": "t", "release": "r", "step": "old", "state": "begun", "detail": "x"}\n')
        journal.write('{"time": "t", "release": "r", "step": "old", "state": "done"}\n')
    begun = time.monotonic()
    found = observe_release.journal(home)
    assert time.monotonic() - begun < 10
    assert found["open"] == []
    assert found["garbage"] == 0


def test_a_lock_is_held_only_while_somebody_holds_it(home: Path) -> None:
    (home / "lock.json").write_text(
        '{"owner": {"user": "ann", "host": "laptop"}, "since": "s", "why": "w", "token": "t0k3n"}'
    )
    with (home / "lock").open("w") as holder:
        assert observe_release.lock(home)["held"] is False
        fcntl.flock(holder, fcntl.LOCK_EX)
        found = observe_release.lock(home)
    assert found["held"]
    assert found["who"] == "ann on laptop"
    assert "t0k3n" not in str(found)


def test_the_key_is_the_first_line_that_is_one(home: Path) -> None:
    (home / "secrets").mkdir()
    (home / "secrets/api.key").write_text("# for everybody\n\nfirst\nsecond\n")
    assert observe_release.key(home) == "first"


# -- gpu, ports, names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version", "flavour"),
    [
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder)",
            "580.95.05",
            "open",
        ),
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sat Mar 22 17:44:13 UTC 2025",
            "570.133.20",
            "proprietary",
        ),
        ("\xff\xfe", None, None),
        ("", None, None),
    ],
)
def test_version_and_flavour_of_the_loaded_module(tmp_path: Path, text: str, version: str, flavour: str) -> None:
    place = tmp_path / "proc/driver/nvidia"
    place.mkdir(parents=True)
    (place / "version").write_text(text, encoding="latin-1")
    found = observe_gpu.nvidia(tmp_path)
    assert (found["module_version"], found["module_flavour"]) == (version, flavour)


def test_the_newest_library_counts(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    for name in ("so.1", "so.570.9", "so.580.95.05", "so.x"):
        (folder / f"libnvidia-ml.{name}").touch()
    assert observe_gpu.userspace_version(tmp_path) == "580.95.05"


def test_cards_are_read_from_sysfs_and_odd_entries_left_out(tmp_path: Path) -> None:
    bus = tmp_path / "sys/bus/pci/devices"
    for name, vendor in (("0000:01:00.0", "0x10DE\n"), ("0000:02:00.0", "")):
        (bus / name).mkdir(parents=True)
        (bus / name / "vendor").write_text(vendor)
    assert [(row["address"], row["vendor"]) for row in observe_gpu.pci(tmp_path)] == [("0000:01:00.0", "10de")]
    with pytest.raises(Unseen, match="no PCI bus"):
        observe_gpu.pci(tmp_path / "elsewhere")


def test_a_real_listener_is_found_with_its_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        rows = [row for row in observe_ports.ports() if row["port"] == port]
    assert [(row["address"], row["pid"], row["proto"]) for row in rows] == [("127.0.0.1", os.getpid(), "tcp")]


def test_addresses_of_both_families_are_decoded(tmp_path: Path) -> None:
    net = tmp_path / "proc/net"
    net.mkdir(parents=True)
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    row = "   0: {}:01BB 0:0 0A 0:0 00:0 0 0 0 1\n"
    (net / "tcp").write_text(head + row.format("0100007F") + "garbage\n")
    six = row.format("00000000000000000000000001000000") + row.format("0000000000000000FFFF00000100007F")
    (net / "tcp6").write_text(head + six)
    assert sorted(found["address"] for found in observe_ports.ports(tmp_path)) == ["127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("ghcr.io/o/gateway:0.1.0@sha256:aa", ("ghcr.io", "o/gateway", "0.1.0")),
        ("ollama/ollama:0.24.0", ("docker.io", "ollama/ollama", "0.24.0")),
        ("nginx", ("docker.io", "library/nginx", "latest")),
        ("localhost:5000/a/b", ("localhost:5000", "a/b", "latest")),
    ],
)
def test_an_image_reference_is_taken_apart(reference: str, parts: tuple[str, str, str]) -> None:
    assert split(reference) == parts


# -- certificates ------------------------------------------------------------------------------------------------------


def _certificate(tmp_path: Path, *extra: str) -> bytes:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "12",
    ]
    done = subprocess.run([*command, "-keyout", tmp_path / "k", *extra], capture_output=True, text=True, check=True)
    return ssl.PEM_cert_to_DER_cert(done.stdout)


def test_a_real_certificate_is_read(tmp_path: Path) -> None:
    der = _certificate(
        tmp_path, "-subj", "/O=Ours/CN=x", "-addext", "subjectAltName=DNS:*.example.com,DNS:a.b,IP:10.0.0.1"
    )
    found = x509.parse(der)
    assert found.names == ("*.example.com", "a.b", "10.0.0.1")
    assert found.issuer == "Ours"
    assert 11 < (found.not_after - found.not_before).days <= 12
    names = ("ai.example.com", "x.ai.example.com", "example.com")
    assert [found.is_for(name) for name in names] == [True, False, False]


def test_half_a_certificate_is_an_error_and_no_crash(tmp_path: Path) -> None:
    der = _certificate(tmp_path, "-subj", "/CN=only.name")
    assert x509.parse(der).names == ("only.name",)
    for length in range(0, len(der) - 1, 7):
        with pytest.raises(ValueError, match=r"."):
            x509.parse(der[:length])
