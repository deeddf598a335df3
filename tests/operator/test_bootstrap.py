"""`ai` on a stranger's machine: what it needs, what it says when that is missing, and that it mends itself.

Each test calls the real file in a copy of this checkout. Where a package index is needed only to be missed, it is a
port that nobody listens on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from ai_services import bootstrap

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = 5
# All that `ai` calls before there is a Python.
TOOLS = ("sh", "cat", "cksum", "dirname", "readlink")
NOBODY = "http://127.0.0.1:9/simple"
# Linux lets anybody have a mount table of their own; elsewhere, or where that is forbidden, these tests cannot be.
OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]


def copy_checkout(to: Path) -> Path:
    """The files of this checkout, as git knows them and as they are now."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    parts = ("ai", "pyproject.toml", "README.md", "LICENSE", "requirements", "src", "libs", "images")
    names = subprocess.run([*listed, *parts], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    return to


def clean_environment(**extra: str) -> dict[str, str]:
    """What a fresh machine has, and the way to the package index that this one needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    for name in os.environ:
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy") or "CERT" in name or "CA_" in name:
            kept[name] = os.environ[name]
    return {**kept, "AI_HOME": "/nonexistent/home", "CI": "true", **extra}


def no_index(**extra: str) -> dict[str, str]:
    """An environment in which no package can be had, and that is known at once."""
    kept = {name: value for name, value in clean_environment().items() if not name.startswith(("PIP_", "UV_"))}
    settings = {"PIP_INDEX_URL": NOBODY, "PIP_RETRIES": "1", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": os.devnull}
    return {**kept, **settings, **extra}


def call(
    checkout: Path,
    *arguments: str,
    environment: Mapping[str, str],
    command: Path | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "ai", *arguments],
        env=dict(environment),
        cwd=checkout.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A directory for PATH that holds what `ai` calls, and no Python."""
    place = tmp_path / "bin"
    place.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (place / tool).symlink_to(found)
    return place


def program(place: Path, name: str, text: str) -> Path:
    file = place / name
    file.write_text(f"#!{shutil.which('sh')}\n{text}\n")
    file.chmod(0o755)
    return file


def pretending(code: str) -> str:
    """The real Python, after `code` was run in it. It is called as `ai` calls it: -I -c PROBE, or -V, or -c TEXT."""
    real = os.path.realpath(sys.executable)
    return f"""
    case $1 in
    -V) echo 'Python 3.9.2'; exit ;;
    -I) shift ;;
    esac
    shift
    exec '{real}' -I -c 'import sys; text = sys.argv[1]; {code}; exec(text)' "$1"
    """


def test_no_python(checkout: Path, bare: Path) -> None:
    done = call(checkout, "up", environment={"PATH": str(bare)})
    assert done.returncode == BLOCKED
    assert "No Python 3.11 or newer was found" in done.stderr
    assert "AI_PYTHON=" in done.stderr
    assert len(done.stderr.splitlines()) == 2, "one sentence, one command"
    assert not (checkout / ".venv").exists()


def test_python_too_old(checkout: Path, bare: Path) -> None:
    program(bare, "python3", pretending("sys.version_info = (3, 9, 2)"))
    done = call(checkout, "up", environment={"PATH": str(bare)})
    assert done.returncode == BLOCKED
    assert f"{bare}/python3 is Python 3.9.2; ai-services needs Python 3.11 or newer." in done.stderr


def test_no_ensurepip(checkout: Path, bare: Path) -> None:
    """Debian packages it apart: python3 alone has the module venv and cannot use it."""
    program(bare, "python3", pretending('sys.modules["ensurepip"] = None'))
    done = call(checkout, "up", environment={"PATH": str(bare)})
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert done.returncode == BLOCKED
    assert "lacks the modules venv and ensurepip" in done.stderr
    assert f"sudo apt install python{version}-venv" in done.stderr


@pytest.mark.parametrize("named", ["/nonexistent/python3.12", "false"])
def test_ai_python_that_is_none(checkout: Path, named: str) -> None:
    done = call(checkout, "up", environment=no_index(AI_PYTHON=named))
    assert done.returncode == BLOCKED
    assert "AI_PYTHON" in done.stderr
    assert named in done.stderr


@pytest.mark.long
def test_shims_that_fail_are_passed_over(checkout: Path, bare: Path) -> None:
    """pyenv puts a python3.14 on the PATH that only says that it is not installed."""
    program(bare, "python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    program(bare, "python3.12", "echo 'not a Python'")
    (bare / "python3").symlink_to(os.path.realpath(sys.executable))
    done = call(checkout, "version", environment=no_index(PATH=str(bare)))
    assert f"Making .venv with Python {sys.version.split()[0]}" in done.stderr


@pytest.mark.long
def test_no_network(checkout: Path) -> None:
    done = call(checkout, "version", environment=no_index())
    assert done.returncode == BLOCKED
    assert "The package index cannot be reached" in done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_setup_that_was_interrupted_is_begun_anew(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "ai-unfinished").touch()
    (checkout / ".venv" / "half").touch()
    done = call(checkout, "version", environment=no_index())
    assert "Making .venv anew: the last setup was interrupted." in done.stderr
    assert not (checkout / ".venv" / "half").exists()
    assert (checkout / ".venv" / "ai-unfinished").exists(), "this one failed too, and the next call must know"


@pytest.mark.long
def test_a_venv_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nonexistent/python3.11")
    done = call(checkout, "version", environment=no_index())
    assert "Making .venv anew: its Python is gone." in done.stderr


def test_a_file_in_the_place_of_venv(checkout: Path) -> None:
    (checkout / ".venv").write_text("")
    done = call(checkout, "version", environment=no_index())
    assert done.returncode == BLOCKED
    assert "is in the way" in done.stderr
    assert f"rm {checkout / '.venv'}" in done.stderr


@pytest.fixture
def own_mounts() -> list[str]:
    if (
        not shutil.which("unshare")
        or subprocess.run([*OWN_MOUNTS, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs mounts of its own: `unshare --user --mount` is missing or forbidden on this machine")
    return OWN_MOUNTS


def call_mounted(own_mounts: list[str], mount: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    """Call `ai version` after `mount` (shell, $1 is the checkout) in a mount table of its own."""
    script = f'set -e; {mount}; cd /; exec "$1/ai" version'
    return subprocess.run(
        [*own_mounts, "sh", "-c", script, "sh", str(checkout)],
        env=no_index(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_unwritable_checkout(checkout: Path, own_mounts: list[str]) -> None:
    """Root may write anywhere but on what is mounted read-only."""
    mount = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"'
    done = call_mounted(own_mounts, mount, checkout)
    assert done.returncode == BLOCKED
    assert "cannot be written by this user" in done.stderr
    assert "chown" in done.stderr
    assert "Traceback" not in done.stderr


def test_full_disk(checkout: Path, own_mounts: list[str], tmp_path: Path) -> None:
    mount = f'cp -R "$1" {tmp_path}/copy; mount -t tmpfs -o size=16m none "$1"; cp -R {tmp_path}/copy/. "$1"'
    done = call_mounted(own_mounts, mount, checkout)
    assert done.returncode == BLOCKED
    assert "MiB free; the setup needs 1500 MiB" in done.stderr
    assert "Free some space" in done.stderr


@pytest.mark.parametrize(
    ("said", "sentence", "step"),
    [
        ("error: failed to write: No space left on device (os error 28)", "The disk is full", "Free some space"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "full", "df -h"),
        (
            "  Caused by: client error (Connect)\n  Caused by: dns error: failed to lookup address information",
            "cannot be reached",
            "HTTPS_PROXY",
        ),
        ("invalid peer certificate: UnknownIssuer", "certificate is not trusted", "AI_EXTRA_CA_FILE"),
        ("SSL: CERTIFICATE_VERIFY_FAILED", "certificate is not trusted", "AI_EXTRA_CA_FILE"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "checksum", "Do not install it"),
        ("error: Permission denied (os error 13)", "cannot be written", "chown"),
        ("something nobody has seen yet", "The setup failed", "./ai again"),
    ],
)
def test_what_the_tools_say_is_explained(tmp_path: Path, said: str, sentence: str, step: str) -> None:
    message, hint = bootstrap.explain(said, tmp_path)
    assert sentence in message
    assert step in hint


def test_a_platform_without_wheels_is_told(tmp_path: Path) -> None:
    """uv's own words for a machine that a locked wheel was not made for: musl, as in Alpine."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "engine-1.0-cp311-abi3-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("engine-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: engine\nVersion: 1.0\n")
        archive.writestr("engine-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-abi3-manylinux_2_28_x86_64\n")
        archive.writestr("engine-1.0.dist-info/RECORD", "")
    locked = tmp_path / "locked.txt"
    locked.write_text(f"engine==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    uv = Path(sys.executable).with_name("uv")
    options = ["--dry-run", "--only-binary", ":all:", "--require-hashes", "--target", str(tmp_path / "target")]
    elsewhere = ["--no-index", "--find-links", str(index), "--python-platform", "x86_64-unknown-linux-musl"]
    done = subprocess.run(
        [uv, "pip", "install", *options, *elsewhere, "-r", locked], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    message, hint = bootstrap.explain(done.stderr, tmp_path)
    assert "no ready-made wheel for this machine" in message
    assert "glibc" in hint


@pytest.mark.parametrize("there", ["local", "deploy", "provision", "dev"])
@pytest.mark.parametrize(
    ("verb", "needs"),
    [
        ("up", "local"),
        ("deploy", "deploy"),
        ("destroy", "deploy"),
        ("provision", "provision"),
        ("doctor", "local"),
        ("test", "dev"),
    ],
)
def test_each_verb_has_its_packages_and_no_verb_installs_too_many(
    checkout: Path, there: str, verb: str, needs: str
) -> None:
    """A larger set serves the verbs of a smaller one; only what is missing sets something up."""
    order = ["local", "deploy", "provision", "dev"]
    (checkout / ".venv" / "bin").mkdir(parents=True)
    program(checkout / ".venv" / "bin", "python", "echo straight on: $@")
    projects = ["pyproject.toml", *sorted(str(p.relative_to(checkout)) for p in checkout.glob("libs/*/pyproject.toml"))]
    projects += sorted(str(p.relative_to(checkout)) for p in checkout.glob("images/*/pyproject.toml"))
    locks = [f"requirements/{name}.txt" for name in ("bootstrap", *order)]
    content = b"".join((checkout / name).read_bytes() for name in (*locks, *projects))
    number = subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout.decode().strip()
    (checkout / ".venv" / f"ai-{there}.stamp").write_text(f"{checkout}\n{number}\n")
    # With this Python named, a setup ends at once.
    done = call(checkout, verb, environment=no_index(AI_PYTHON="/nonexistent/python"))
    enough = order.index(there) >= order.index(needs)
    assert (done.returncode == 0) is enough, done.stderr
    assert (f"straight on: -m ai_services.cli {verb}" in done.stdout) is enough
    assert ("AI_PYTHON names /nonexistent/python" in done.stderr) is not enough


class TestCertificates:
    """A proxy re-signs TLS with an authority of its own: every tool has to trust what the machine trusts."""

    def test_every_tool_is_told_of_the_machines_bundle(self, checkout: Path, tmp_path: Path) -> None:
        bundle = tmp_path / "machine.pem"
        bundle.write_text("certificates")
        told = self._environment_of_python(checkout, {"SSL_CERT_FILE": str(bundle), "PIP_CERT": "/my/own.pem"})
        assert told["PIP_CERT"] == "/my/own.pem", "what is set stays as it is"
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            assert told[name] == str(bundle)

    def test_nothing_is_set_that_does_not_exist(self, checkout: Path) -> None:
        told = self._environment_of_python(checkout, {})
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            assert name not in told or Path(told[name]).is_file()

    def test_an_extra_certificate_that_is_not_there(self, checkout: Path) -> None:
        done = call(checkout, "up", environment=no_index(AI_EXTRA_CA_FILE="/nonexistent/ca.pem"))
        assert done.returncode == BLOCKED
        assert "/nonexistent/ca.pem, which cannot be read" in done.stderr

    @staticmethod
    def _environment_of_python(checkout: Path, extra: Mapping[str, str]) -> dict[str, str]:
        (checkout / ".venv" / "bin").mkdir(parents=True)
        program(checkout / ".venv" / "bin", "python", "env")
        (checkout / ".venv" / "ai-local.stamp").write_text(f"{checkout}\n0 0\n")
        done = call(checkout, "version", environment={"PATH": os.environ["PATH"], "PYTHONPATH": "/x", **extra})
        told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        assert "PYTHONPATH" not in told
        return told

    @pytest.mark.long
    def test_a_re_signing_proxy(self, checkout: Path, tmp_path: Path) -> None:
        authority = trustme.CA()
        certificate = tmp_path / "proxy-ca.pem"
        authority.cert_pem.write_to_path(certificate)
        with index(authority) as (url, asked):
            plain = no_index(PIP_INDEX_URL=url)
            refused = call(checkout, "version", environment=plain)
            assert refused.returncode == BLOCKED
            assert "TLS certificate is not trusted" in refused.stderr
            assert "AI_EXTRA_CA_FILE=" in refused.stderr
            assert asked == []
            trusted = call(checkout, "version", environment={**plain, "AI_EXTRA_CA_FILE": str(certificate)})
            assert "TLS" not in trusted.stderr
            assert asked == ["/simple/uv/"]


@contextmanager
def index(authority: trustme.CA) -> Iterator[tuple[str, list[str]]]:
    """A package index over TLS that has nothing."""
    asked: list[str] = []

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}/simple", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
