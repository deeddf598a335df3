"""The real root with a droplet: applied by the real Terraform with a stand-in of the provider and of its API."""

from __future__ import annotations

import pytest

from terraform.digitalocean_provider.droplets import hashed
from terraform.world import ZONE, World, secrets_in

KINDS = ("digitalocean_vm", "cloudflare_record")
NAME = f"ai.{ZONE}"
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("apply-digitalocean")]
KEYS = 'module.digitalocean_vm["ai"].module.host_key.terraform_data.keys'
DROPLET = {
    "ai_machine": "digitalocean_vm", "ai_address": None, "ai_gateway_address": None,
    "ai_allowed_networks": ["203.0.113.0/24"],
}  # fmt: skip


def test_a_size_that_is_not_to_be_had_is_said_in_the_clouds_words(here: World) -> None:
    outcome = here.workshop.apply(**DROPLET, ai_digitalocean_size="gpu-h900x1-1gb")
    assert outcome.status != 0
    assert "You specified an invalid size for Droplet creation." in " ".join(outcome.text.split())
    assert not here.cloud.droplets


def test_one_apply_ends_in_a_droplet_with_a_name_and_a_deploy(here: World) -> None:
    here.workshop.applied(ai_digitalocean_size="gpu-4000adax1-20gb")
    (droplet,) = here.cloud.droplets.values()
    address = droplet["networks"]["v4"][0]["ip_address"]
    assert droplet["status"] == "active"
    assert here.account.published.names == {(NAME, "A"): [address]}
    assert here.workshop.output("ai_hosts")["ai"]["address"] == address
    assert here.workshop.calls[-1]["given"][1] == f"deployer@{address}"
    shown = here.workshop.output("ai_hosts")["ai"]["host_key"]
    assert shown.split()[:2] == here.guests.key(address).split()[:2]
    here.workshop.assert_settled()


def test_the_state_holds_a_hash_of_the_user_data_and_no_secret(here: World) -> None:
    (user_data,) = here.cloud.user_data.values()
    text = (here.workshop.root / "terraform.tfstate").read_text()
    assert hashed(user_data) in text
    found = [what for what, secret in secrets_in(here.workshop.folder.parent).items() if secret in text]
    assert found == []
    assert "OPENSSH PRIVATE KEY" in user_data
    first_contact = user_data[user_data.index("OPENSSH PRIVATE KEY") :].splitlines()[2].strip()
    assert first_contact not in text


def test_another_size_keeps_the_droplet(here: World) -> None:
    (before,) = here.cloud.droplets
    here.workshop.applied(ai_digitalocean_size="gpu-l40sx1-48gb")
    assert list(here.cloud.droplets) == [before]
    assert here.cloud.droplets[before]["size_slug"] == "gpu-l40sx1-48gb"
    assert here.cloud.droplets[before]["status"] == "active"
    here.workshop.assert_settled()


def test_a_droplet_that_vanished_is_made_anew_and_the_name_follows(here: World) -> None:
    here.cloud.droplets.clear()
    here.workshop.environment["TF_VAR_ai_protect_data"] = "false"
    here.workshop.applied(f"-replace={KEYS}", ai_protect_data=False)
    (droplet,) = here.cloud.droplets.values()
    assert here.account.published.names == {(NAME, "A"): [droplet["networks"]["v4"][0]["ip_address"]]}
    here.workshop.assert_settled()


def test_a_destroyed_host_leaves_nothing(here: World) -> None:
    outcome = here.workshop.destroy()
    assert outcome.status == 0, outcome.text
    assert not here.cloud.droplets
    assert not here.cloud.keys
    assert not here.account.records
