"""Old hosts as they were seen: recordings of the lab's, and changes of them that a test wants."""

from __future__ import annotations

import copy
import datetime
import json
from pathlib import Path
from typing import Any

from ai_services.host.settings_load import public
from ai_services.host.values import Given
from ai_services.migrate import compose, plan
from ai_services.migrate.found import Found
from ai_services.migrate.plan_types import MigrationPlan
from ai_services.migrate.recognise import recognise

RECORDED = Path(__file__).parent / "recorded"
KINDS = tuple(sorted(path.stem for path in RECORDED.glob("*.json")))
# What an operator must give besides: images, and here no certificate.
GIVEN = {"ai_github_owner": "octo-org", "ai_tls": "off", "ai_ollama_model": "gemma3:270m"}
Seen = dict[str, Any]


def seen(kind: str) -> Seen:
    """What was seen of an old host of this kind, as if it were now; a copy to change."""
    content: Seen = json.loads((RECORDED / f"{kind}.json").read_text())
    now = datetime.datetime.now(datetime.UTC)
    content["facts"]["clock"]["utc"] = now.isoformat()
    for one in content["certificates"]:
        one["not_after"] = (now + datetime.timedelta(days=60)).isoformat()
    return content


def container(world: Seen, name: str) -> dict[str, Any]:
    """The container of this name."""
    found: dict[str, Any] = next(one for one in world["containers"] if one["name"] == name)
    return found


def another(world: Seen, name: str, **changed: Any) -> dict[str, Any]:
    """Add a container: a copy of the first, called `name`, with no ports and answers of its own."""
    made: dict[str, Any] = copy.deepcopy(world["containers"][0])
    made |= {"id": f"{name:0<64}", "name": name, "ports": [], "addresses": [], "mounts": [], **changed}
    world["containers"].append(made)
    return made


def planned(world: Seen, *, service: str | None = None, **given: Any) -> tuple[Found, MigrationPlan]:
    """The plan for a host that was seen so, with GIVEN and `given`; one set to None is not given."""
    found = recognise(world, "gpu-1", service)
    assert found.service is not None, plan.unchosen(found, service)
    wanted = Given({name: value for name, value in {**GIVEN, **given}.items() if value is not None})
    derived = compose.derive(found, found.service, wanted.values)
    return found, plan.make(found, derived, public(derived.under(wanted).settings("deploy")))


def with_ollama(world: Seen, address: str = "127.0.0.1") -> None:
    """Add an Ollama that is published at `address`."""
    another(
        world, "ollama", image="ollama/ollama:latest", command=["/bin/ollama", "serve"], exposed=[11434],
        ports=[{"address": address, "port": 11434, "inside": 11434}],
    )  # fmt: skip
