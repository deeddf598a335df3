"""A backed-up host whose machine is lost comes back with the same keys, certificate and settings (S0.7, B.2, issue 6).

One host: told to keep backups, lost with its disk, made anew, restored, restored once more while it serves. What a
restore has laid out goes without a trace when test_destroy.py comes to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ai_services.backup import sealing
from host.lab import canaries, engine, hosts, internet
from host.lab.deployment import Outcome
from host.lab.place import Lab
from host.story import TIMINGS, Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("B.2"), pytest.mark.timeout(1800)]

OWN = "/opt/ai/backup/own.json"
# Where a secret may lie on a host: in files of root alone.
SAFES = ("/opt/ai/secrets/", "/etc/letsencrypt/cloudflare.ini")


@dataclass
class Kept:
    """A host's backups: its operator's own, and what was known of the host when it was made."""

    host: Deployed
    identity: Path
    archive: Path = Path()
    facts: dict[str, str] = field(default_factory=dict)
    bucket: str = ""

    def ai(self, what: str, verb: str, *words: str) -> Outcome:
        """`./ai VERB HOST WORDS`, while every process is watched for secrets; kept and timed as `what`."""
        name, *login = self.host.operator.target()
        with canaries.watching_processes(self.host.secrets) as findings:
            outcome = self.host.operator.ai(verb, name, *words, *login)
        self.host.leaked[what] = findings
        TIMINGS.append((f"backup: {what}", outcome.seconds))
        self.host.outcomes[what] = outcome
        return outcome

    def restore(self, what: str, archive: Path, *words: str) -> Outcome:
        """`./ai restore HOST ARCHIVE`, with the operator's identity."""
        return self.ai(what, "restore", str(archive), "--identity", str(self.identity), *words)

    def on_host(self, script: str, stdin: str | None = None) -> str:
        """What a shell says there, as root."""
        return engine.run_in(self.host.container, ["sh", "-c", script], stdin=stdin)

    def known(self) -> dict[str, str]:
        """What must be the same afterwards."""
        live = f"/etc/letsencrypt/live/{self.host.operator.domain}"
        sums = f"cd /opt/ai/secrets && find . -type f | sort | xargs sha256sum; sha256sum {live}/*.pem"
        settings = json.loads(self.on_host("cat /opt/ai/current/release.json"))["settings"]
        return {
            "serial": self.on_host(f"openssl x509 -in {live}/cert.pem -noout -serial"),
            "sums": self.on_host(sums),
            "accounts": self.on_host("cd /etc/letsencrypt && find accounts -name '*.json' | sort | xargs sha256sum"),
            "settings": json.dumps({name: value for name, value in settings.items() if not name.endswith("_file")}),
            "models": self.on_host("docker exec ollama ollama list | awk '{print $1, $2}'"),
        }


@pytest.fixture(scope="module")
def kept(deployed_host: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """The host, with a service of its owner's beside ours, and one backup of it."""
    folder = tmp_path_factory.mktemp("backup")
    text, public = sealing.new_identity()
    identity = folder / "identity.txt"
    identity.touch(mode=0o600)
    identity.write_text(text)
    host = deployed_host
    host.operator.prepare(**host.operator.settings, ai_backup_recipients=[public], ai_backup_keep=2)
    outcome = host.deploy("deploy with backups")
    assert outcome.status == 0, outcome.text[-6000:]
    found = Kept(host, identity)
    _service_of_its_owner(found, "rows of the first host")
    found.facts = found.known()
    outcome = found.ai("backup", "backup", "--json", "--config", str(host.operator.config))
    assert outcome.status == 0, outcome.text
    found.archive = Path(json.loads(outcome.text[outcome.text.index("{") :])["archive"])
    yield found
    found.on_host("docker rm -f made-up")
    host.operator.prepare(**host.operator.settings)


def _service_of_its_owner(kept: Kept, rows: str) -> None:
    """A container whose database is a file, declared as the page says."""
    declared = {"name": "rows", "container": "made-up", "save": ["cat", "/tmp/rows"], "restore": ["tee", "/tmp/rows"]}
    kept.on_host(
        "docker run -d --name made-up --entrypoint sleep $(docker inspect -f '{{.Image}}' ollama) 100000 && "
        "docker exec -i made-up tee /tmp/rows",
        rows,
    )
    kept.on_host(f"cat >{OWN}", json.dumps({"made-up": {"dumps": [declared]}}))


def test_an_archive_is_for_its_owner_and_holds_nothing_in_the_clear(kept: Kept) -> None:
    assert kept.archive.stat().st_mode & 0o777 == 0o600
    assert kept.archive.parent == kept.host.operator.home / "backups"
    raw = kept.archive.read_bytes()
    for name, value in {**kept.host.secrets, "rows": "rows of the first host"}.items():
        assert not [shape for shape in canaries.shapes(value) if shape in raw], name
    assert [path.name for path in kept.archive.parent.iterdir()] == [kept.archive.name]


def test_the_doctor_knows_of_it_and_that_nobody_opened_it_yet(kept: Kept) -> None:
    rows = _doctor(kept)
    assert rows["backup"]["state"] == "ok"
    assert rows["backup-proven"]["state"] == "warning"
    assert "was ever opened" in rows["backup-proven"]["seen"]


def test_the_timer_makes_one_on_the_host_that_the_program_age_opens(kept: Kept) -> None:
    kept.on_host("systemctl start ai-backup.service")
    listed = kept.on_host("systemctl show ai-backup.timer --property=NextElapseUSecRealtime --value")
    assert listed.strip(), "the timer does not come round"
    opened = engine.run_in(
        kept.host.container,
        ["bash", "-c", "set -o pipefail; age --decrypt -i /dev/stdin /var/backups/ai-services/*.age | tar -tf -"],
        stdin=kept.identity.read_text(),
    )
    names = opened.splitlines()
    assert (names[0], names[-1]) == ("manifest.json", "index.json")
    assert {"files/secrets/api.key", "streams/made-up/rows/000001"} < set(names)
    assert _doctor(kept)["backup"]["state"] == "ok"


def test_a_backup_that_fails_is_seen(kept: Kept) -> None:
    """Here: a service that has something to save does not run."""
    kept.on_host("docker stop --time 1 made-up")
    assert "failed" in kept.on_host("systemctl start ai-backup.service 2>&1 || systemctl is-failed ai-backup.service")
    outcome = kept.ai("backup of a service that stands still", "backup")
    assert outcome.status == 1
    assert "container made-up is exited" in outcome.text
    assert "container made-up is exited" in _doctor(kept)["backup"]["seen"]
    kept.on_host("docker start made-up && systemctl start ai-backup.service")
    assert _doctor(kept)["backup"]["state"] == "ok"


def test_one_that_is_killed_is_seen_as_well(kept: Kept) -> None:
    """It cannot note that itself; it waits here, as somebody changes the host, so that it is killed in the middle."""
    kept.on_host(
        "setsid flock /run/ai-services/lock sleep 10 >/dev/null 2>&1 &\n"
        "until ! flock --nonblock /run/ai-services/lock true; do sleep 0.1; done\n"
        "systemctl start --no-block ai-backup.service\n"
        'until [ "$(systemctl show --property=MainPID --value ai-backup.service)" != 0 ]; do sleep 0.1; done\n'
        "systemctl kill --kill-whom=main --signal=KILL ai-backup.service\n"
        "until systemctl is-failed --quiet ai-backup.service; do sleep 0.1; done"
    )
    assert "ended by KILL" in _doctor(kept)["backup"]["seen"]
    kept.on_host("systemctl start ai-backup.service")
    assert _doctor(kept)["backup"]["state"] == "ok"


def test_verifying_proves_it_and_the_doctor_knows(kept: Kept) -> None:
    outcome = kept.restore("verify", kept.archive, "--verify")
    assert outcome.status == 0, outcome.text
    assert "The archive is whole, and could be restored" in outcome.text
    assert _doctor(kept)["backup-proven"]["state"] == "ok"


@pytest.mark.parametrize("how", ["cut off", "one byte", "foreign", "nothing", "another key"])
def test_a_bad_archive_is_refused_and_the_host_not_touched(how: str, kept: Kept, tmp_path: Path) -> None:
    whole = kept.archive.read_bytes()
    bad = tmp_path / "bad.age"
    middle = len(whole) // 2
    bad.write_bytes(
        {
            "cut off": whole[:-200],
            "one byte": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "foreign": b"PK\3\4" + whole,
            "nothing": b"",
        }.get(how, whole)
    )
    identity = kept.identity
    if how == "another key":
        identity = tmp_path / "other.txt"
        identity.touch(mode=0o600)
        identity.write_text(sealing.new_identity()[0])
    journal = "stat -c '%Y %s' /opt/ai/backup.json /opt/ai/journal.jsonl; ls /var/lib/ai-services; last -w | head -3"
    before = kept.on_host(journal)
    outcome = kept.ai(f"restore: {how}", "restore", str(bad), "--identity", str(identity), "--yes")
    assert outcome.status in (2, 5), outcome.text
    assert re.search(r"damaged|no backup of ai-services|None of the given identities", outcome.text), outcome.text
    assert kept.on_host(journal) == before


def test_a_fresh_machine_becomes_the_same_host(kept: Kept) -> None:
    """The machine is lost with its disk; another one has its name and nothing else of it."""
    host = kept.host
    name = host.operator.host
    hosts.remove(host.lab, name)
    hosts.start(host.lab, name, suite=host.suite)
    host.operator.prepare(**host.operator.settings)
    host.look("bare")
    host.operator.config.unlink()  # nothing but the archive and the key
    outcome = kept.restore("restore onto a fresh machine", kept.archive, "--yes")
    assert outcome.status == 0, outcome.text[-6000:]
    assert "serves nothing of ours" in outcome.text
    assert "Keys, certificates and settings are those of the archive" in outcome.text
    assert "made-up/rows is in the archive, and no service of this version knows it" in outcome.text
    assert kept.known() == kept.facts
    assert json.loads(host.curl("/v1/models").text)["data"]
    assert _doctor(kept)["backup-proven"]["seen"].startswith("restored")


def test_nothing_secret_lies_about_after_it(kept: Kept) -> None:
    host = kept.host
    assert {what: found for what, found in host.leaked.items() if found} == {}
    for what, outcome in host.outcomes.items():
        assert canaries.in_text(host.secrets, outcome.text) == [], f"in the output of: {what}"
    for log in host.operator.home.rglob("*.log"):
        assert canaries.in_text(host.secrets, log.read_text(errors="replace")) == [], f"in {log}"
    found = canaries.on_host(
        host.container, host.secrets, "/etc", "/opt", "/home", "/root", "/var/lib/ai-services", "/tmp"
    )
    for name, paths in found.items():
        assert paths, f"{name} was not found where it must be: the search is broken"
        assert [path for path in paths if not path.startswith(SAFES)] == [], f"{name} lies about"


@pytest.mark.long
def test_a_host_that_serves_is_backed_up_first_and_services_get_their_data(kept: Kept, store: dict[str, str]) -> None:
    _service_of_its_owner(kept, "rows of a later day")
    before = set(kept.archive.parent.iterdir())
    credentials = kept.host.operator.folder / "s3"
    credentials.touch(mode=0o600)
    credentials.write_text(
        "[default]\naws_access_key_id = key\naws_secret_access_key = secret\nregion = eu-central-1\n"
    )
    outcome = kept.restore(
        "restore onto a host that serves", kept.archive, "--yes", "--set", f"ai_backup_to=s3://{store['bucket']}/lab",
        "--set", f"ai_backup_s3_endpoint={store['url']}", "--set", f"ai_backup_s3_credentials_file={credentials}",
    )  # fmt: skip
    assert outcome.status == 0, outcome.text[-6000:]
    assert "serves ai-" in outcome.text
    assert len(set(kept.archive.parent.iterdir()) - before) == 1, "it was not backed up first"
    assert kept.on_host("docker exec made-up cat /tmp/rows") == "rows of the first host"


@pytest.mark.long
def test_the_timer_sends_to_a_bucket_when_told(kept: Kept, store: dict[str, str], s3: Any) -> None:
    kept.on_host("systemctl start ai-backup.service")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=store["bucket"])["Contents"]]
    assert len(keys) == 1
    assert re.fullmatch(rf"lab/ai-backup_{kept.host.operator.host}_\d{{8}}T\d{{6}}Z_[0-9a-f]{{16}}\.age", keys[0])


@pytest.fixture(scope="module")
def s3(lab: Lab, kept: Kept) -> Iterator[Any]:
    """A client of a store that hosts reach at this machine's address in the lab; moto stands in for Amazon's."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=str(next(internet.network_of(lab).hosts())), port=0, verbose=False)
    server.start()
    address, port = server.get_host_and_port()
    client = boto3.client(
        "s3", endpoint_url=f"http://{address}:{port}", region_name="eu-central-1", aws_access_key_id="key",
        aws_secret_access_key="secret",
    )  # fmt: skip
    client.create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield client
    server.stop()


@pytest.fixture(scope="module")
def store(s3: Any) -> dict[str, str]:
    return {"bucket": "backups", "url": s3.meta.endpoint_url}


def _doctor(kept: Kept) -> dict[str, dict[str, Any]]:
    said = engine.run_in(
        kept.host.container,
        ["/opt/ai/bin/doctor", "--json", "--only", "backup", "--only", "backup-proven"],
        check=False,
    )
    return {row["name"]: row for row in json.loads(said)["checks"]}
