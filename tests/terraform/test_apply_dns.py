"""The record's part of the real root: adopted on purpose, never overwritten; refusals of Cloudflare in its words.

The machine is one that exists, so that this needs no provider but the stand-in of Cloudflare's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terraform.world import CLOUDFLARE_TOKEN, ZONE, ZONE_ID, World, refusal

KINDS = ("cloudflare_record",)
NAME = f"ai.{ZONE}"
HOST = {
    "ai_machine": "existing_host",
    "ai_host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ000000000000000000000000000000000000000000",
}
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("apply-dns")]


def flat(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def existing(here: World, **members: Any) -> str:
    record = here.account.cloudflare.zones[ZONE_ID].create({"name": NAME, "type": "A", "ttl": 300, **members})
    return str(record["id"])


def test_a_wrong_token_is_said_while_planning(here: World) -> None:
    path = Path(here.workshop.values["ai_cloudflare_token_file"])
    path.write_text("wrong" * 8 + "\n")
    here.workshop.values |= HOST
    outcome = here.workshop.plan()
    path.write_text(f"{CLOUDFLARE_TOKEN}\n")
    assert outcome.status == 1
    assert "403 Forbidden" in outcome.text
    assert "Invalid access token" in flat(outcome.text)


def test_a_zone_that_is_not_there_is_said_while_planning(here: World) -> None:
    here.workshop.values |= {"ai_domain": "ai.other.test", "ai_cloudflare_zone": "other.test"}
    outcome = here.workshop.plan()
    here.workshop.values |= {"ai_domain": NAME, "ai_cloudflare_zone": ZONE}
    assert outcome.status == 1
    assert "failed to find exactly one result" in outcome.text


def test_a_record_that_is_there_is_not_overwritten_unasked(here: World) -> None:
    record_id = existing(here, content="198.51.100.9", comment="somebody's")
    outcome = here.workshop.apply()
    assert outcome.status != 0
    assert record_id in outcome.text, "the id to adopt it by"
    assert here.account.records[record_id]["content"] == "198.51.100.9"
    assert not here.workshop.calls


def test_it_is_adopted_by_its_id_and_keeps_it(here: World) -> None:
    (record_id,) = here.account.records
    text = here.workshop.applied(ai_cloudflare_record_id=record_id)
    assert "1 imported" in text
    assert list(here.account.records) == [record_id]
    record = here.account.records[record_id]
    assert (record["content"], record["comment"], record["proxied"]) == ("192.0.2.30", "ai-services: ai", False)
    here.workshop.assert_settled()


def test_another_address_changes_the_record_in_place(here: World) -> None:
    (record_id,) = here.account.records
    here.workshop.applied(ai_address="192.0.2.31")
    assert list(here.account.records) == [record_id]
    assert here.account.published.names == {(NAME, "A"): ["192.0.2.31"]}
    assert here.workshop.calls[-1]["given"][1] == "deployer@192.0.2.31"


def test_a_second_address_becomes_a_record_of_its_own(here: World) -> None:
    here.workshop.applied(ai_ipv6_address="2001:db8::31")
    assert here.account.published.names == {(NAME, "A"): ["192.0.2.31"], (NAME, "AAAA"): ["2001:db8::31"]}
    here.workshop.assert_settled()


def test_what_may_pass_is_tried_again_and_what_stays_is_said(here: World) -> None:
    refusals = [refusal(500, 1000, "An unknown error occurred")]
    here.cloudflare.refuse = lambda method, target: refusals.pop() if method == "PUT" and refusals else None
    here.workshop.applied(ai_dns_ttl_s=600)
    assert {record["ttl"] for record in here.account.records.values()} == {600}

    conflict = refusal(409, 1001, "The record is being changed by somebody else")
    here.cloudflare.refuse = lambda method, target: conflict if method == "PUT" else None
    outcome = here.workshop.apply(ai_dns_ttl_s=900)
    here.cloudflare.refuse = None
    assert outcome.status != 0
    assert "The record is being changed by somebody else" in flat(outcome.text)
    here.workshop.applied()
    assert {record["ttl"] for record in here.account.records.values()} == {900}
    here.workshop.assert_settled()


def test_a_reader_may_plan_and_not_change(here: World) -> None:
    token = here.account.cloudflare.tokens[CLOUDFLARE_TOKEN]
    token.edit = False
    outcome = here.workshop.apply(ai_dns_ttl_s=1200)
    token.edit = True
    assert outcome.status != 0
    assert "Authentication error" in flat(outcome.text)
    here.workshop.applied(ai_dns_ttl_s=900)


def test_the_records_go_with_the_host(here: World) -> None:
    assert here.workshop.destroy().status == 0
    assert here.account.published.names == {}
    assert here.workshop.calls[-1]["given"][0] == "destroy"
