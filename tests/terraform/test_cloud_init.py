"""The first boot's files as cloud-init itself reads them: its schema, and its own network code."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]  # it has no types
import pytest
import yaml
from support.packages import unpacked

from .copies import TOP, initialised, run

pytestmark = pytest.mark.long

# What cloud-init makes of a network configuration: interfaces with their addresses and routes, in Debian's own form.
RENDER = """
import sys, yaml
from cloudinit.net import eni, network_state
config = yaml.safe_load(sys.stdin.read())
# A match by pattern waits for real cards; the renderer is asked about one of a certain name.
config["ethernets"] = {"enp6s18": {k: v for k, v in config["ethernets"]["primary"].items() if k != "match"}}
state = network_state.parse_net_config_data(config)
print(eni.Renderer()._render_interfaces(state))
"""


@pytest.fixture(scope="module")
def cloud_init() -> Path:
    """cloud-init's own code."""
    return next(unpacked("cloud-init").rglob("dist-packages"))


def rendered(folder: Path, **values: Any) -> dict[str, str]:
    """The templates as Terraform renders them."""
    wanted = {"hostname": "gpu-1", "user": "deployer", "public_key": "ssh-ed25519 AAAA somebody's"} | values
    root = initialised(folder)
    templates = {
        "user-data": f'templatefile("../bootstrap/ai/cloud-init/user-data.tftpl", {_hcl(wanted)})',
        "meta-data": f'templatefile("../bootstrap/ai/cloud-init/meta-data.tftpl", {_hcl(wanted)})',
        "network-config": f'templatefile("../bootstrap/ai/cloud-init/network-config.tftpl", {_hcl(wanted)})',
    }
    alone = folder / "terraform" / "alone"
    alone.mkdir()
    outputs = "".join(
        f'output "{name}" {{\n  value = {text.replace("../bootstrap", "../../bootstrap")}\n}}\n'
        for name, text in templates.items()
        if name != "network-config" or "addresses" in wanted
    )
    (alone / "main.tf").write_text(outputs)
    done = run(alone, "apply", "-auto-approve", "-no-color")
    assert done.returncode == 0, done.stderr
    assert root.is_dir()
    said = json.loads(run(alone, "output", "-json").stdout)
    return {name: entry["value"] for name, entry in said.items()}


def _hcl(values: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items()) + " }"


def with_key(user_data: str) -> str:
    """user-data as keys.sh leaves it."""
    place = importlib.util.spec_from_file_location("seed", TOP / "terraform" / "modules" / "host_key" / "seed.py")
    assert place is not None
    assert place.loader is not None
    seed = importlib.util.module_from_spec(place)
    place.loader.exec_module(seed)
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    return str(seed.with_key(user_data, key, "ssh-ed25519 AAAA"))


def test_user_data_keeps_to_cloud_inits_schema(cloud_init: Path, tmp_path: Path) -> None:
    schema = json.loads(next(cloud_init.rglob("schema-cloud-config-v1.json")).read_text())
    texts = rendered(tmp_path)
    assert texts["user-data"].startswith("#cloud-config\n")
    content = yaml.safe_load(with_key(texts["user-data"]))
    jsonschema.Draft4Validator(schema).validate(content)
    # It would see what is wrong.
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(content | {"ssh_deletekeys": "perhaps"})
    assert content["ssh_keys"]["ed25519_private"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert yaml.safe_load(texts["meta-data"]) == {"instance-id": "@INSTANCE_ID@", "local-hostname": "gpu-1"}


def test_nothing_in_it_is_secret_but_the_first_contact_key(tmp_path: Path) -> None:
    texts = rendered(tmp_path)
    assert not re.search(r"PRIVATE|password|(?<!lock_)passwd:|token", " ".join(texts.values()))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"addresses": ["192.0.2.30/24"], "gateway": "192.0.2.1", "ipv6_gateway": None,
             "name_servers": ["192.0.2.1"]},
            ["iface enp6s18 inet static", "address 192.0.2.30/24", "dns-nameservers 192.0.2.1", "gw 192.0.2.1"],
        ),
        (
            {
                "addresses": ["192.0.2.30/24", "2001:db8::30/64"], "gateway": "192.0.2.1",
                "ipv6_gateway": "2001:db8::1", "name_servers": ["192.0.2.53", "2001:db8::53"],
            },
            ["address 192.0.2.30/24", "iface enp6s18 inet6 static", "address 2001:db8::30/64", "2001:db8::1"],
        ),
        (
            {"addresses": ["2001:db8::30/64"], "gateway": "2001:db8::1", "ipv6_gateway": None, "name_servers": []},
            ["iface enp6s18 inet6 static", "address 2001:db8::30/64"],
        ),
    ],
)  # fmt: skip
def test_cloud_init_makes_the_static_network_of_it(
    cloud_init: Path, tmp_path: Path, values: dict[str, Any], words: list[str]
) -> None:
    network = rendered(tmp_path, **values)["network-config"]
    done = subprocess.run(
        [sys.executable, "-c", RENDER],
        input=network,
        env=os.environ | {"PYTHONPATH": str(cloud_init)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    for word in words:
        assert word in done.stdout, done.stdout
    assert "dhcp" not in done.stdout
