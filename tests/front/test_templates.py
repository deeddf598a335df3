"""The nginx templates for every supported release and option: accepted by nginx, clean for the analyser, complete."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from front import render
from front.certificates import signed, write
from gateway.routing import TABLE, Body, Patience, Route
from service_kit.errors import error_response, from_http_status

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""
needs_nginx = pytest.mark.skipif(not NGINX, reason="no nginx here: Debian's and Ubuntu's package `nginx` brings one")
REFUSED_TOGETHER = ("http2 on;", "ssl_reject_handshake on;", "X25519MLKEM768")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """nginx.conf of every release and option."""
    return render.every(tmp_path_factory.mktemp("trees"))


def site(conf: Path) -> str:
    return (conf.parent / "site.conf").read_text()


@needs_nginx
def test_this_nginx_accepts_every_option(tmp_path: Path) -> None:
    """Each option is rendered for the nginx that is here, as the role would on a host with it."""
    features = render.filters().nginx_features(render.version_text(NGINX))
    leaf = signed("x", names=("ai.lab.test",))
    for name, options in render.OPTIONS.items():
        ports = {"nginx_http_port": 18080, "nginx_https_port": 18443}
        conf = render.tree(tmp_path / name, features, **{**ports, **options})
        write(conf.parent, "own", (leaf,))
        write(conf.parent, "nobody", (leaf,))
        tested = subprocess.run([NGINX, "-t", "-c", str(conf)], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, f"{name}: {tested.stderr}"
        assert "[warn]" not in tested.stderr, f"{name}: {tested.stderr}"


def test_the_analyser_finds_nothing(trees: list[Path]) -> None:
    """gixy, with all its checks, over every tree."""
    gixy = Path(sys.executable).with_name("gixy")
    asked = subprocess.run(
        [str(gixy), "--format", "json", *map(str, trees)], capture_output=True, text=True, check=False
    )
    found = json.loads(asked.stdout or "[]")
    assert asked.returncode in {0, 1}, asked.stderr
    # It cannot know that a tree is for an OpenSSL that has the group, which is all that it warns of.
    known = [each for each in found if each["plugin"] == "ssl_ecdh_curve" and "/debian-13/" in each["file"]]
    # Beside other sites the default server is in a file of theirs.
    known += [each for each in found if each["plugin"] == "default_server_flag" and "/old-names/" in each["file"]]
    # What an old door did not promise to browsers, it does not promise now.
    known += [each for each in found if each["plugin"] == "hsts_header" and each["file"].endswith("/old-api.conf")]
    assert [each for each in found if each not in known] == []


def test_what_an_nginx_cannot_is_not_asked_of_it(trees: list[Path]) -> None:
    """`http2 on` from 1.25.1, `ssl_reject_handshake` from 1.19.4, X25519MLKEM768 with OpenSSL 3.5."""
    told = {}
    for release in render.RELEASES:
        [conf] = [each for each in trees if each.parts[-3:-1] == (release, "usual")]
        text = site(conf) + (conf.parent / "tls.conf").read_text().replace("# X25519MLKEM768", "")
        told[release] = [word in text for word in REFUSED_TOGETHER]
        assert ("443 ssl http2" in text) != ("http2 on;" in text)
        assert ("nobody.crt" in text) != ("ssl_reject_handshake on;" in text)
    assert told == {
        "ubuntu-22.04": [False, False, False],
        "debian-12": [False, True, False],
        "ubuntu-24.04": [False, True, False],
        "debian-13": [True, True, True],
    }


def test_an_nginx_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="Cannot tell which nginx this is"):
        render.filters().nginx_features("nginx version: tengine\nbuilt with BoringSSL", "Debian", "13")
    assert render.filters().nginx_features("", "Debian", "13")["mlkem"]


def location_of(path: str, text: str) -> str:
    """The body of the location that nginx chooses for `path`; the templates use no regular expressions."""
    blocks = re.findall(r"^    location (=|\^~|) ?(\S+) \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL)
    exact = [body for kind, match, body in blocks if kind == "=" and match == path]
    prefixes = sorted(
        ((match, body) for kind, match, body in blocks if kind != "=" and path.startswith(match)),
        key=lambda each: len(each[0]),
    )
    return str(exact[0] if exact else prefixes[-1][1])


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_of_the_gateway_has_its_size_and_time(tmp_path: Path, route: Route) -> None:
    """nginx and the gateway read the same settings: no route is cut off by one of them that the other allows."""
    conf = render.tree(tmp_path, render.filters().features("1.26.3", "3.5.7"))
    body = location_of(route.path.replace("{id}", "x").replace("{digest}", "x"), site(conf).split("\nserver {")[1])
    upload = route.body is Body.UPLOAD
    assert f"client_max_body_size {(1024 if upload else 32) * 1024 * 1024};" in body
    assert "proxy_request_buffering" not in body  # off for all of them: test_switch.py says why
    if route.patience is Patience.WORK:
        # 5 s to connect and 900 s to the first byte are the gateway's; it must be the one to say 504
        assert "proxy_read_timeout 1565s;" in body
    shape = "openai" if route.path.startswith("/v1/") else "ollama" if route.group == "ollama" else "problem"
    assert ("errors-" not in body) if shape == "problem" else (f"errors-{shape}.conf" in body)
    assert "access.conf;" in body


def test_no_location_loses_the_headers_of_its_server(trees: list[Path]) -> None:
    """`proxy_set_header` or `add_header` in a location would drop all that the server sets."""
    for conf in trees:
        for body in re.findall(r"^    location [^@].*?\{\n(.*?)^    \}", site(conf), re.MULTILINE | re.DOTALL):
            assert "proxy_set_header" not in body
            assert "add_header" not in body


def pages(conf: Path) -> dict[str, tuple[str, int, Any]]:
    """Location -> (content type, status, body) of every error page."""
    text = (conf.parent / "error-pages.conf").read_text()
    found = re.findall(r"location @ai_(\w+) \{.*?default_type (\S+);\s+return (\d+) '(.*?)';", text, re.DOTALL)
    return {name: (kind, int(status), json.loads(body)) for name, kind, status, body in found}


def test_errors_have_the_houses_shapes(trees: list[Path]) -> None:
    """The members and types are those that service_kit gives to the same status."""
    told = pages(trees[0])
    assert len(told) == 45
    paths = {"openai": "/v1/x", "ollama": "/api/x", "problem": "/x"}
    for name, (kind, status, body) in told.items():
        _, headers, expected = error_response(from_http_status(status), paths[name.partition("_")[0]], "id")
        model = json.loads(expected)
        assert kind == dict(headers)[b"content-type"].decode()
        assert body.keys() == model.keys()
        if "error" in model and isinstance(model["error"], dict):
            assert body["error"].keys() == model["error"].keys()
            assert body["error"]["type"] == model["error"]["type"]
        else:
            assert (body["status"], body["request_id"]) == (status, "$ai_request_id")


def test_every_error_that_is_named_has_its_page(trees: list[Path]) -> None:
    for conf in trees:
        defined = set(re.findall(r"location (@\w+)", (conf.parent / "error-pages.conf").read_text()))
        used = {page for each in conf.parent.glob("errors-*.conf") for page in re.findall(r"(@\w+);", each.read_text())}
        assert used == defined


def test_tls_is_mozillas_intermediate(trees: list[Path]) -> None:
    """Compared with the recorded guideline 6.0; the same comparison by handshakes is in test_tls.py."""
    profile = json.loads((Path(__file__).parent / "mozilla-6.0.json").read_text())["configurations"]["intermediate"]
    [conf] = [each for each in trees if each.parts[-3:-1] == ("debian-13", "usual")]
    tls = (conf.parent / "tls.conf").read_text()

    def value(name: str) -> str:
        [found] = re.findall(rf"^{name} (.*);", tls, re.MULTILINE)
        return str(found)

    assert value("ssl_protocols").split() == profile["tls_versions"]
    assert value("ssl_ciphers").split(":") == profile["ciphers"]["openssl"]
    assert value("ssl_ecdh_curve").split(":") == profile["tls_curves"]
    assert (value("ssl_prefer_server_ciphers") == "on") == profile["server_preferred_order"]
    assert f"max-age={profile['hsts_min_age']}" in (conf.parent / "headers.conf").read_text()


def test_the_role_documents_what_it_defaults() -> None:
    """defaults/main.yml and meta/argument_specs.yml of both roles say the same."""
    for role in ("nginx", "certbot_cloudflare"):
        folder = render.ROOT / "ansible/roles" / role
        defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
        options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
        assert defaults == {name: option.get("default") for name, option in options.items()}
