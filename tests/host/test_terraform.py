"""S0.4, S0.5: one `terraform apply` ends in a host that transcribes over HTTPS; `./ai provision` sees the same machine.

existing_host, with the real Terraform, the record by the Cloudflare stand-in, the certificate from Pebble. With
AI_TRANSCRIPT=docs/terraform.md what was printed is written there, between its two marks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import pytest
from support import audio, speech

from host import story
from host.lab import canaries, engine, hosts, internet, names
from host.lab.configuration import ZONE_ID
from host.lab.deployment import Outcome
from host.lab.place import DOMAIN, INTERNET_NUMBER, REPOSITORY, Lab, address
from host.story import Deployed

pytestmark = [
    pytest.mark.host,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed"),
]

NAME = "tf13"
# `./ai` with another root module than the checkout's own, whose state belongs to whoever works here.
DRIVER = """
import functools, sys
from pathlib import Path
from ai_services.verbs import provision
provision.Workspace = functools.partial(provision.Workspace, source=Path(sys.argv.pop(1)))
from ai_services.cli import main
main()
"""
# Records that a run left which was ended in its middle.
CLEAR = """
import json, os, pathlib, urllib.request as web
token = pathlib.Path(os.environ["TOKEN_FILE"]).read_text().strip()
top = "https://api.cloudflare.com/client/v4/zones/" + os.environ["ZONE"] + "/dns_records"
def ask(method, path):
    return json.load(web.urlopen(web.Request(top + path, method=method, headers={"Authorization": "Bearer " + token})))
for record in ask("GET", "?name=" + os.environ["NAME"])["result"]:
    ask("DELETE", "/" + record["id"])
"""
MARKS = ("<!-- transcript: begin, made by tests/host/test_terraform.py -->", "<!-- transcript: end -->")
WAITING = re.compile(r": Still (?:creating|destroying)\.\.\.|^(?:.*\(local-exec\):)? +… |Executing: |output suppressed")
UNMARKED = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Made:
    """A host and its name, made by Terraform, and everything that was printed on the way."""

    host: Deployed
    module: Path
    environment: dict[str, str]
    said: dict[str, Outcome] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return self.host.operator.domain

    @property
    def records(self) -> list[str]:
        """What the lab's DNS server says of the domain."""
        server = address(internet.network_of(self.host.lab), INTERNET_NUMBER)
        answer = dns.query.udp(dns.message.make_query(self.domain, "A"), server, timeout=10)
        return [str(item) for found in answer.answer for item in found if item.rdtype == dns.rdatatype.A]

    def terraform(self, *words: str) -> Outcome:
        """`terraform WORDS`, as a person calls it in terraform/."""
        return self._keep("terraform", words, "terraform", f"-chdir={self.module}", *words)

    def provision(self, *words: str) -> Outcome:
        """`./ai provision WORDS`."""
        driver = (sys.executable, "-c", DRIVER, str(self.module), "provision")
        return self._keep("./ai provision", words, *driver, *words)

    def _keep(self, shown: str, words: tuple[str, ...], *command: str) -> Outcome:
        with canaries.watching_processes(self.host.secrets) as findings:
            outcome = self.host.operator.run(*command, environment=self.environment)
        shown = " ".join((shown, *words))
        self.host.leaked[shown] = findings
        self.said[shown] = outcome
        return self.host.keep(shown, outcome)


@pytest.fixture(scope="module")
def made(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A bare Debian 13, `terraform init` and one `terraform apply`."""
    from terraform import mirror

    top = tmp_path_factory.mktemp("terraform")
    host = story.begin(lab, NAME, "trixie", top / "operator")
    operator = host.operator
    # The name is Terraform's to make.
    server = address(internet.network_of(lab), INTERNET_NUMBER)
    names.point(lab, server, operator.domain.removesuffix(f".{DOMAIN}"), None)
    module = _checkout(top)
    values = operator.settings | {
        "ai_machine": "existing_host",
        "ai_dns": "cloudflare_record",
        "ai_address": hosts.address_of(lab, NAME),
        "ai_ssh_user": hosts.USER,
        "ai_ssh_key_file": str(lab.ssh_key),
        "ai_host_key": operator.target()[-1],
        "ai_cloudflare_zone": DOMAIN,
    }
    values.pop("ai_domain")
    (module / "terraform.tfvars.json").write_text(json.dumps(values, indent=1))
    environment = {
        "TF_VAR_ai_domain": operator.domain,
        "TF_CLI_CONFIG_FILE": str(mirror.make(top / "providers")),
        "SSL_CERT_FILE": str(lab.trusted),
    }
    known = {"ZONE": ZONE_ID, "NAME": operator.domain, "TOKEN_FILE": str(lab.secrets / "cloudflare_token")}
    cleared = operator.run(sys.executable, "-c", CLEAR, environment=environment | known)
    assert cleared.status == 0, cleared.text
    whole = Made(host, module, environment)
    assert whole.terraform("init", "-input=false", "-no-color").status == 0, whole.said
    outcome = whole.terraform("apply", "-auto-approve", "-input=false", "-no-color")
    assert outcome.status == 0, outcome.text[-6000:]
    yield whole
    if target := os.environ.get("AI_TRANSCRIPT"):
        _write_transcript(REPOSITORY / target, whole)


@pytest.mark.promise("S0.4")
def test_one_terraform_apply_ends_in_a_transcription_over_https(made: Made, tmp_path: Path) -> None:
    """The record is made, the certificate is for it, a recording becomes text; nobody without a key gets in."""
    own = hosts.address_of(made.host.lab, NAME)
    assert made.records == [own]
    said = speech.say_sentences(1)
    recording = audio.write(tmp_path / "audio.wav", said.pcm, said.rate)
    outcome = made.host.curl("/transcribe", "-X", "POST", "-F", f"file=@{recording}")
    made.said[f"curl https://{made.domain}/transcribe -H 'Authorization: Bearer …' -F file=@audio.wav"] = outcome
    heard = json.loads(outcome.text)
    assert speech.word_error_rate(said.text, heard["text"]) < 0.3, (said.text, heard)
    answer = made.host.operator.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(made.host.lab.trusted),
        f"https://{made.domain}/v1/models",
    )  # fmt: skip
    assert answer.text == "401"


@pytest.mark.promise("S0.5")
def test_the_outputs_say_where_it_is_how_to_log_in_and_where_the_key_is(made: Made) -> None:
    printed = made.host.operator.run(
        "terraform", f"-chdir={made.module}", "output", "-json", environment=made.environment
    )
    (host,) = json.loads(printed.text)["ai_hosts"]["value"].values()
    assert host["url"] == f"https://{made.domain}"
    assert host["address"] == hosts.address_of(made.host.lab, NAME)
    assert f"{hosts.USER}@{host['address']}" in host["ssh"]
    key = engine.run_in(made.host.container, ["cat", host["key"]])
    assert made.host.key in key


@pytest.mark.promise("S0.4")
def test_there_is_nothing_left_to_do_by_either_door(made: Made) -> None:
    again = made.terraform("plan", "-detailed-exitcode", "-input=false", "-no-color")
    assert again.status == 0, again.text
    told = made.provision()
    assert told.status == 0, told.text
    assert "Nothing had to be changed" in told.text
    for line in (f"URL      https://{made.domain}", "Log in   ssh ", "API key  /opt/ai/secrets/api.key"):
        assert line in told.text


@pytest.mark.promise("S0.12")
def test_no_secret_is_in_state_plan_logs_or_the_list_of_processes(made: Made) -> None:
    known = made.host.secrets
    planned = made.terraform("plan", "-out=kept.plan", "-input=false", "-no-color")
    assert planned.status == 0, planned.text
    shown = made.host.operator.run(
        "terraform", f"-chdir={made.module}", "show", "-json", "kept.plan", environment=made.environment
    )
    assert canaries.in_text(known, shown.text) == [], "in the plan"
    files = [path for top in (made.module, made.host.operator.home) for path in top.rglob("*") if path.is_file()]
    assert any(path.name == "terraform.tfstate" for path in files)
    for path in files:
        assert canaries.in_text(known, path.read_text(errors="replace")) == [], path
    for what, outcome in made.said.items():
        assert canaries.in_text(known, outcome.text) == [], f"in the output of: {what}"
    assert {what: found for what, found in made.host.leaked.items() if found} == {}


@pytest.mark.promise("S0.5")
def test_destroying_shows_what_goes_takes_the_name_away_and_leaves_the_machine(made: Made) -> None:
    outcome = made.provision("--destroy", "--yes")
    assert outcome.status == 0, outcome.text
    before, _, after = outcome.text.partition("This is destroyed:")
    assert "and this stays:" in before
    assert f"DNS record {made.domain} → {hosts.address_of(made.host.lab, NAME)}" in after
    assert made.records == []
    assert json.loads((made.module / "terraform.tfstate").read_text())["resources"] == []
    with socket.create_connection((hosts.address_of(made.host.lab, NAME), 22), timeout=10):
        pass
    listening = engine.run_in(made.host.container, ["ss", "-Hlnt"])
    assert {line.split()[3].rpartition(":")[2] for line in listening.splitlines()} & {"80", "443", "8080"} == set()


def _checkout(top: Path) -> Path:
    """A checkout whose terraform/ is its own; everything else is this one's."""
    checkout = top / "checkout"
    checkout.mkdir()
    for entry in REPOSITORY.iterdir():
        if entry.name != "terraform" and not entry.name.startswith("."):
            (checkout / entry.name).symlink_to(entry)
    ignore = shutil.ignore_patterns(".terraform", ".hosts", "*.tfstate*", "*.tfvars*", "*.tf.json")
    module = checkout / "terraform"
    shutil.copytree(REPOSITORY / "terraform", module, symlinks=True, ignore=ignore)
    # By hand a kind is switched on by links to its files; only the record's provider is needed here.
    for kind in (path for path in (module / "kinds").iterdir() if path.is_dir()):
        for file in kind.glob("*.tf"):
            (module / file.name).unlink(missing_ok=True)
            if kind.name == "cloudflare_record":
                (module / file.name).symlink_to(f"kinds/{kind.name}/{file.name}")
    return module


def _write_transcript(target: Path, made: Made) -> None:
    """Put what was printed into the document, without what only says that something goes on."""
    blocks: list[str] = []
    for shown, outcome in made.said.items():
        if shown.startswith("terraform plan"):
            continue
        text = outcome.text
        if shown.startswith("terraform apply"):
            head, _, rest = text.partition("Terraform used the selected providers")
            told = f"[the plan as Terraform shows it: {rest.count(chr(10))} lines]"
            text = "\n".join((head, told, rest[rest.find("Plan: ") :]))
        for path, name in (
            (made.host.operator.home, "~/.local/share/ai-services"),
            (made.host.lab.ssh_key, "~/.ssh/id_ed25519"),
        ):
            text = text.replace(str(path), name)
        blocks.append("\n".join([f"$ {shown}", *told_lines(text)]))
    begin, end = MARKS
    document = target.read_text(encoding="utf-8")
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    body = "\n\n".join(blocks)
    target.write_text(f"{before}{begin}\n\n```text\n{body}\n```\n\n{end}{after}", encoding="utf-8")


def told_lines(text: str) -> Iterator[str]:
    """What is left of an output without colours, empty lines, waiting, and Terraform's general advice."""
    advice = False
    for line in UNMARKED.sub("", text).splitlines():
        advice = advice or line.startswith(("Terraform has created a lock file", "You may now begin"))
        if line.startswith("Terraform has been successfully"):
            advice = False
        if line.strip() and not advice and not WAITING.search(line):
            yield line.rstrip()
