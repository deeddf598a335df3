"""Parts of the look: nothing secret leaves the host, nginx is read as it is written, garbage breaks nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ai_services.doctor.bounded import Ran, Unseen
from ai_services.exits import OperatorError
from ai_services.host.remote import Done, Remote
from ai_services.host.target import Target
from ai_services.migrate import nginx_text
from ai_services.migrate.look import bundle, look
from ai_services.migrate.on_host import containers, filters, hiding, stores
from ai_services.migrate.recognise import recognise

from .worlds import KINDS, seen

SECRET = "s3cr3t-Value_1234567890"


class TestHiding:
    @pytest.mark.parametrize(
        "text",
        [
            f'proxy_set_header Authorization "Bearer {SECRET}";',
            f"proxy_set_header Authorization 'Basic {SECRET}';",
            f"proxy_set_header X-Api-Key {SECRET};",
            f"      - API_KEY={SECRET}",
            f'      HF_TOKEN: "{SECRET}"',
            f"Environment=OPENAI_API_KEY={SECRET}",
            f"https://user:{SECRET}@registry.example.com/v2",
            f"db_password = {SECRET}",
            f"# curl -H 'authorization: bearer {SECRET}'",
            "token ghp_0123456789abcdefghij",
            "url https://hub/ hf_0123456789abcdefghij",
        ],
    )
    def test_what_looks_like_a_secret_stays_there(self, text: str) -> None:
        hidden = hiding.text(text)
        assert SECRET not in hidden
        assert "0123456789abcdefghij" not in hidden

    @pytest.mark.parametrize(
        "text",
        ["proxy_pass http://127.0.0.1:9000;", "ssl_certificate_key /etc/ssl/w.key;", "image: whisper:latest", "80:80"],
    )
    def test_what_is_none_is_told(self, text: str) -> None:
        assert hiding.text(text) == text

    def test_options_of_a_command(self) -> None:
        words = hiding.words(["serve", "--api-key", SECRET, f"--token={SECRET}", "--port", "9000"])
        assert words == ["serve", "--api-key", "***", "--token=***", "--port", "9000"]

    def test_an_environment_tells_names_and_only_plain_values(self) -> None:
        found = hiding.environment([f"API_KEY={SECRET}", "ASR_MODEL=base", f"OTHER={SECRET}", "broken"])
        assert found == {"names": ["API_KEY", "ASR_MODEL", "OTHER"], "values": {"ASR_MODEL": "base"}}


class TestNginx:
    def sites(self, text: str) -> list[Any]:
        return [block.site for block in nginx_text.blocks({"/etc/nginx/nginx.conf": text}, {})]

    def test_what_a_block_listens_on(self) -> None:
        (site,) = self.sites(
            "http { server { listen 80; listen [::]:443 ssl default_server; listen unix:/run/x; listen 10.0.0.1; "
            "listen *:81; server_name _ a.example.com; } }"
        )
        assert [(port.address, port.port) for port in site.listens] == [
            ("0.0.0.0", 80), ("::", 443), ("10.0.0.1", 80), ("0.0.0.0", 81),
        ]  # fmt: skip
        assert (site.names, site.tls, site.default) == (("a.example.com",), True, True)

    def test_quotes_comments_and_braces_in_them(self) -> None:
        (site,) = self.sites(
            "server { # server { listen 1; }\n server_name 'a.example.com'; add_header X \"} ; {\";\n"
            ' location ~ "^/a{2}$" { proxy_pass http://127.0.0.1:9000; } }'
        )
        assert site.names == ("a.example.com",)
        assert "http://127.0.0.1:9000" in site.targets.values()

    def test_the_line_that_it_begins_in(self) -> None:
        assert [site.line for site in self.sites("\nserver {\n listen 80;\n}\n\nserver\n{\n listen 81; }")] == [2, 6]

    def test_nothing_listed_is_port_80(self) -> None:
        (site,) = self.sites("server { server_name a.example.com; }")
        assert [port.port for port in site.listens] == [80]

    @pytest.mark.parametrize("text", ["}}}}", "server {", "server { listen", "{" * 3000, "server { include /etc/*; }"])
    def test_what_is_broken_is_no_accident(self, text: str) -> None:
        assert isinstance(self.sites(text), list)


def _garbage(chance: random.Random, depth: int = 0) -> Any:
    kinds: list[Any] = [None, True, -1, 1e300, "", "\x00\ud7ff", "9000", [], {}, chance.randrange(1 << 33)]
    if depth < 3 and chance.random() < 0.5:
        return [_garbage(chance, depth + 1) for _ in range(chance.randrange(3))]
    if depth < 3 and chance.random() < 0.5:
        return {chance.choice(["id", "name", "port", "json", "files", "x"]): _garbage(chance, depth + 1)}
    return chance.choice(kinds)


def _spoil(value: Any, chance: random.Random, rate: float) -> Any:
    """A copy with some of its parts, at any depth, made garbage, left out or doubled."""
    if chance.random() < rate:
        return _garbage(chance)
    if isinstance(value, dict):
        return {name: _spoil(one, chance, rate) for name, one in value.items() if chance.random() > rate / 2}
    if isinstance(value, list):
        kept = [_spoil(one, chance, rate) for one in value if chance.random() > rate / 2]
        return kept + kept[: 1 if chance.random() < rate else 0]
    if isinstance(value, str) and chance.random() < rate:
        return value[: chance.randrange(len(value) + 1)] + chance.choice(["", "{", "\n", "☃", ";" * 50])
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_breaks_nothing(kind: str) -> None:
    """Whatever a host answers, the look ends with a result: what is not of its form is dropped, and noted."""
    whole = seen(kind)
    for seed in range(60):
        chance = random.Random(f"{kind}{seed}")
        spoiled = _spoil(whole, chance, chance.choice([0.005, 0.03, 0.2]))
        found = recognise(spoiled if isinstance(spoiled, dict) else {}, "gpu-1")
        assert json.loads(json.dumps(found.as_dict())) == json.loads(json.dumps(found.as_dict()))
    assert recognise({name: _garbage(random.Random(name)) for name in whole}, "gpu-1").service is None


def test_what_was_dropped_is_said() -> None:
    world = seen("asr-run")
    world["listeners"].append({"port": "many", "address": "::"})
    (fact,) = recognise(world, "gpu-1").unseen
    assert "listeners" in fact.what
    assert "port" in fact.evidence


class TestSent:
    @pytest.mark.long
    @pytest.mark.skipif(os.geteuid() != 0, reason="a look wants root")
    def test_it_runs_from_memory(self) -> None:
        """The program comes over stdin; tests/host/test_old_hosts.py sees that it leaves no file."""
        seen_here = look(Remote.open(Target("localhost", is_root=True)))
        assert seen_here["schema"] == 1
        assert seen_here["facts"]["python"]

    def test_it_is_small_and_the_same_each_time(self) -> None:
        assert len(bundle()) < 150_000
        assert bundle() == bundle()

    def test_it_imports_nothing_but_the_standard_library(self) -> None:
        code = (
            "import sys; sys.path.insert(0, 'src'); import ai_services.migrate.on_host.look; "
            "print({name.split('.')[0] for name in sys.modules} & {'pydantic', 'yaml', 'requests', 'paramiko'} or '')"
        )
        top = Path(__file__).resolve().parents[2]
        done = subprocess.run([sys.executable, "-I", "-c", code], cwd=top, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == ""


def test_whose_models_a_folder_holds(tmp_path: Path) -> None:
    for name in ("hub/models--Systran--faster-whisper-small", "ollama/models/manifests", "pt"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pt" / "base.en.pt").touch()
    assert [stores.holds(str(tmp_path / name)) for name in ("hub", "ollama", "pt", "nothing")] == [
        "huggingface", "ollama", "whisper", "",
    ]  # fmt: skip
    assert stores.models(str(tmp_path)) == ["Systran/faster-whisper-small"]


class TestPacketFilter:
    """What is in charge of what comes in, by what the host says of it."""

    INPUT = "table ip filter {{\n\tchain INPUT {{\n\t\ttype filter hook input priority filter; policy {};\n\t}}\n}}\n"

    def kind(self, monkeypatch: pytest.MonkeyPatch, folder: Path, ufw: str = "", **said: str) -> str:
        (folder / "ufw.conf").write_text(ufw)
        monkeypatch.setattr(filters, "_UFW", folder / "ufw.conf")
        monkeypatch.setattr(filters, "_LEGACY", folder / "absent")
        monkeypatch.setattr(filters, "_NEW", folder)

        def run(words: list[str], *_: Any) -> Ran:
            if words[0] not in said:
                raise Unseen(f"{words[0]} is not installed")
            return Ran(0, said[words[0]], "")

        monkeypatch.setattr(filters, "run", run)
        return filters.packet_filter()["kind"]

    def test_each(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        drop, accept = self.INPUT.format("drop"), self.INPUT.format("accept")
        forward = drop.replace("hook input", "hook forward")
        for expected, said in (
            ("ufw", {"ufw": "# of ufw\nENABLED=yes\nLOGLEVEL=low\n", "nft": drop}),
            ("drop", {"ufw": "ENABLED=no\n", "nft": accept + drop}),
            ("drop", {"iptables": "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n"}),
            ("", {"iptables": "-P INPUT ACCEPT\n"}),
            ("", {"nft": accept + forward, "iptables": "-P INPUT DROP\n"}),
            ("", {}),
        ):
            assert self.kind(monkeypatch, tmp_path, **said) == expected, said


class TestHostile:
    """What a host sends is neither obeyed nor believed."""

    def look(self, monkeypatch: pytest.MonkeyPatch, **done: Any) -> dict[str, Any]:
        remote = Remote(Target("localhost", is_root=True))
        monkeypatch.setattr(Remote, "run", lambda *_, **__: Done(**{"status": 0, "out": b"", "err": b"", **done}))
        return look(remote)

    def test_marks_that_a_terminal_would_obey_and_halves_of_letters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = {"title": "\x1b[2Jall is well\r\u202e", "\x9b1m": ["caf\u00e9\udc80\n\t"]}
        seen_there = self.look(monkeypatch, out=json.dumps(raw).encode())
        assert seen_there == {"title": "\ufffd[2Jall is well\ufffd\ufffd", "\ufffd1m": ["caf\u00e9\ufffd\n\t"]}
        json.dumps(seen_there, ensure_ascii=False).encode()

    @pytest.mark.parametrize(
        ("done", "words"),
        [
            ({"out": b"[" * 100_000}, "failed"),
            ({"out": b"\xff\xfe{"}, "failed"),
            ({"out": b"[]"}, "failed"),
            ({"out": b'{"a": "', "is_cut": True}, "none of it is believed"),
            ({"status": 39}, "older than 3.9"),
            ({"status": 127}, "no python3"),
        ],
    )
    def test_what_is_no_answer_is_refused_in_words(
        self, monkeypatch: pytest.MonkeyPatch, done: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(OperatorError, match=words) as caught:
            self.look(monkeypatch, **done)
        assert caught.value.hint

    def test_any_login_shell_takes_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Quotes over a line's end, or a `!` in them, are an error in csh."""
        words: list[str] = []

        def run(_: Remote, command: str, **__: Any) -> Done:
            words.append(command)
            return Done(0, b"{}", b"")

        monkeypatch.setattr(Remote, "run", run)
        look(Remote(Target("localhost", is_root=True)), ("ai.example.com",))
        assert not set("\n!") & set(words[0])
        old = words[0].replace("python3", sys.executable, 1).replace(
            "import base64;", "import base64,sys;sys.version_info=(3,8);"
        )  # fmt: skip
        assert subprocess.run(["sh", "-c", old], input=b"", capture_output=True, check=False).returncode == 39

    def test_a_container_that_makes_no_sense_hides_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good = {"Id": "a" * 64, "Name": "/good", "State": {"Status": "running"}}
        odd = {"Id": "b" * 64, "Name": "/odd", "Config": {"ExposedPorts": {"3000-3010/tcp": {}}}}
        monkeypatch.setattr(
            containers, "listed", lambda: [{"Id": one["Id"], "Names": [one["Name"]]} for one in (good, odd)]
        )
        monkeypatch.setattr(containers, "docker_api", lambda path, _: good if "aaa" in path else odd)
        rows = containers.containers()
        assert [(row["name"], row["state"]) for row in rows] == [("good", "running"), ("odd", containers.UNREADABLE)]
        world = seen("asr-run")
        world["containers"] += rows[1:]
        assert "container odd could not be seen" in [fact.what for fact in recognise(world, "gpu-1").unseen]
