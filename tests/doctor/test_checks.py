"""B.5: each check is a pure function of what was seen; good and bad rows of each, in the words people read."""

# ruff: noqa: E501  # tables: one row a line is easier to read than a tidy width

from __future__ import annotations

import copy
from typing import Any

import pytest

from ai_services.doctor.bounded import Unseen
from ai_services.doctor.checks import GROUPS, checks
from ai_services.doctor.fixing import HANDS
from ai_services.doctor.verdict import EXIT_CODES, NOTHING_DEPLOYED, Seen, Verdict
from ai_services.doctor.xid import XIDS, explain
from ai_services.exits import FAILED, MEANINGS, NOT_RUNNING, OK, WARNED

pytestmark = pytest.mark.promise("B.5")

CHECKS = {check.name: check for check in checks()}
_CARD = {"address": "0000:01:00.0", "vendor": "10de", "device": "1b80", "class": "030000", "driver": "nvidia"}
_DIGEST = "sha256:" + "a" * 64


def _container(name: str) -> dict[str, Any]:
    return {
        "name": name, "service": name, "state": "running", "exit_code": 0, "health": "healthy", "health_said": "",
        "restarts": 0, "age_s": 90_000.0, "oom_killed": False, "image_id": "sha256:" + "b" * 64, "digests": [_DIGEST],
        "reference": "x", "published": ["127.0.0.1:8080"] if name == "gateway" else [],
    }  # fmt: skip


def _unit(**changes: Any) -> dict[str, Any]:
    well = {"load": "loaded", "active": "active", "type": "simple", "sub": "", "enabled": "enabled", "result": "success", "exit_code": "0",
            "last_trigger": "", "expected": True}  # fmt: skip
    return {**well, **changes}


# A host with a GPU on which everything is as it should be.
WELL: dict[str, Any] = {
    "disks": [{"mount": "/", "paths": ["/"], "type": "ext4", "total_mib": 100_000, "free_mib": 50_000,
               "free_inodes_percent": 90, "read_only": False}],
    "memory": {"total_mib": 32_000, "available_mib": 16_000, "swap_total_mib": 0, "swap_free_mib": 0},
    "clock": {"utc": "2026-11-21T12:00:00Z", "synchronised": True, "offset_s": None},
    "registry_offset_s": 0.2,
    "virtual": "kvm",
    "kernel_log": {"xid": [], "oom": []},
    "units": {"nginx.service": _unit()},
    "containers": [_container(name) for name in ("gateway", "ollama", "whisper-api")],
    "release_state": {"deployed": True, "id": "0123456789ab", "problem": ""},
    "release": {"id": "0123456789ab", "version": "0.1.0",
                "settings": {"ai_domain": "ai.example.com", "ai_tls": "letsencrypt", "ai_firewall": "on", "ai_accelerator": "nvidia"},
                "images": {name: f"ghcr.io/o/{name}:1@{_DIGEST}" for name in ("gateway", "ollama", "whisper-api")}},
    "pci": [_CARD],
    "secure_boot": False,
    "nvidia": {"module_loaded": True, "module_version": "580.95.05", "module_flavour": "open", "nouveau_loaded": False,
               "module_on_disk_version": "580.95.05", "userspace_version": "580.95.05", "packages": [{"name": "nvidia-driver-580"}]},
    "cuda": {"code": 0, "devices": 1, "why": ""},
    "residency": {"models": [{"name": "m", "size": 100, "size_vram": 100}], "whisper_device": "cuda"},
    "docker": {"running": True, "installed": True, "version": "26.1", "compose_version": "2.26.1", "why": ""},
    "docker_config": {"broken": "", "differs": []},
    "registry": {"images": {"gateway": {"newest": _DIGEST, "ours": [_DIGEST], "why": ""}}, "offset_s": 0.2},
    "ports": [{"port": 443, "proto": "tcp", "address": "0.0.0.0", "process": "nginx", "pid": 1},
              {"port": 8080, "proto": "tcp", "address": "127.0.0.1", "process": "docker-proxy", "pid": 2}],
    "firewall": {"tables": ["inet ai"], "rules": 7},
    "nginx": {"installed": True, "running": True, "valid": True, "said": "", "reload_due": False},
    "my_addresses": ["192.168.20.30", "fd00::2"],
    "domain_addresses": ["192.168.20.30"],
    "certificate": {"served": True, "why": "", "left_s": 60 * 86_400.0, "life_s": 90 * 86_400.0, "not_yet_s": 0.0,
                    "names": ["ai.example.com"], "issuer": "CA", "name_matches": True, "verify_error": "", "disk_differs": False},
    "renewal": {"timer": _unit(), "configured": True, "last_failed": False, "last_said": "",
                "hooks": [{"path": "/h", "executable": True, "reloads": True}]},
    "files": [{"path": "/a", "expected": "1", "found": "1"}],
    "secrets": [{"path": "/opt/ai/secrets", "mode": 0o700, "uid": 0}],
    "journal": {"lines": 2, "garbage": 0, "open": [], "failed": ""},
    "lock": {"held": False, "noted": False, "who": "ann on laptop", "since": "2026-11-21T11:59:00Z", "why": "deploy", "path": "/l"},
    "gateway": {"answers": True, "why": "", "url": "u", "version": "1", "components": {"ollama": {"status": "ok"}}},
    "takeover": {"asked": 8080, "paused": []},
    "transcription": {"why": "", "match": 1.0, "seconds": 1.0, "audio_s": 11.0},
    "completion": {"why": "", "model": "m", "tokens": 3, "seconds": 1.0},
    "keyless": {"status": 401},
    "services": {"unattended-upgrades": "active"},
    "unattended": {"blacklist": ["nvidia-.*", "libnvidia-.*"]},
    "reboot_required": False,
    "backup": {
        "configured": True, "ok": True, "time": "", "age_s": 3600.0, "detail": "", "good": "",
        "proven": "2026-11-21T12:00:00Z", "proven_age_s": 3600.0, "proven_how": "restored",
        "proven_made": "", "next": "", "late_s": 0.0,
    },
}  # fmt: skip


def judge(name: str, **changes: Any) -> Verdict:
    """One check on the well host with some observations changed: `a__b=v` changes member b of a."""
    values = copy.deepcopy(WELL)
    for path, value in changes.items():
        place, *rest = path.split("__")
        if not rest:
            values[place] = value
        else:
            inner = values[place]
            for step in rest[:-1]:
                inner = inner[int(step) if step.isdigit() else step]
            inner[int(rest[-1]) if rest[-1].isdigit() else rest[-1]] = value
    return CHECKS[name](Seen.of(values))


@pytest.mark.parametrize("name", CHECKS)
def test_a_well_host_is_well(name: str) -> None:
    found = judge(name)
    assert found.state == "ok", found
    assert not found.mend
    assert not found.fixes


_XID = {"device": "PCI:0000:01:00", "age_s": 60.0}
BAD: list[tuple[str, str, str, dict[str, Any]]] = [
    ("disk", "failed", "500 MiB of 97.7 GiB free", {"disks__0__free_mib": 500}),
    ("disk", "failed", "2 % of its inodes", {"disks__0__free_inodes_percent": 2}),
    ("disk", "failed", "read-only", {"disks__0__read_only": True}),
    ("disk", "warning", "(4 %)", {"disks__0__free_mib": 4500}),
    ("disk", "ok", "50 %", {"disks__0__total_mib": 400, "disks__0__free_mib": 200}),  # a small one is not full
    ("memory", "failed", "100 MiB", {"memory__available_mib": 100}),
    ("memory", "warning", "300 MiB", {"memory__available_mib": 300}),
    ("clock", "failed", "90 s behind", {"registry_offset_s": -90.0}),
    ("clock", "warning", "6 s ahead", {"clock__offset_s": 6.0}),
    ("clock", "warning", "nothing keeps the clock in step", {"clock__synchronised": False}),
    ("clock", "ok", "0.2 s off", {"clock__synchronised": False, "virtual": "docker"}),
    ("oom-kills", "failed", "1 in the last 24 h, the last: llama", {"kernel_log__oom": [{"process": "llama", "age_s": 9.0}]}),
    ("oom-kills", "warning", "1 since boot", {"kernel_log__oom": [{"process": "llama", "age_s": 90_000.0}]}),
    ("oom-kills", "failed", "memory limit: gateway", {"containers__0__oom_killed": True}),
    ("units", "failed", "nginx.service is inactive", {"units__nginx.service": _unit(active="inactive")}),
    ("units", "failed", "nginx.service is not installed", {"units__nginx.service": _unit(load="not-found", active="inactive")}),
    ("units", "failed", "failed (exit-code)", {"units__nginx.service": _unit(active="failed", result="exit-code")}),
    ("units", "ok", "0 of ours active", {"units__nginx.service": _unit(active="inactive", type="oneshot")}),
    ("gpu-bus", "failed", "no NVIDIA GPU is on the PCI bus any more", {"pci": []}),
    ("gpu-bus", "failed", "no PCI bus", {"pci": Unseen("no PCI bus is shown")}),
    ("gpu-bus", "warning", "deployed without it", {"release__settings__ai_accelerator": "cpu"}),
    ("gpu-bus", "skipped", "without a GPU", {"release__settings__ai_accelerator": "cpu", "pci": []}),
    ("gpu-driver", "failed", "nouveau has the card", {"nvidia__module_loaded": False, "nvidia__nouveau_loaded": True}),
    ("gpu-driver", "failed", "Secure Boot is on", {"nvidia__module_loaded": False, "secure_boot": True}),
    ("gpu-driver", "failed", "not loaded", {"nvidia__module_loaded": False}),
    ("gpu-versions", "failed", "the loaded module is 570.1, the libraries are 580.95.05", {"nvidia__module_version": "570.1"}),
    ("gpu-versions", "failed", "libraries are not installed", {"nvidia__userspace_version": None}),
    ("gpu-versions", "warning", "the next boot loads 590.1", {"nvidia__module_on_disk_version": "590.1"}),
    ("gpu-container", "failed", "cuInit answers 999", {"cuda": {"code": 999, "devices": 0, "why": ""}}),
    ("gpu-container", "failed", "cannot open shared object", {"cuda": {"code": -1, "devices": 0, "why": "cannot open shared object"}}),
    ("residency", "failed", "only 40 % of it on the GPU", {"residency__models__0__size_vram": 40}),
    ("residency", "failed", "wholly on the CPU", {"residency__models__0__size_vram": 0}),
    ("residency", "failed", "whisper-api computes on the CPU", {"residency__whisper_device": "cpu"}),
    ("xid", "failed", "Xid 79: the GPU has fallen off the bus", {"kernel_log__xid": [{"code": 79, **_XID}, {"code": 13, **_XID}]}),
    ("xid", "failed", "Xid 13: a program on the GPU failed", {"kernel_log__xid": [{"code": 13, **_XID}]}),
    ("xid", "warning", "more than 24 h ago", {"kernel_log__xid": [{"code": 13, "device": "", "age_s": 1e5}]}),
    ("xid", "failed", "not in the doctor's table", {"kernel_log__xid": [{"code": 9999, **_XID}]}),
    ("docker", "failed", "not installed", {"docker__running": False, "docker__installed": False}),
    ("docker", "failed", "does not answer: down", {"docker__running": False, "docker__why": "down"}),
    ("docker", "failed", "is not JSON", {"docker_config__broken": "is not JSON"}),
    ("docker", "warning", "newest configuration: x", {"docker_config__differs": ["x"]}),
    ("docker", "warning", "compose is not installed", {"docker__compose_version": None}),
    ("containers", "failed", "gateway is stopped (exit code 3)", {"containers__0__state": "exited", "containers__0__exit_code": 3}),
    ("containers", "failed", "gateway has no container", {"containers": []}),
    ("containers", "failed", "gateway is unhealthy: sick", {"containers__0__health": "unhealthy", "containers__0__health_said": "sick"}),
    ("containers", "failed", "gateway is paused", {"containers__0__state": "paused"}),
    ("containers", "failed", "gateway is restarting", {"containers__0__state": "restarting"}),
    ("containers", "warning", "still starting: gateway", {"containers__0__health": "starting"}),
    ("restarts", "failed", "in a loop: gateway was restarted 9 times", {"containers__0__restarts": 9, "containers__0__age_s": 5.0}),
    ("restarts", "warning", "gateway was restarted 9 times", {"containers__0__restarts": 9}),
    ("images", "failed", "gateway runs bbbbbbbbbbbb, the release names aaaaaaaaaaaa", {"containers__0__digests": []}),
    ("images", "warning", "names no digest for gateway", {"release__images__gateway": "ghcr.io/o/gateway:1"}),
    ("images-behind", "warning", "newer in the registry: gateway", {"registry__images__gateway__newest": "sha256:new"}),
    ("images-behind", "skipped", "down", {"registry__images__gateway": {"newest": "", "ours": [], "why": "down"}}),
    ("release", "failed", "leads out", {"release_state__problem": "current leads out"}),
    ("release", "skipped", "nothing is deployed", {"release_state__deployed": False}),
    ("drift", "failed", "changed: /a", {"files__0__found": "2"}),
    ("drift", "failed", "gone: /a", {"files__0__found": None}),
    ("secrets", "failed", "/opt/ai/secrets has mode 0755", {"secrets__0__mode": 0o755}),
    ("secrets", "failed", "/opt/ai/secrets has mode 0750", {"secrets__0__mode": 0o750}),
    ("deploys", "warning", "a deploy is going on: ann on laptop", {"lock__held": True}),
    ("deploys", "failed", "step 'images' was begun", {"journal__open": [{"step": "images", "release": "0", "time": "t"}]}),
    ("deploys", "warning", "left behind", {"lock__noted": True}),
    ("deploys", "warning", "the last deploy failed: step 'x'", {"journal__failed": "step 'x': no"}),
    ("ports", "failed", "port 8080 is open on 0.0.0.0", {"ports__1__address": "0.0.0.0"}),
    ("ports", "warning", "port 8080 is open on :: (python3): not the stack's", {"ports__1__address": "::", "ports__1__process": "python3"}),
    ("ports", "failed", "port 443 is taken by apache2", {"ports__0__process": "apache2"}),
    ("ports", "failed", "nobody listens on 443", {"ports": []}),
    ("ports", "failed", "a container of ours publishes 0.0.0.0:5432", {"containers__0__published": ["0.0.0.0:5432"]}),
    ("firewall", "failed", "not loaded", {"firewall__tables": ["inet filter"]}),
    ("firewall", "skipped", "decided elsewhere", {"release__settings__ai_firewall": "off"}),
    ("nginx", "failed", "broken: unknown directive", {"nginx__valid": False, "nginx__said": "unknown directive"}),
    ("nginx", "failed", "not running", {"nginx__running": False}),
    ("nginx", "failed", "not installed", {"nginx__installed": False}),
    ("nginx", "warning", "newer than its last reload", {"nginx__reload_due": True}),
    ("dns", "failed", "has no address", {"domain_addresses": []}),
    ("dns", "failed", "leads to 192.168.20.31, and this machine is", {"domain_addresses": ["192.168.20.31"]}),
    ("dns", "warning", "ours are 192.168.20.30", {"domain_addresses": ["8.8.8.8"]}),
    ("dns", "warning", "not ours: 192.168.20.31", {"domain_addresses": ["192.168.20.30", "192.168.20.31"]}),
    ("certificate", "failed", "expired 5 days ago", {"certificate__left_s": -5 * 86_400.0}),
    ("certificate", "failed", "2 days left", {"certificate__left_s": 2 * 86_400.0}),
    ("certificate", "warning", "overdue", {"certificate__left_s": 20 * 86_400.0}),
    # The short lives to come (facts.md): eleven days of forty-five left are fewer than a quarter.
    ("certificate", "warning", "overdue", {"certificate__left_s": 11 * 86_400.0, "certificate__life_s": 45 * 86_400.0}),
    ("certificate", "ok", "20 days left", {"certificate__left_s": 20 * 86_400.0, "certificate__life_s": 45 * 86_400.0}),
    ("certificate", "failed", "not for ai.example.com", {"certificate__name_matches": False, "certificate__names": ["b"]}),
    ("certificate", "failed", "clients will not trust it", {"certificate__verify_error": "self-signed certificate"}),
    ("certificate", "failed", "only in the future", {"certificate__not_yet_s": 5.0}),
    ("certificate", "failed", "no TLS on port 443", {"certificate__served": False}),
    ("certificate", "failed", "another certificate than the one on disk", {"certificate__disk_differs": True}),
    ("certificate", "skipped", "TLS is off", {"release__settings__ai_tls": "off"}),
    ("renewal", "failed", "disabled", {"renewal__timer__enabled": "disabled"}),
    ("renewal", "failed", "stopped", {"renewal__timer__active": "inactive"}),
    ("renewal", "failed", "is not there", {"renewal__timer__load": "not-found"}),
    ("renewal", "failed", "the last renewal failed: no", {"renewal__last_failed": True, "renewal__last_said": "no"}),
    ("renewal", "failed", "no renewal settings", {"renewal__configured": False}),
    ("renewal-hook", "failed", "no hook", {"renewal__hooks": []}),
    ("renewal-hook", "failed", "/h is not executable", {"renewal__hooks__0__executable": False}),
    ("takeover", "warning", "nginx asks 8081 first, and the gateway has 8080", {"takeover__asked": 8081}),
    ("takeover", "warning", "callers wait: ollama by me", {"takeover__paused": ["ollama by me (upgrade; ends in 9 s)"]}),
    ("takeover", "warning", "two gateways run", {"containers": [_container("gateway"), _container("gateway")]}),
    ("takeover", "ok", "a change is going on", {"lock__held": True, "takeover__paused": ["ollama by me"]}),
    ("takeover", "skipped", "no gateway runs", {"containers": []}),
    ("gateway", "failed", "no answer on u: x", {"gateway__answers": False, "gateway__why": "x"}),
    ("gateway", "failed", "ollama (gone)", {"gateway__components__ollama": {"status": "down", "reason": "gone"}}),
    ("transcription", "failed", "50 % of the words", {"transcription__match": 0.5}),
    ("transcription", "failed", "no", {"transcription__why": "no"}),
    ("completion", "failed", "no", {"completion__why": "no"}),
    ("keys", "failed", "answered 200", {"keyless__status": 200}),
    ("driver-held", "warning", "libnvidia-*", {"unattended__blacklist": ["nvidia-.*x"]}),
    ("driver-held", "warning", "nvidia-* and libnvidia-*", {"unattended__blacklist": []}),
    ("driver-held", "skipped", "no NVIDIA driver", {"nvidia__packages": []}),
    ("reboot", "warning", "wait for a reboot", {"reboot_required": True}),
    ("backup", "warning", "none was made yet", {"backup__configured": False}),
    ("backup", "failed", "failed at", {"backup__ok": False}),
    ("backup", "warning", "3.0 days ago", {"backup__age_s": 3 * 86_400.0}),
    ("backup", "failed", "9.0 days ago", {"backup__age_s": 9 * 86_400.0}),
    ("backup", "warning", "in the future", {"backup__age_s": -7200.0, "backup__time": "2036-01-01T00:00:00Z"}),
    ("backup", "ok", "6.0 days ago", {"backup__age_s": 6 * 86_400.0, "backup__next": "x", "backup__late_s": -86_400.0}),
    ("backup", "warning", "9.0 days ago", {"backup__age_s": 9 * 86_400.0, "backup__next": "x", "backup__late_s": 2 * 86_400.0}),
    ("backup", "failed", "16.0 days ago", {"backup__age_s": 16 * 86_400.0, "backup__next": "x", "backup__late_s": 9 * 86_400.0}),
    ("backup-proven", "ok", "the one of 2026-11-21", {"backup__proven_made": "2026-11-21T20:30:00Z"}),
    ("backup-proven", "warning", "no backup of this host was ever opened", {"backup__proven": ""}),
    ("backup-proven", "warning", "restored 100.0 days ago", {"backup__proven_age_s": 100 * 86_400.0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "state", "words", "changes"), BAD, ids=[f"{row[0]}: {row[2]}" for row in BAD])
def test_what_is_wrong_is_said(name: str, state: str, words: str, changes: dict[str, Any]) -> None:
    found = judge(name, **changes)
    assert found.state == state, found
    assert words in found.seen, found
    assert bool(found.mend) == (state in ("failed", "warning") or found.seen.startswith("nothing is deployed")), found
    assert {fix.hand for fix in found.fixes} <= HANDS


def test_every_check_has_a_bad_row() -> None:
    assert {row[0] for row in BAD} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_what_cannot_be_seen_is_skipped_with_the_reason(name: str) -> None:
    found = CHECKS[name](Seen.of({}))
    assert found.state == "skipped"
    assert found.seen


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("garbage", [None, [], {}, "x", [None], [{}], {"a": None}, 7])
def test_garbage_costs_one_check_and_not_the_doctor(name: str, garbage: object) -> None:
    found = CHECKS[name](Seen(lambda _: garbage))
    assert found.state in ("ok", "warning", "failed", "skipped")
    assert found.seen


def test_a_check_stands_in_a_known_group_and_tells_what_it_means() -> None:
    for check in CHECKS.values():
        assert check.group in GROUPS
        first = check.meaning.splitlines()[0]
        assert first.endswith(("?", "?.")) or "?" in check.meaning, f"{check.name} asks no question"
        assert len(check.meaning) > 80, f"{check.name} has no manual"


def test_exit_codes_are_those_of_ai() -> None:
    assert EXIT_CODES == {"ok": OK, "skipped": OK, "warning": WARNED, "failed": FAILED}
    assert NOTHING_DEPLOYED == NOT_RUNNING
    assert WARNED in MEANINGS


def test_every_xid_says_what_to_do() -> None:
    assert len(XIDS) >= 25
    for code, known in XIDS.items():
        assert known.meaning[0].islower(), code
        assert known.todo.endswith("."), code
    assert explain(79).grave
    assert not explain(13).grave
    assert explain(12345).grave
