"""The stand-in for Cloudflare's DNS API behaves as the real one is documented, and DNS follows it (B.6).

Shapes: Cloudflare's API reference, v4, "DNS records for a zone". The requests are those that certbot's plugin sends.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from host.lab.cloudflare import Server

from front import knot

pytestmark = [
    pytest.mark.skipif(
        shutil.which("knotd", path="/usr/sbin:/usr/bin:/bin") is None,
        reason="no knotd: Debian's package `knot` brings one",
    ),
    pytest.mark.long,
]

ZONE_ID = "023e105f4ecef8ad9ca31a8372d0c353"
OTHER_ID = "123e105f4ecef8ad9ca31a8372d0c353"
TOKEN = "full-" + "a" * 40
READER = "reader-" + "b" * 40
STRANGER = "stranger-" + "c" * 40


class Api:
    """The stand-in over HTTP, and the DNS server behind it."""

    def __init__(self, base: str, dns: knot.Knot) -> None:
        self.base, self.dns = base, dns

    def __call__(self, method: str, path: str, token: str | None = TOKEN, **options: Any) -> requests.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return requests.request(method, f"{self.base}{path}", headers=headers, timeout=20, **options)

    def records(self, method: str, tail: str = "", token: str | None = TOKEN, **options: Any) -> requests.Response:
        return self(method, f"/zones/{ZONE_ID}/dns_records{tail}", token, **options)


def serve(dns: knot.Knot, **more: Any) -> Server:
    config = {
        "zones": {knot.ZONE: ZONE_ID, "other.test": OTHER_ID},
        "token": TOKEN,
        "tokens": [
            {"token": READER, "zones": [knot.ZONE], "edit": False},
            {"token": STRANGER, "zones": ["other.test"]},
        ],
        "dns_server": "127.0.0.1",
        "dns_port": dns.port,
        "tsig": {"name": "lab", "algorithm": "hmac-sha256", "secret": dns.key},
    }
    server = Server({**config, **more})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[knot.Knot]:
    with knot.running(tmp_path_factory.mktemp("knot")) as server:
        yield server


@pytest.fixture
def api(dns: knot.Knot) -> Iterator[Api]:
    server = serve(dns)
    api = Api(f"http://127.0.0.1:{server.server_address[1]}/client/v4", dns)
    yield api
    for record in api.records("GET").json()["result"]:
        api.records("DELETE", f"/{record['id']}")
    server.shutdown()
    server.server_close()


def error(answer: requests.Response) -> tuple[int, int]:
    body = answer.json()
    assert body["success"] is False
    assert body["result"] is None
    assert body["messages"] == []
    return answer.status_code, body["errors"][0]["code"]


TXT: dict[str, Any] = {"type": "TXT", "name": "_acme-challenge.ai.lab.test", "content": "token-1", "ttl": 120}


def test_a_record_lives_in_dns_from_create_to_delete(api: Api) -> None:
    made = api.records("POST", json=TXT).json()
    assert made["success"] is True
    assert made["errors"] == []
    record = made["result"]
    assert {name: record[name] for name in TXT} == TXT
    assert set(record) >= {"id", "proxiable", "proxied", "settings", "meta", "comment", "tags", "created_on"}
    assert api.dns.look_up(TXT["name"], "TXT") == ['"token-1"']

    changed = api.records("PATCH", f"/{record['id']}", json={"content": "token-2"}).json()["result"]
    assert (changed["content"], changed["ttl"], changed["id"]) == ("token-2", 120, record["id"])
    assert changed["created_on"] == record["created_on"]
    assert api.dns.look_up(TXT["name"], "TXT") == ['"token-2"']

    replaced = api.records("PUT", f"/{record['id']}", json={**TXT, "content": "token-3", "ttl": 1}).json()["result"]
    assert (replaced["content"], replaced["ttl"]) == ("token-3", 1)
    assert api.records("GET", f"/{record['id']}").json()["result"] == replaced

    assert api.records("DELETE", f"/{record['id']}").json()["result"] == {"id": record["id"]}
    assert api.dns.look_up(TXT["name"], "TXT") == []
    assert error(api.records("GET", f"/{record['id']}")) == (404, 81044)
    assert error(api.records("DELETE", f"/{record['id']}")) == (404, 81044)


def test_two_texts_of_one_name_stand_side_by_side(api: Api) -> None:
    for content in ("one", "two"):
        api.records("POST", json={**TXT, "content": content})
    assert api.dns.look_up(TXT["name"], "TXT") == ['"one"', '"two"']


def test_a_changed_name_or_type_leaves_nothing_behind(api: Api) -> None:
    made = api.records("POST", json={"type": "A", "name": "old", "content": "192.0.2.1", "ttl": 60}).json()["result"]
    assert made["name"] == "old.lab.test"
    api.records("PATCH", f"/{made['id']}", json={"name": "new.lab.test"})
    assert api.dns.look_up("old.lab.test", "A") == []
    assert api.dns.look_up("new.lab.test", "A") == ["192.0.2.1"]


def test_a_proxied_name_hides_its_address(api: Api) -> None:
    record = {"type": "A", "name": "web.lab.test", "content": "192.0.2.9", "ttl": 300, "proxied": True}
    made = api.records("POST", json=record).json()["result"]
    assert (made["content"], made["ttl"], made["proxied"]) == ("192.0.2.9", 1, True)
    assert api.dns.look_up("web.lab.test", "A") == ["104.16.0.1"]


def test_certbots_questions_are_answered(api: Api) -> None:
    assert api("GET", "/zones?name=ai.lab.test&per_page=1").json()["result"] == []
    [zone] = api("GET", "/zones?name=lab.test&per_page=1").json()["result"]
    assert (zone["id"], zone["name"], zone["status"]) == (ZONE_ID, "lab.test", "active")
    api.records("POST", json=TXT)
    found = api.records("GET", "?type=TXT&name=_acme-challenge.ai.lab.test&content=token-1&per_page=1").json()
    assert [record["content"] for record in found["result"]] == ["token-1"]
    assert api.records("GET", "?type=TXT&name=_acme-challenge.ai.lab.test&content=other").json()["result"] == []


def test_lists_come_in_pages_and_can_be_filtered(api: Api) -> None:
    for number in range(5):
        api.records("POST", json={"type": "A", "name": f"host{number}", "content": f"192.0.2.{number + 1}", "ttl": 1})
    api.records("POST", json=TXT)
    page = api.records("GET", "?per_page=2&page=2&type=A&order=name").json()
    assert [record["name"] for record in page["result"]] == ["host2.lab.test", "host3.lab.test"]
    assert page["result_info"] == {"page": 2, "per_page": 2, "total_pages": 3, "count": 2, "total_count": 5}
    beyond = api.records("GET", "?per_page=2&page=9&type=A").json()
    assert beyond["result"] == []

    def names(query: str) -> list[str]:
        return [record["name"].partition(".")[0] for record in api.records("GET", query).json()["result"]]

    assert names("?name.exact=host1.lab.test") == ["host1"]
    assert names("?name.startswith=host&order=name&direction=desc")[0] == "host4"
    assert names("?content=192.0.2.3&type=TXT") == []
    assert sorted(names("?content=192.0.2.3&type=TXT&match=any")) == ["_acme-challenge", "host2"]


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (TXT, 81058),
        ({**TXT, "content": '"token-1"'}, 81058),
        ({**TXT, "ttl": 300}, 81057),
        ({"type": "A", "name": "host", "content": "192.0.2.1", "ttl": 1}, 81058),
        ({"type": "CNAME", "name": "host", "content": "lab.test", "ttl": 1}, 81053),
        ({"type": "A", "name": "alias", "content": "192.0.2.1", "ttl": 1}, 81054),
    ],
)
def test_duplicates_are_refused(api: Api, second: dict[str, Any], code: int) -> None:
    api.records("POST", json=TXT)
    api.records("POST", json={"type": "A", "name": "host", "content": "192.0.2.1", "ttl": 1})
    api.records("POST", json={"type": "CNAME", "name": "alias", "content": "lab.test", "ttl": 1})
    assert error(api.records("POST", json=second)) == (400, code)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"ttl": 30}, 9021),
        ({"ttl": "120"}, 9021),
        ({"proxied": True}, 9004),
        ({"content": ""}, 9102),
        ({"type": "A", "content": "300.1.1.1"}, 9005),
        ({"type": "A", "content": "2001:db8::1"}, 9005),
        ({"type": "AAAA", "content": "192.0.2.1"}, 9006),
        ({"type": "CNAME", "content": "192.0.2.1"}, 9007),
        ({"name": "two words"}, 9000),
        ({"type": "NOSUCH"}, 9001),
    ],
)
def test_wrong_records_are_refused(api: Api, wrong: dict[str, Any], code: int) -> None:
    assert error(api.records("POST", json={**TXT, **wrong})) == (400, code)
    assert api.records("GET").json()["result"] == []


def test_credentials_are_judged_as_cloudflare_does(api: Api) -> None:
    assert error(api("GET", "/zones", token=None)) == (400, 9106)
    malformed = api("GET", "/zones", token="short")
    assert error(malformed) == (400, 6003)
    assert malformed.json()["errors"][0]["error_chain"][0]["code"] == 6111
    assert error(api("GET", "/zones", token="unknown-" + "d" * 40)) == (403, 9109)
    assert api("GET", "/user/tokens/verify").json()["result"]["status"] == "active"
    # a token for another zone sees nothing of this one
    assert api("GET", "/zones?name=lab.test", token=STRANGER).json()["result"] == []
    assert error(api.records("GET", token=STRANGER)) == (403, 10000)
    # one that may only read does not write
    assert api.records("GET", token=READER).status_code == 200
    assert error(api.records("POST", json=TXT, token=READER)) == (403, 10000)


def test_what_is_no_route_or_no_json_is_said(api: Api) -> None:
    assert error(api("GET", "/zones/not-an-id/dns_records")) == (400, 7003)
    assert error(api("GET", "/nowhere")) == (400, 7003)
    assert error(api.records("POST", data="{")) == (400, 9207)


def test_too_many_requests_are_told_when_to_come_back(dns: knot.Knot, tmp_path: Path) -> None:
    server = serve(dns, requests_per_5_min=2)
    api = Api(f"http://127.0.0.1:{server.server_address[1]}/client/v4", dns)
    assert [api("GET", "/zones").status_code for _ in range(2)] == [200, 200]
    third = api("GET", "/zones")
    assert error(third) == (429, 971)
    assert third.headers["Retry-After"] == "300"
    server.shutdown()
    server.server_close()


def test_a_change_may_reach_dns_later_than_the_answer(dns: knot.Knot) -> None:
    server = serve(dns, dns_delay_s=0.3)
    api = Api(f"http://127.0.0.1:{server.server_address[1]}/client/v4", dns)
    late = {**TXT, "name": "late.lab.test"}
    made = api.records("POST", json=late).json()["result"]
    assert dns.look_up("late.lab.test", "TXT") == []
    for _ in range(2000):
        if dns.look_up("late.lab.test", "TXT"):
            break
    assert dns.look_up("late.lab.test", "TXT") == ['"token-1"']
    api.records("DELETE", f"/{made['id']}")
    server.shutdown()
    server.server_close()


def test_what_was_still_to_be_published_ends_with_the_stand_in(dns: knot.Knot) -> None:
    before = set(threading.enumerate())
    server = serve(dns, dns_delay_s=3600)
    api = Api(f"http://127.0.0.1:{server.server_address[1]}/client/v4", dns)
    assert api.records("POST", json={**TXT, "name": "never.lab.test"}).status_code == 200
    assert [thread for thread in set(threading.enumerate()) - before if isinstance(thread, threading.Timer)]
    server.shutdown()
    server.server_close()
    assert not [thread for thread in set(threading.enumerate()) - before if isinstance(thread, threading.Timer)]
    assert dns.look_up("never.lab.test", "TXT") == []
