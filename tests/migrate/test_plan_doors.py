"""Doors of the old API, the filter before them, and what the host is ordered: where they come from what is there."""

from __future__ import annotations

import pytest

from ai_services.host.settings import HostSettings
from ai_services.migrate import order
from ai_services.migrate.recognise import recognise

from .test_plan import codes, language_too
from .worlds import Seen, planned, seen


class TestPacketFilter:
    """Docker's published ports pass by a filter of what comes in; nginx's do not (the old service had no proxy)."""

    def world(self, kind: str, **services: str) -> Seen:
        world = seen("asr-run")
        world["packet_filter"] = {"kind": kind, "evidence": "as seen"}
        world["facts"]["services"] |= services
        return world

    def test_ufw_is_told_and_the_plan_says_so(self) -> None:
        _, plan = planned(self.world("ufw"), ai_allowed_networks=["10.0.0.0/8"])
        assert codes(plan) == []
        front = next(step.words for step in plan.steps if step.name == "front")
        assert "ufw lets 10.0.0.0/8 in at port 9000" in front
        assert "ufw's rules as they were" in plan.rollback
        _, plan = planned(self.world(""))
        assert "ufw" not in " ".join([*plan.rollback, *(step.words for step in plan.steps)])

    @pytest.mark.parametrize(
        ("kind", "services", "off", "refused", "warned"),
        [
            ("drop", {}, False, ["packet_filter"], False),
            ("drop", {}, True, [], True),
            ("ufw", {}, True, [], True),
            ("", {"firewalld": "active"}, False, ["firewalld"], False),
            ("", {"firewalld": "active"}, True, [], True),
            ("", {"firewalld": "inactive"}, False, [], False),
        ],
    )
    def test_what_would_drop_callers_is_refused_unless_its_owner_knows(
        self, kind: str, services: dict[str, str], off: bool, refused: list[str], warned: bool
    ) -> None:
        _, plan = planned(self.world(kind, **services), **({"ai_firewall": "off"} if off else {}))
        assert codes(plan) == refused
        assert ("packet_filter" in [note.code for note in plan.warnings]) is warned
        assert all("9000" in note.nearest and "19000" in note.nearest for note in plan.refusals)

    def test_behind_an_nginx_callers_come_in_where_they_did(self) -> None:
        world = seen("venv-sites")
        world["packet_filter"] = {"kind": "drop", "evidence": "as seen"}
        assert codes(planned(world)[1]) == []


def test_a_container_of_another_engine_is_said_to_be_one() -> None:
    """Its port is held by a helper of Podman's: that one has no unit, and is not started by hand either."""
    world = seen("venv-sites")
    listener = next(one for one in world["listeners"] if one["port"] == 3001)
    listener |= {"process": "conmon", "unit": "user@1000.service", "container": "f" * 64}
    (name,) = [one.name for one in recognise(world, "gpu-1").candidates]
    _, plan = planned(world, service=name)
    assert codes(plan) == ["other_engine"]
    assert "Podman" in plan.refusals[0].what


class TestOrder:
    def test_an_ollama_of_a_unit_goes_and_comes_with_the_service(self) -> None:
        """Else two would serve, and both want the GPU."""
        world = seen("venv-sites")
        unit = next(one for one in world["units"] if one["name"] == "whisper_api.service")
        world["units"].append({**unit, "name": "ollama.service", "file": "/etc/systemd/system/ollama.service"})
        listener = next(one for one in world["listeners"] if one["port"] == 3001)
        changed = {"port": 11434, "pid": 4242, "process": "ollama", "unit": "ollama.service"}
        world["listeners"].append({**listener, **changed, "command": ["/usr/local/bin/ollama", "serve"], "venv": {}})
        world["units"][-1]["command"] = ["/usr/local/bin/ollama", "serve"]
        found, plan = planned(world)
        assert found.ollama is not None
        made = order.from_plan(found, plan, HostSettings())
        assert [one["name"] for one in made["old"]["units"]] == ["whisper_api.service", "ollama.service"]
        assert not made["language_first"]
        assert "unit ollama.service is started again as it was" in plan.rollback
        assert "ollama_local" in [note.code for note in plan.warnings]

    def test_an_ollama_behind_the_same_site_is_ours_before_callers_are_led_to_it(self) -> None:
        world = seen("seed-compose")
        language_too(world)
        found, plan = planned(world, ai_old_api_keyless=False)
        made = order.from_plan(found, plan, HostSettings())
        assert made["language_first"]
        assert [one["name"] for one in made["old"]["containers"]] == ["whisper-api", "ollama"]


class TestDoors:
    """A door of ours has whole names, a certificate in two files, and every address of the host."""

    def world(self, before: str, after: str) -> Seen:
        world = seen("venv-sites")
        (path,) = [path for path, text in world["nginx"]["files"].items() if before in text and "3001" in text]
        world["nginx"]["files"][path] = world["nginx"]["files"][path].replace(before, after)
        return world

    def name(self) -> str:
        found, _ = planned(seen("venv-sites"))
        return found.front.of(found.service)[0].names[0] if found.service else ""

    def test_names_are_compared_in_small_letters(self) -> None:
        name = self.name()
        _, plan = planned(self.world(f"server_name {name};", f"server_name {name.upper()} *.Ai.test .b.test;"))
        assert plan.settings["ai_old_api_listeners"] == [f"80 {name} *.ai.test b.test *.b.test"]

    @pytest.mark.parametrize(
        ("before", "after", "code", "words"),
        [
            ("listen 80;", "listen 127.0.0.1:8090;", "local_site", "127.0.0.1:8090"),
            ("listen 80;", "listen 80; ssl_certificate $tls; ssl_certificate_key /k; listen 443 ssl;",
             "odd_certificate", "$tls, /k"),
        ],
    )  # fmt: skip
    def test_what_a_door_cannot_be_is_refused(self, before: str, after: str, code: str, words: str) -> None:
        _, plan = planned(self.world(before, after))
        assert codes(plan) == [code]
        assert words in plan.refusals[0].what

    def test_a_pattern_of_names_is_refused(self) -> None:
        name = self.name()
        _, plan = planned(self.world(f"server_name {name};", rf"server_name {name} ~^w\d+$;"))
        assert codes(plan) == ["odd_names"]
        assert r"~^w\d+$" in plan.refusals[0].what

    def test_a_certificate_is_meant_from_nginxs_own_folder(self) -> None:
        tls = "listen 80; listen 443 ssl; ssl_certificate tls/w.pem; ssl_certificate_key tls/w.key;"
        _, plan = planned(self.world("listen 80;", tls))
        assert any(
            "certificate=/etc/nginx/tls/w.pem key=/etc/nginx/tls/w.key" in door
            for door in plan.settings["ai_old_api_listeners"]
        )

    def test_one_address_is_warned_of(self) -> None:
        _, plan = planned(self.world("listen 80;", "listen 10.0.0.1:80;"), ai_domain="ai.example.com")
        assert "bound_port" in [note.code for note in plan.warnings]
        assert "local_port" in [note.code for note in plan.warnings]
        assert codes(plan) == []


def test_the_same_port_of_another_machine_is_another_service() -> None:
    """A site that leads there stays; it was taken for the old service's, and would have been put aside."""
    world = seen("venv-sites")
    world["facts"]["my_addresses"] = ["192.168.20.30"]
    (path,) = [path for path, text in world["nginx"]["files"].items() if "proxy_pass http://127.0.0.1:3001" in text]
    text = world["nginx"]["files"][path]
    world["nginx"]["files"][path] = text.replace("127.0.0.1:3001", "192.168.20.31:3001")
    found, _ = planned(world)
    assert found.service
    assert found.front.of(found.service) == ()
    world["nginx"]["files"][path] = text.replace("127.0.0.1:3001", "192.168.20.30:3001")
    found, _ = planned(world)
    assert found.service
    assert len(found.front.of(found.service)) == 1
