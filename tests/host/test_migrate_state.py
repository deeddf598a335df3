"""The host's half of a migration, where no host is needed: its state, what it keeps, the doors of nginx."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any, cast

import pytest
from ai_stack import switch
from ai_stack.engine import Engine
from ai_stack.journal import Journal, read
from ai_stack.lock import LockedError
from ai_stack.migration import front, keeping, old, tool
from ai_stack.migration.old import Old
from ai_stack.migration.state import MigrationError, State, step

from ai_services.host.remote import Done
from ai_services.migrate import host_tool

ORDER = {"id": "20261121-210000-abcdef", "old": {"containers": [], "units": []}, "keep_files": []}
DOORS = """
server {
    listen 19000 default_server;
    listen [::]:19000 default_server;
    server_name _;
}
server {
    listen 443 ssl;
    server_name other.example.com;
}
"""


def begun(root: Path, **more: object) -> State:
    """A migration of nothing much."""
    return State.begin(root, json.loads(json.dumps({**ORDER, **more})))


def test_another_machine_finds_how_far_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", "me@here")
    state = begun(tmp_path)
    with step(state, "backup", journal):
        pass
    state.mark("prepare", "begun", journal)
    found = State.open(tmp_path)
    assert found is not None
    assert (found.of("backup"), found.of("prepare"), found.of("front")) == ("done", "begun", "")
    assert found.is_open
    assert [(line["step"], line["state"]) for line in read(journal.path)] == [
        ("migrate:backup", "begun"), ("migrate:backup", "done"), ("migrate:prepare", "begun"),
    ]  # fmt: skip


def test_a_failed_step_is_written_down_with_its_reason(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", "me@here")
    state = begun(tmp_path)
    with pytest.raises(ValueError, match="no room"), step(state, "beside", journal):
        raise ValueError("no room\nand more")
    assert state.of("beside") == "failed"
    assert read(journal.path)[-1]["detail"] == "no room"


def test_no_migration_where_none_was_begun_or_its_file_is_torn(tmp_path: Path) -> None:
    assert State.open(tmp_path) is None
    (begun(tmp_path).folder / "state.json").write_text('{"id": ')
    assert State.open(tmp_path) is None


def test_what_is_kept_tells_when_a_file_is_no_longer_as_it_was(tmp_path: Path) -> None:
    """Content, mode, time, and what a link points to."""
    file, link = tmp_path / "site", tmp_path / "enabled"
    file.write_text("server {}\n")
    link.symlink_to(file)
    state = begun(tmp_path / "ai", keep_files=[str(file), str(link), str(tmp_path / "absent")])
    manifest = keeping.keep(state, Engine())
    assert set(manifest["files"]) == {str(file), str(link)}
    status = file.stat()
    file.write_text("server {}\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert keeping.changed(state) == []
    file.chmod(0o600)
    assert keeping.changed(state) == [f"{file} is not as it was"]
    link.unlink()
    assert f"{link} is gone" in keeping.changed(state)
    assert json.loads((state.folder / "manifest.json").read_text())["tar_sha256"] == manifest["tar_sha256"]


def test_a_door_listens_beside_or_in_place_of_the_old_port_and_back() -> None:
    both = front.ports_changed(DOORS, 9000, 19000, [9000, 19000])
    assert [line.strip() for line in both.splitlines() if "listen" in line] == [
        "listen 9000 default_server;", "listen 19000 default_server;", "listen [::]:9000 default_server;",
        "listen [::]:19000 default_server;", "listen 443 ssl;",
    ]  # fmt: skip
    own = front.ports_changed(both, 9000, 19000, [9000])
    assert own == DOORS.replace("19000", "9000")
    assert front.ports_changed(own, 9000, 19000, [19000]) == DOORS


def test_a_file_of_others_waits_where_nginx_does_not_look() -> None:
    path = Path("/etc/nginx/sites-enabled/whisper")
    assert front.aside_of(path).name.startswith(".")
    assert front.aside_of(path).parent == path.parent


def test_an_old_service_of_nothing_is_not_called_running() -> None:
    assert not Old({"api": "asr", "port": 9000}, Engine()).is_running()


def test_a_command_that_goes_on_by_itself_is_told_by_what_it_said() -> None:
    """Its own answer counts, and not what the settling afterwards says."""
    from ai_services.migrate.host_tool import _failure

    settled = json.dumps({"done": ["the old service serves again"]})
    said = json.dumps({"say": "callers wait from now on"})
    assert _failure([said, json.dumps({"ok": True}), json.dumps({"done": []})]) is None
    assert _failure([said, json.dumps({"error": "no model"}), settled]) == "no model"
    assert _failure([said, json.dumps({"ok": True}), json.dumps({"error": "no Docker"})]) is None
    assert _failure([said, json.dumps({"error": "it cannot be settled"})]) == "it cannot be settled"
    assert _failure([said, settled]) == "It was cut off on the host; the old service serves again."
    assert _failure(["Traceback"]) == "It was cut off on the host; what served before still does."


def test_what_the_operator_sends_is_what_the_host_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On every Python: before 3.12, argparse takes no words of a list that come after an option."""

    class Remote:
        """Hands the words to the tool, as a shell and an interpreter would."""

        def run(self, command: str, **_: object) -> Done:
            words = shlex.split(command)
            monkeypatch.setitem(tool._COMMANDS, "mark", lambda chosen: {"arguments": chosen.arguments, "by": chosen.by})
            with pytest.raises(SystemExit) as ended:
                tool.main(words[words.index(host_tool.PLACE) + 1 :])
            return Done(int(str(ended.value.code)), capsys.readouterr().out.encode(), b"")

    told = host_tool.HostTool(cast("Any", Remote())).call("mark", "front", "--done", '{"user": "root"}')
    assert told["arguments"] == ["front", "--done", '{"user": "root"}']
    assert "@" in told["by"]


def reloaded(done: list[str]) -> None:
    """As nginx does it: nothing is owed to it afterwards."""
    done.append("reload")
    switch.OWED.unlink(missing_ok=True)


class TestDoors:
    """Where the old service had two ports, one rule serves both."""

    @pytest.fixture
    def did(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        done: list[str] = []
        doors = tmp_path / "old-api.conf"
        doors.write_text(
            "server {\n    listen 19000;\n    server_name _;\n}\n\nserver {\n    listen 19001;\n    server_name _;\n}\n"
        )
        monkeypatch.setattr(front, "DOORS", doors)
        monkeypatch.setattr(switch, "OWED", tmp_path / "run" / "nginx-reload")
        monkeypatch.setattr(front, "_SETTLED_S", 0)
        monkeypatch.setattr(front, "wait_for", lambda port, *_: done.append(f"listens {port}"))
        monkeypatch.setattr(front, "wait_until_free", lambda port, *_: done.append(f"free {port}"))
        monkeypatch.setattr(front, "reload_nginx", lambda: reloaded(done))
        monkeypatch.setattr(front, "no_redirect", lambda: done.append("no rule"))
        monkeypatch.setattr(front, "redirect", lambda *_: done.append("rule"))
        return done

    def test_the_rule_goes_when_nginx_has_every_port(self, did: list[str], tmp_path: Path) -> None:
        state = begun(tmp_path, in_place_of={"9000": 19000, "9001": 19001})
        front.own_the_port(state)
        rule = did.index("no rule")
        assert {"listens 9000", "listens 9001"} <= set(did[:rule])
        assert "19" not in front.DOORS.read_text()
        front.own_the_port(state)
        assert did.count("reload") == 2

    def test_the_rule_comes_when_nginx_has_every_helper(self, did: list[str], tmp_path: Path) -> None:
        state = begun(tmp_path, in_place_of={"9000": 19000, "9001": 19001})
        front.own_the_port(state)
        did.clear()
        front.give_the_port_back(state, Engine())
        rule = did.index("rule")
        assert {"listens 19000", "listens 19001"} <= set(did[:rule])
        assert {"free 9000", "free 9001"} <= set(did[rule:])

    def test_one_that_was_killed_before_the_reload_is_ended_before_the_rule_goes(
        self, did: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file says it already, and nginx does not know: callers would have been led to nobody."""
        state = begun(tmp_path, in_place_of={"9000": 19000})

        def killed() -> None:
            raise KeyboardInterrupt

        reload = front.reload_nginx
        monkeypatch.setattr(front, "reload_nginx", killed)
        with pytest.raises(KeyboardInterrupt):
            front.own_the_port(state)
        monkeypatch.setattr(front, "reload_nginx", reload)
        front.own_the_port(state)
        assert did.index("reload") < did.index("listens 9000") < did.index("no rule")

    def test_what_nginx_refuses_is_as_it_was(
        self, did: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> None:
            raise MigrationError("nginx does not accept its configuration")

        before = front.DOORS.read_text()
        monkeypatch.setattr(front, "reload_nginx", refuse)
        with pytest.raises(MigrationError):
            front.own_the_port(begun(tmp_path, in_place_of={"9000": 19000}))
        assert front.DOORS.read_text() == before
        assert [path.name for path in front.DOORS.parent.glob(".old-api*")] == []


class TestBringBack:
    @pytest.fixture
    def reloads(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        done: list[str] = []
        monkeypatch.setattr(front, "LINK", tmp_path / "zz-ai-services.conf")
        monkeypatch.setattr(switch, "OWED", tmp_path.parent / "run" / "nginx-reload")
        monkeypatch.setattr(front, "reload_nginx", lambda: reloaded(done))
        return done

    def test_one_reload_and_no_trace(self, reloads: list[str], tmp_path: Path) -> None:
        site = tmp_path / "whisper"
        front.aside_of(site).write_text("server {}\n")
        front.LINK.symlink_to("/etc/nginx/sites-available/ai-services.conf")
        assert front.bring_back([site]) == [str(site), str(front.LINK)]
        assert (os.listdir(tmp_path), reloads) == (["whisper"], ["reload"])  # noqa: PTH208 -- names are enough
        assert (front.bring_back([site]), reloads) == ([], ["reload"])

    def test_one_that_was_cut_off_is_ended(self, reloads: list[str], tmp_path: Path) -> None:
        """Files that were renamed before nginx was told; and ours that was taken off before the old one was back."""
        site = tmp_path / "whisper"
        site.write_text("server {}\n")
        front.bring_back([site], again=True)
        assert reloads == ["reload"]
        site.rename(front.aside_of(site))
        front.LINK.with_name(f".{front.LINK.name}.off").symlink_to("/etc/nginx/sites-available/ai-services.conf")
        front.bring_back([site], again=True)
        assert (os.listdir(tmp_path), len(reloads)) == (["whisper"], 2)  # noqa: PTH208 -- names are enough

    def test_what_nginx_refuses_is_as_it_was(
        self, reloads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> None:
            raise MigrationError("nginx does not accept its configuration")

        site = tmp_path / "whisper"
        front.aside_of(site).write_text("server {}\n")
        front.LINK.symlink_to("/etc/nginx/sites-available/ai-services.conf")
        monkeypatch.setattr(front, "reload_nginx", refuse)
        with pytest.raises(MigrationError):
            front.bring_back([site])
        assert front.LINK.is_symlink()
        assert front.aside_of(site).is_file()


def test_folders_of_configuration_are_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan names /etc/nginx: every file of it is compared after a rollback. Folders of models are not read."""
    etc, models = tmp_path / "etc", tmp_path / "models"
    monkeypatch.setattr(keeping, "_CONFIGURATION", etc)
    monkeypatch.setattr(keeping, "_RENEWED", f"{etc}/letsencrypt/")
    for path in (etc / "nginx/conf.d/a.conf", etc / "letsencrypt/live/a/cert.pem", models / "weights"):
        path.parent.mkdir(parents=True)
        path.write_text("as it was\n")
    (etc / "nginx/enabled").symlink_to("conf.d/a.conf")
    os.mkfifo(etc / "nginx/pipe")
    state = begun(tmp_path / "ai", keep_files=[str(etc / "nginx"), str(etc / "letsencrypt"), str(models)])
    kept = keeping.keep(state, Engine())["files"]
    assert {Path(name).relative_to(etc).as_posix() for name in kept} == {
        "nginx/conf.d/a.conf", "nginx/enabled", "letsencrypt/live/a/cert.pem",
    }  # fmt: skip
    (etc / "letsencrypt/live/a/cert.pem").write_text("renewed\n")
    (etc / "nginx/conf.d/a.conf").write_text("changed\n")
    assert keeping.changed(state) == [f"{etc}/nginx/conf.d/a.conf is not as it was"]
    (etc / "letsencrypt/live/a/cert.pem").unlink()
    assert f"{etc}/letsencrypt/live/a/cert.pem is gone" in keeping.changed(state)


def test_only_what_is_the_units_alone_goes_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment file may be the whole machine's, a drop-in every unit's."""
    monkeypatch.setattr(tool, "UNITS", tmp_path / "system")
    names = ("system/old.service", "system/old.service.d/a.conf", "system/service.d/all.conf", "environment")
    for path in (tmp_path / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    file, *parts = (str(tmp_path / name) for name in names)
    unit = {"name": "old.service", "file": file, "parts": [*parts, str(tmp_path / "system/old.service.d/gone.conf")]}
    assert [path.name for path in tool._own_files(unit)] == ["old.service", "a.conf"]


class TestTool:
    """The host's half as it is called: one command, one answer."""

    @pytest.fixture
    def held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody else holds the lock."""

        class Held:
            def refresh(self, token: str) -> bool:
                if token != "theirs":
                    raise LockedError({"token": "theirs", "why": "migrate"})
                return True

        monkeypatch.setattr(tool, "Lock", Held)
        monkeypatch.setattr(tool, "ROOT", tmp_path)
        monkeypatch.setattr(tool, "_busy", list)
        begun(tmp_path)

    def said(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
        with pytest.raises(SystemExit) as ended:
            tool.main(words)
        answer: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return int(str(ended.value.code)), answer

    @pytest.mark.usefixtures("held")
    def test_a_run_that_slept_through_its_lease_changes_nothing(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        """Somebody else has taken the lock since."""
        status, answer = self.said(capsys, "--token", "mine", "--", "mark", "front", "begun")
        assert status == tool.LOCKED
        assert "migrate" in str(answer["error"])
        state = State.open(tmp_path)
        assert state is not None
        assert state.of("front") == ""
        assert self.said(capsys, "--token", "mine", "--", "state")[0] == tool.OK
        assert self.said(capsys, "--token", "theirs", "--", "mark", "front", "begun")[0] == tool.OK

    @pytest.mark.usefixtures("held")
    def test_a_fault_of_ours_is_told_in_words(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A long command's last word is what the operator reads: a traceback is none."""

        def broken(_: State) -> None:
            raise KeyError("nothing")

        monkeypatch.setattr(front, "own_the_port", broken)
        status, answer = self.said(capsys, "retire")
        assert (status, answer["error"]) == (tool.FAILED, "KeyError: 'nothing'")

    @pytest.mark.usefixtures("held")
    def test_a_long_one_is_not_begun_beside_another(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tool, "_busy", lambda: ["settle"])
        status, answer = self.said(capsys, "--token", "theirs", "--", "go", "undo-old")
        assert status == tool.FAILED
        assert "still at work on settle" in str(answer["error"])


def test_who_is_connected_by_either_kind_of_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that listens on [::] has its callers of IPv4 in the other table."""
    tables = {
        "tcp": ["0: 0100007F:0BB9 0100007F:9999 01", "1: 00000000:0BB9 0500A8C0:9999 01"],
        "tcp6": [
            "0: 0000000000000000FFFF00000100A8C0:0BB9 0000000000000000FFFF00000600A8C0:9999 01",
            "1: 0000000000000000FFFF00000100A8C0:0BB9 0000000000000000FFFF00000700A8C0:9999 06",
            "2: 00000000000000000000000001000000:0BB9 00000000000000000000000001000000:9999 01",
        ],
    }
    monkeypatch.setattr(old, "_lines", lambda path: tables[path.name])
    service = Old(
        {"api": "asr", "port": 3001, "how": "systemd", "containers": [{"id": "x", "name": "ollama"}]}, Engine()
    )
    assert service.strangers(set()) == 2
    assert service.strangers({"192.168.0.0/29"}) == 0


def test_what_starts_it_again_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was cut off between the two left a service that no boot would have started."""
    did: list[str] = []
    monkeypatch.setattr(old, "_do", lambda words, *_: did.append(" ".join(words)))
    policies = {"a": {"Name": "no"}, "b": {"Name": "on-failure", "MaximumRetryCount": 5}, "c": {"Name": ""}}
    monkeypatch.setattr(
        Engine, "container", lambda _, name: {"Name": f"/{name}", "HostConfig": {"RestartPolicy": policies[name]}}
    )
    containers = [
        {"id": "a", "name": "a", "restart": "always"}, {"id": "b", "name": "b-before", "restart": "on-failure:5"},
        {"id": "c", "name": "c", "restart": "no"},
    ]  # fmt: skip
    Old(
        {"api": "asr", "port": 1, "containers": containers, "units": [{"name": "u", "enabled": True}]}, Engine()
    ).as_found()
    assert did == ["docker update --restart=always a", "docker rename b b-before", "systemctl enable u"]
