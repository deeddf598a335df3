"""The role's own tools: files that change together or not at all, and eyes for the sites of others (S0.6)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from front import door as doors
from front import render

needs_nginx = pytest.mark.skipif(not doors.NGINX, reason=doors.NO_NGINX)


def loaded(path: str) -> ModuleType:
    """A file of the role as a module; scripts end with a call of main(), which is left out."""
    source = (render.ROLE / path).read_text().removesuffix("\n\nmain()\n")
    spec = importlib.util.spec_from_loader(Path(path).stem, loader=None)
    assert spec
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, path, "exec"), module.__dict__)
    return module


def nginx_files(check: bool = False, **arguments: Any) -> dict[str, Any]:
    """The module's result, run by Ansible as the role runs it."""
    command = [
        str(Path(sys.executable).with_name("ansible")), "localhost", "--connection", "local",
        "--module-name", "nginx_files",
        "--args", json.dumps(arguments), "--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable}),
        "--diff", *(["--check"] if check else []),
    ]  # fmt: skip
    environment = {
        **os.environ,
        "ANSIBLE_LIBRARY": str(render.ROLE / "library"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    told: dict[str, Any] = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]["localhost"]
    return told


@pytest.fixture
def site(tmp_path: Path) -> dict[str, Any]:
    """A small nginx of its own: a configuration that includes one folder, and the command that tests it."""
    (tmp_path / "enabled").mkdir()
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; include {tmp_path}/enabled/*; }}\n"
    )
    old = tmp_path / "enabled/old"
    old.write_text("server { listen 18081; }\n")
    return {"folder": tmp_path, "old": old, "test": [doors.NGINX, "-t", "-q", "-c", str(conf)]}


@needs_nginx
@pytest.mark.long
def test_files_change_together_and_a_second_time_not_at_all(site: dict[str, Any]) -> None:
    folder: Path = site["folder"]
    change: dict[str, Any] = {
        "files": {str(folder / "ours.conf"): "server { listen 18082; }\n"},
        "once": {str(folder / "once.conf"): "first\n"},
        "links": {str(folder / "enabled/ours"): str(folder / "ours.conf")},
        "absent": [str(site["old"])],
        "test": site["test"],
    }
    foretold = nginx_files(check=True, **change)
    assert foretold["changed"]
    assert not (folder / "ours.conf").exists()
    done = nginx_files(**change)
    assert (done["changed"], sorted(done["paths"])) == (True, sorted(foretold["paths"]))
    assert [each["after_header"] for each in done["diff"]] == done["paths"]
    assert (folder / "enabled/ours").resolve() == folder / "ours.conf"
    assert not site["old"].exists()
    (folder / "once.conf").write_text("switched since\n")
    assert nginx_files(**change)["changed"] is False
    assert (folder / "once.conf").read_text() == "switched since\n"


@needs_nginx
@pytest.mark.long
def test_what_nginx_refuses_is_taken_back(site: dict[str, Any]) -> None:
    """Files, links and what was deleted: all is as before, and the message has nginx's reason."""
    folder: Path = site["folder"]
    (folder / "ours.conf").write_text("server { listen 18082; }\n")
    (folder / "enabled/ours").symlink_to("../ours.conf")
    failed = nginx_files(
        files={str(folder / "ours.conf"): "server { listen nowhere; }\n", str(folder / "new.conf"): "x"},
        links={str(folder / "enabled/ours"): str(folder / "ours.conf")},
        absent=[str(site["old"])],
        test=site["test"],
    )
    assert "host not found" in failed["msg"]
    assert "the old one is back" in failed["msg"]
    assert (folder / "ours.conf").read_text() == "server { listen 18082; }\n"
    assert (folder / "enabled/ours").readlink() == Path("../ours.conf")
    assert site["old"].exists()
    assert not (folder / "new.conf").exists()
    assert not list(folder.rglob(".*"))
    subprocess.run(site["test"], check=True)


def test_a_disk_that_takes_half_of_the_files_is_left_as_it_was(tmp_path: Path) -> None:
    """An nginx that boots with half of a new configuration does not start: the host would serve neither old nor new."""
    site, owed = tmp_path / "site", tmp_path / "owed"
    site.write_text("of before\n")
    # What cannot be written comes second, as where the disk is full by then.
    ask = {"files": {str(site): "new\n", str(tmp_path / "away" / "part"): "new\n"}, "owed": str(owed)}
    (tmp_path / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**ask, "test": ["true"]}}))
    command = [sys.executable, str(render.ROLE / "library/nginx_files.py"), str(tmp_path / "arguments.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "nothing was changed" in json.loads(done.stdout)["msg"]
    assert site.read_text() == "of before\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arguments.json", "site"]


@needs_nginx
@pytest.mark.long
def test_a_reload_that_a_killed_run_owed_is_not_forgotten(site: dict[str, Any]) -> None:
    """Killed between files and reload: the next run finds the files right, and nginx works by those of before."""
    folder: Path = site["folder"]
    owed = folder / "run" / "nginx-reload"
    change: dict[str, Any] = {
        "files": {str(folder / "enabled/ours"): "server { listen 18082; }\n"}, "test": site["test"], "owed": str(owed),
    }  # fmt: skip
    assert nginx_files(**change)["changed"]
    assert owed.exists()
    again = nginx_files(**change)
    assert (again["changed"], again["paths"]) == (True, [])
    owed.unlink()
    assert nginx_files(**change)["changed"] is False
    assert not owed.exists()
    refused = nginx_files(**{**change, "files": {str(folder / "enabled/ours"): "server { listen nowhere; }\n"}})
    assert "the old one is back" in refused["msg"]
    assert not owed.exists(), "nothing was changed"


@needs_nginx
@pytest.mark.long
def test_a_site_of_others_gives_way_by_a_rename_in_the_same_change_or_not_at_all(site: dict[str, Any]) -> None:
    """Both listen as the default of one port, so that nginx accepts either, and never both."""
    folder, old = site["folder"], site["old"]
    old.write_text("server { listen 18081 default_server; }\n")
    before = old.stat()
    change: dict[str, Any] = {"files": {str(folder / "enabled/ours"): "server { listen 18081 default_server; }\n"}}
    refused: dict[str, Any] = {"files": {str(folder / "enabled/ours"): "server { listen nowhere; }\n"}}
    assert "the old one is back" in nginx_files(**refused, aside=[str(old)], test=site["test"])["msg"]
    assert (old.stat().st_mtime_ns, old.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    done = nginx_files(**change, aside=[str(old)], test=site["test"])
    assert done["changed"]
    waiting = old.with_name(f".{old.name}.ai-services")
    assert (waiting.stat().st_mtime_ns, waiting.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert nginx_files(**change, aside=[str(old)], test=site["test"])["changed"] is False


DUMP = """\
# configuration file /etc/nginx/nginx.conf:
http { include /etc/nginx/sites-enabled/*; }

# configuration file /etc/nginx/sites-enabled/default:
server {
    listen 80 default_server;
    listen [::]:80 default_server;
}

# configuration file /etc/nginx/sites-enabled/wiki:
server {
    listen 443 ssl;
    listen [::]:443 ssl;
    listen 127.0.0.1;
    listen unix:/run/wiki.sock;
    # listen 8443;
    listen 10.0.0.1:8080;
}

# configuration file /etc/nginx/sites-enabled/zz-ai-services.conf:
server { listen 443 ssl default_server; }
"""


def test_sites_of_others_are_seen() -> None:
    listeners = loaded("files/sites.py").listeners
    wiki = "/etc/nginx/sites-enabled/wiki"
    assert listeners(DUMP, skip_default=True) == {"443": [wiki], "80": [wiki], "8080": [wiki]}
    changed = listeners(DUMP, skip_default=False)
    assert changed["80"] == ["/etc/nginx/sites-enabled/default", wiki]


def test_sites_of_others_are_seen_though_nginx_does_not_accept_ours(tmp_path: Path) -> None:
    """A power loss left half of ours, and `nginx -T` shows nothing: we would answer for their unknown names."""
    for name in ("conf.d", "sites-enabled"):
        (tmp_path / name).mkdir()
    (tmp_path / "nginx.conf").write_text("http {}\n")
    (tmp_path / "conf.d/wiki.conf").write_text("server { listen 80; listen [::]:80; } # listen 84;\n")
    (tmp_path / "conf.d/wiki.off").write_text("listen 82;\n")
    (tmp_path / "wiki").write_text("server {\n    listen 443 ssl;\n}\n")
    (tmp_path / "sites-enabled/wiki").symlink_to(tmp_path / "wiki")
    (tmp_path / "sites-enabled/gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "sites-enabled/.old.ai-services").write_text("listen 83;\n")
    sites = loaded("files/sites.py")
    assert sites.listeners(sites.unaccepted(tmp_path), skip_default=True) == {
        "443": [str(tmp_path / "sites-enabled/wiki")],
        "80": [str(tmp_path / "conf.d/wiki.conf")],
    }
