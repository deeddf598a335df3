"""One run of Ansible from `./ai`: secrets in no place but their file, an end in order, and what SSH says in words."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ai_services.cli import app
from ai_services.exits import BLOCKED, USAGE
from ai_services.host import remains
from ai_services.host.playbook import Run, log_path
from ai_services.host.remains import Remains
from ai_services.host.target import Target
from ai_services.host.values import collect

ROOT = Path(__file__).resolve().parents[2]
# One for each process of tests: those of another run side by side, and hold theirs rightly.
CANARY = f"canary-{os.getpid()}-of-a-token"
# Deploys with a playbook of the test's own, as `./ai deploy` would with ours.
DRIVER = """
import sys
from ai_services.verbs import deploy
deploy.SITE = sys.argv.pop(1)
from ai_services.cli import main
main()
"""
# Says that it runs, and by whom; then waits to be ended.
SLOW = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.copy: {{content: changed, dest: {folder}/changed, mode: "0600"}}
    - name: Take a long time
      ansible.builtin.shell: echo $$ > {folder}/pid.part && mv {folder}/pid.part {folder}/pid && exec sleep 300
"""
LOOKING = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Read the token as a role does
      ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.file', ai_ghcr_token_file) }}}}"
        dest: {folder}/token
        mode: "0600"
      no_log: true
      diff: false
    - name: Wait to be looked at
      ansible.builtin.wait_for: {{path: {folder}/seen, timeout: 60}}
"""


def start(folder: Path, playbook: str, **environment: str) -> subprocess.Popen[str]:
    """`./ai deploy localhost` with this playbook."""
    (folder / "play.yml").write_text(playbook.format(folder=folder))
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder / "play.yml"), "deploy", "localhost"],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def appears(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait for a file that the run makes; as long as the run lives."""
    while not path.exists():
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.05)


def ends(pid: int) -> None:
    """Wait for a process to be no more, or nothing but a number that its parent has not asked for."""
    until = time.monotonic() + 60
    with contextlib.suppress(OSError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < until, f"process {pid} lives on"
            time.sleep(0.05)


def sessions_processes(text: str) -> list[int]:
    """Processes that have `text` in their arguments or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            try:
                if text.encode() in (folder / file).read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="other processes are seen in /proc")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="deploying to this very machine needs root or sudo")


@needs_proc
@needs_root
def test_a_token_is_nowhere_but_in_a_file_of_its_own(clean: Path) -> None:
    """Show: planted canaries are in no log, process list or Ansible output; the file is gone at the end."""
    process = start(clean, LOOKING, TF_VAR_ai_ghcr_token=CANARY)
    try:
        appears(clean / "token", process)
        assert (clean / "token").read_text() == CANARY
        # `./ai` itself was given it by the environment; nobody below it has it.
        assert set(sessions_processes(CANARY)) <= {process.pid, os.getpid()}
        (private,) = Path(tempfile.gettempdir()).glob(f"ai-run-{process.pid}-*")
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in private.iterdir() if file.is_file()} == {0o600}
        assert CANARY not in (private / "variables.json").read_text()
    finally:
        (clean / "seen").touch()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert not private.exists()
    (log,) = (clean / "home" / "logs").iterdir()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    for text in (out, err, log.read_text()):
        assert CANARY not in text


@needs_root
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_the_middle(clean: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C is honoured: Ansible and its children end, secrets go, and the state of the host is said."""
    process = start(clean, SLOW, TF_VAR_ai_ghcr_token=CANARY)
    appears(clean / "pid", process)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    ends(int((clean / "pid").read_text()))
    assert list(Path(tempfile.gettempdir()).glob(f"ai-run-{process.pid}-*")) == []
    assert "localhost is half way." in out
    assert "Take a long time) may still come to its end there" in out
    assert "A second run goes on from here: ./ai deploy localhost" in out
    assert "Traceback" not in out + err


@needs_root
def test_a_run_that_is_killed_ends_ansible_too_and_its_secrets_go_with_the_next(clean: Path) -> None:
    """Terraform kills what it had started when it is interrupted; nobody else would end Ansible then."""
    process = start(clean, SLOW, TF_VAR_ai_ghcr_token=CANARY)
    appears(clean / "pid", process)
    process.kill()
    process.communicate()
    (left,) = Path(tempfile.gettempdir()).glob(f"ai-run-{process.pid}-*")
    ends(int((clean / "pid").read_text()))
    assert CliRunner().invoke(app, ["deploy", "localhost", "--check", "--set", "ai_accelerator=cpu"]).exit_code in (
        0,
        BLOCKED,
    )
    assert not left.exists()


@needs_root
def test_this_machine_needs_no_ssh(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` is looked at without SSH: its plan comes, or a refusal that names what is in the way."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    ssh = clean / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text("#!/bin/sh\ntouch called\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    done = CliRunner().invoke(app, ["deploy", "localhost", "--check"])
    assert done.exit_code in (0, BLOCKED), done.output
    assert ("The plan:" in done.output) is (done.exit_code == 0)
    assert not (clean / "called").exists()


class TestSettingsPlaces:
    """The file, then TF_VAR_ai_*, then AI_*, then --set, then a flag of its own: the later wins."""

    def test_the_later_wins_and_says_where_it_was(self, clean: Path) -> None:
        environment = {"TF_VAR_ai_domain": "two.example.com"}
        given = collect(environment=environment)
        assert given.values["ai_github_owner"] == "octo-org"
        assert given.values["ai_domain"] == "two.example.com"
        lists = {"TF_VAR_ai_profiles": '["monitoring"]'}  # as Terraform reads it
        assert collect(environment=lists).values["ai_profiles"] == ["monitoring"]
        environment["AI_DOMAIN"] = "three.example.com"
        assert collect(environment=environment).places["ai_domain"] == "from the environment: AI_DOMAIN"
        given = collect(environment=environment, pairs=["ai_domain=four.example.com"])
        assert given.values["ai_domain"] == "four.example.com"
        given = collect(environment=environment, pairs=["ai_domain=four.example.com"], options={"ai_domain": "five"})
        assert (given.values["ai_domain"], given.places["ai_domain"]) == ("five", "from --domain")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("ai_domain: [\n", "line 2 is not YAML"),
            ("- ai_domain\n", "holds no settings"),
            ("ai_domain: a.b\nai_domain: c.d\n", "ai_domain is given twice"),
            ("!!python/object:os.system {}\n", "is not YAML"),
        ],
    )
    def test_a_file_that_is_none(self, content: str, said: str, clean: Path) -> None:
        (clean / "ai.yml").write_text(content)
        done = CliRunner().invoke(app, ["deploy", "h"])
        assert done.exit_code == USAGE
        assert said in done.stderr

    def test_one_file_does_for_provision_and_deploy(self, clean: Path) -> None:
        (clean / "ai.yml").write_text("ai_machine: existing_host\nai_domain: a.example.com\n")
        assert collect().values == {"ai_domain": "a.example.com"}
        assert collect(names=["ai_machine"], environment={}).values["ai_machine"] == "existing_host"
        for words in (["--set", "ai_machine=existing_host"], ["--set", "ai_hosts={}"]):
            done = CliRunner().invoke(app, ["deploy", "h", *words])
            assert done.exit_code == USAGE
            assert "is of the machine, not of what is put upon it. Use ./ai provision" in done.stderr

    def test_a_file_that_is_not_there(self, clean: Path) -> None:
        done = CliRunner().invoke(app, ["deploy", "h", "--config", "no.yml"])
        assert done.exit_code == USAGE
        assert "no.yml cannot be read" in done.stderr
        assert "cp bootstrap/ai/ai.example.yml ai.yml" in done.stderr

    def test_a_pair_without_a_value(self, clean: Path) -> None:
        done = CliRunner().invoke(app, ["deploy", "h", "--set", "ai_domain"])
        assert done.exit_code == USAGE
        assert '--set "ai_domain" has no value' in done.stderr


class TestDestroySays:
    FOUND = Remains(
        containers=["gateway", "ollama"],
        strangers=["gateway", "ollama", "blog"],
        volumes={"ollama": 1900, "huggingface": 74},
        packages=["docker.io", "nginx"],
        roles=["base", "docker", "nginx"],
        stack=True,
        secrets=True,
        certificates=["README", "ai.example.com"],
    )

    def test_data_stays_unless_told(self) -> None:
        goes, stays = "\n".join(self.FOUND.goes(data=False)), "\n".join(self.FOUND.stays(data=False))
        assert "gateway, ollama" in goes
        assert "docker.io, nginx" in goes
        assert "volume" not in goes
        assert "volume ollama (1900 MiB)" in stays
        assert "keys and secrets" in stays
        assert "obtained for it: ai.example.com (" in goes
        assert "containers that are not ours: blog" in stays

    def test_with_data_it_is_said_to_go(self) -> None:
        goes, stays = "\n".join(self.FOUND.goes(data=True)), "\n".join(self.FOUND.stays(data=True))
        assert "DATA: volume ollama (1900 MiB)" in goes
        assert "ollama (" not in stays

    def test_a_bare_host(self) -> None:
        assert Remains().nothing
        assert Remains(strangers=["blog"]).nothing
        assert not Remains(volumes={"ollama": 1}).nothing

    @pytest.mark.parametrize(("arguments", "answer"), [([], "no\n"), (["--data"], "yes\n"), ([], "")])
    def test_without_agreement_nothing_goes(
        self, arguments: list[str], answer: str, clean: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ai_services.host.connect.reach", lambda target, *_, **__: target)
        monkeypatch.setattr("ai_services.host.remains.look", lambda _: self.FOUND)
        monkeypatch.setattr("ai_services.verbs.ask.is_somebody_there", lambda: bool(answer))
        monkeypatch.setattr(Run, "go", lambda *_: pytest.fail("it was begun"))
        done = CliRunner().invoke(app, ["destroy", "gpu-1", *arguments], input=answer)
        assert done.exit_code == USAGE
        assert "nothing was removed" in done.stderr
        assert "volume ollama (1900 MiB)" in done.stdout

    def test_a_host_whose_migration_can_be_taken_back_is_left_alone(
        self, clean: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its old service rests, and its callers come in by ours: it would serve neither."""
        found = dataclasses.replace(self.FOUND, migration="20261121-210000-abcdef")
        monkeypatch.setattr("ai_services.host.connect.reach", lambda target, *_, **__: target)
        monkeypatch.setattr("ai_services.host.remains.look", lambda _: found)
        monkeypatch.setattr(Run, "go", lambda *_: pytest.fail("it was begun"))
        done = CliRunner().invoke(app, ["destroy", "gpu-1", "--yes"])
        assert done.exit_code == BLOCKED
        assert "./ai migrate gpu-1 --rollback" in done.stderr

    @pytest.mark.parametrize(("phase", "seen"), [("migrated", "20261121"), ("finalized", ""), ("", "")])
    def test_which_is_seen(self, tmp_path: Path, phase: str, seen: str) -> None:
        if phase:
            (tmp_path / "migration" / "current").mkdir(parents=True)
            state = json.dumps({"id": "20261121", "phase": phase})
            (tmp_path / "migration" / "current" / "state.json").write_text(state)
        script = remains._LOOK.replace("/opt/ai", str(tmp_path))
        done = subprocess.run([sys.executable, "-"], input=script, text=True, capture_output=True, check=True)
        assert Remains(**json.loads(done.stdout)).migration == seen


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(60):
        (logs / f"deploy-h-2026{number:04}.log").touch()
    (logs / "deploy-other-1.log").touch()
    assert log_path(logs, "deploy", Target("h")).parent == logs
    kept = sorted(path.name for path in logs.glob("deploy-h-*"))
    assert len(kept) == 49
    assert kept[-1] == "deploy-h-20260059.log"
    assert (logs / "deploy-other-1.log").exists()


def test_verbose_shows_ansibles_own_words(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    playbook = clean / "play.yml"
    playbook.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.debug: {msg: Hello}\n")
    events: list[dict[str, Any]] = []
    for verbose in (False, True):
        run = Run(str(playbook), Target("localhost", is_root=True), {}, clean / "log", verbose=verbose)
        assert run.go(events.append, lambda: None) == 0
        assert ("Hello" in capsys.readouterr().err) is verbose
    assert {event["event"] for event in events} == {"play", "task", "result", "end"}


def test_what_a_task_says_may_have_what_others_call_an_end_of_line(clean: Path) -> None:
    """The last words of a container, for one: Ansible was killed in its middle for them."""
    playbook = clean / "play.yml"
    words = 'msg: "out of\\u2028memory\\u0085"'
    playbook.write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.fail: {{{words}}}\n")
    events: list[dict[str, Any]] = []
    run = Run(str(playbook), Target("localhost", is_root=True), {}, clean / "log")
    assert run.go(events.append, lambda: None) == 2
    assert "out of\u2028memory\u0085" in [event.get("message") for event in events]
