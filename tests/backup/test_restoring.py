"""`./ai restore` from the command line to the host's files; only SSH and Ansible are stood in for (issue 6)."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ai_services.backup import onhost
from ai_services.backup.bundle import content
from ai_services.backup.host import places
from ai_services.backup.sealing import Seal
from ai_services.exits import OperatorError
from ai_services.host import connect
from ai_services.host.playbook import Run
from ai_services.host.target import Target
from ai_services.verbs import restore

from . import world
from .archives import identity, sealed
from .world import COLLECT, DOMAIN, call

# The host's part as it is sent, for a host whose / is a folder: the program itself comes first on the input.
HOST = """
import functools, sys
from pathlib import Path
root, size = Path(sys.argv[1]), int(sys.argv[2])
sys.argv = sys.argv[2:]
program = root.with_name("program")
program.write_bytes(sys.stdin.buffer.read(size) or program.read_bytes())
from ai_services.backup.host import main, record
main._ROOT, main.__file__ = root, str(program / "ai_services/backup/host/main.py")
main.collect = functools.partial(main.collect, root=root)
note = record.note
record.note = lambda news: note(news, root / "opt/ai/backup.json")
main.main()
"""
STEPS = ("begin", "letsencrypt", "secrets", "release", "end")


@dataclass
class Fresh:
    """A machine that nothing is on, and what Ansible was given for it. `fault` is called at each of STEPS."""

    root: Path
    given: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    fault: Callable[[str], None] = lambda _: None

    def command(self, remote: str) -> list[str]:
        size, words = re.findall(r"head -c (\d+)", remote)[0], re.findall(r'-I "\$f" (.*)$', remote)[0]
        return [sys.executable, "-c", HOST, str(self.root), size, *shlex.split(words)]

    def part(self, *words: str) -> None:
        """What a role does there."""
        # The roles call what was laid out beside the keys; with the same bytes it would change this machine.
        assert (self.root / places.RESTORE / "ai-backup").read_bytes() == content()
        command = [sys.executable, "-c", HOST, str(self.root), "0", *words]
        subprocess.run(command, input=b"", check=True, capture_output=True)

    def play(self, run: Run) -> int:
        """Do what site.yml has to do with a restore."""
        self.given = dict(run.variables)
        files = {name: path for name, path in self.given.items() if name.endswith("_file") and path}
        self.texts = {name: Path(path).read_text() for name, path in files.items()} | run.secrets
        self.fault("begin")
        if self.given["ai_tls"] == "letsencrypt":
            self.part("take", "letsencrypt", self.given["ai_stack_restores"])
        self.fault("letsencrypt")
        self.part("take", "secrets", self.given["ai_stack_restores"])
        self.fault("secrets")
        if self.given["ai_tls"] == "own":
            for part, name in (("own.crt", "ai_tls_certificate_file"), ("own.key", "ai_tls_key_file")):
                world.put(self.root / places.OWN_CERTIFICATE / part, self.texts[name])
        home = self.root / "opt/ai"
        settings = {name: value for name, value in self.given.items() if not name.startswith("ai_stack_")}
        world.put(home / "releases/ffff/release.json", json.dumps({"version": "0.2.0", "settings": settings}), 0o644)
        if not (home / "current").is_symlink():
            (home / "current").symlink_to("releases/ffff")
        self.fault("release")
        self.fault("end")
        return 0


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fresh:
    host = Fresh(tmp_path / "fresh")
    host.root.mkdir()
    monkeypatch.setenv("AI_HOME", str(tmp_path / "operator"))
    monkeypatch.setenv("PYTHONPATH", str(world.PROGRAM))
    monkeypatch.setattr(Target, "command", lambda _, remote: host.command(remote))
    monkeypatch.setattr(Target, "as_root", lambda _, remote: remote)
    monkeypatch.setattr(onhost, "_ALIVE", ())
    monkeypatch.setattr(connect, "reach", lambda target, screen, host_key: target)
    monkeypatch.setattr(Run, "go", lambda self, on_event, on_tick: host.play(self))
    return host


def archived(root: Path, tmp_path: Path, **more: Any) -> restore.Wish:
    """What restores a backup of the host in `root`."""
    done = call(root, tmp_path, COLLECT)
    assert done.returncode == 0, done.stderr.decode()
    key, public = identity(tmp_path)
    path = sealed(tmp_path / "a.age", done.stdout, Seal((public,)))
    return restore.Wish("gpu-1", archive=str(path), identities=[str(key)], yes=True, **more)


def kept(root: Path) -> dict[str, bytes]:
    """Keys and certificates of a host, by path."""
    tops = (root / places.SECRETS, root / places.OWN_CERTIFICATE, root / places.LETSENCRYPT / "live" / DOMAIN)
    paths = [path for top in tops for path in top.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def proven(root: Path) -> dict[str, Any]:
    path = root / "opt/ai/backup.json"
    return dict(json.loads(path.read_text()).get("proven", {})) if path.exists() else {}


def test_a_bare_machine_becomes_the_host(fresh: Fresh, tmp_path: Path) -> None:
    old = world.host(tmp_path / "old")
    assert restore.run(archived(old, tmp_path)) == 0
    assert kept(fresh.root) == kept(old)
    assert fresh.texts["ai_cloudflare_token_file"] == "canary-token-of-cloudflare\n"
    assert proven(fresh.root)["how"] == "restored"
    assert not (fresh.root / places.RESTORE).exists()


def test_a_certificate_of_ones_own_comes_back(fresh: Fresh, tmp_path: Path) -> None:
    old = world.host(tmp_path / "old")
    release = old / "opt/ai/current/release.json"
    release.write_text(release.read_text().replace('"letsencrypt"', '"own"'))
    folder = old / places.OWN_CERTIFICATE
    folder.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90",
         "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
         "-keyout", str(folder / "own.key"), "-out", str(folder / "own.crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    wish = archived(old, tmp_path)
    assert restore.run(wish) == 0
    own = {name: content for name, content in kept(old).items() if "letsencrypt" not in name}
    assert len(own) == 4
    assert kept(fresh.root) == own


def test_one_that_has_run_out_is_refused_before_anything_is_touched(fresh: Fresh, tmp_path: Path) -> None:
    old = world.host(tmp_path / "old")
    release = old / "opt/ai/current/release.json"
    release.write_text(release.read_text().replace('"letsencrypt"', '"own"'))
    for part in ("own.crt", "own.key"):
        world.put(old / places.OWN_CERTIFICATE / part, "worn out")
    with pytest.raises(OperatorError, match="ai_tls_certificate_file"):
        restore.run(archived(old, tmp_path))
    assert list(fresh.root.iterdir()) == []


@pytest.mark.parametrize(
    "step",
    [step if step in ("letsencrypt", "secrets") else pytest.param(step, marks=pytest.mark.long) for step in STEPS],
)
def test_a_restore_that_is_killed_is_run_again(step: str, fresh: Fresh, tmp_path: Path) -> None:
    """Wherever it was: the second run ends with the same host, and nothing that was laid out lies about."""
    old = world.host(tmp_path / "old")
    wish = archived(old, tmp_path)

    def kill(at: str) -> None:
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        fresh.fault = kill
        try:
            restore.run(wish)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was not killed: the test is broken"
    assert not proven(fresh.root)
    assert restore.run(wish) == 0
    assert kept(fresh.root) == kept(old)
    assert proven(fresh.root)["how"] == "restored"
    assert not list((fresh.root / places.RESTORE).parent.glob("*"))


def test_a_host_that_serves_is_kept_first_and_a_failure_says_the_way_back(fresh: Fresh, tmp_path: Path) -> None:
    wish = archived(world.host(tmp_path / "old"), tmp_path)
    world.host(fresh.root)
    world.put(fresh.root / "opt/ai/secrets/api.key", "of the host that serves\n")

    def fail(at: str) -> None:
        if at == "secrets":
            raise OperatorError("the images cannot be pulled", hint="See why.")

    fresh.fault = fail
    with pytest.raises(OperatorError) as raised:
        restore.run(wish)
    (before,) = (tmp_path / "operator" / "backups").iterdir()
    assert raised.value.hint == f"See why.\n  Or back to what it was: ./ai restore gpu-1 {before}"
    assert not proven(fresh.root)
    assert not (fresh.root / places.RESTORE).exists(), "keys lie about"
    fresh.fault = lambda _: None
    assert restore.run(restore.Wish("gpu-1", archive=str(before), yes=True)) == 0
    assert (fresh.root / "opt/ai/secrets/api.key").read_text() == "of the host that serves\n"


def test_a_token_that_is_set_reaches_ansible_as_a_file_and_not_as_a_variable(fresh: Fresh, tmp_path: Path) -> None:
    """It was left out altogether, and the images could not be pulled."""
    wish = archived(world.host(tmp_path / "old"), tmp_path, pairs=["ai_ghcr_token=ghp_canary"])
    assert restore.run(wish) == 0
    assert fresh.texts["ai_ghcr_token_file"] == "ghp_canary"
    assert "ghp_canary" not in str(fresh.given)


@pytest.mark.parametrize(("domain", "noted"), [(DOMAIN, True), ("other.example.com", False)])
def test_proving_another_hosts_backup_proves_nothing_of_this_one(
    domain: str, noted: bool, fresh: Fresh, tmp_path: Path
) -> None:
    world.host(fresh.root, domain)
    wish = archived(world.host(tmp_path / "old"), tmp_path, verify=True)
    assert restore.run(wish) == 0
    assert bool(proven(fresh.root)) is noted
