"""Who else starts the old container: a unit of systemd that does would have it beside ours again."""

from __future__ import annotations

from typing import Any

import pytest

from .worlds import planned, seen


def codes(kind: str, **unit: Any) -> list[str]:
    world = seen(kind)
    world["units"].append({"name": "whisper.service", "file": "/etc/systemd/system/whisper.service", **unit})
    _, plan = planned(world, ai_domain="ai.example.com")
    return [note.code for note in plan.refusals]


@pytest.mark.parametrize(
    ("command", "state", "is_refused"),
    [
        ("/usr/bin/docker run --name whisper-asr image", {"enabled": "enabled"}, True),
        ("/usr/bin/docker start -a whisper-asr", {"enabled": "disabled", "active": "active"}, True),
        ("/usr/bin/docker start -a whisper-asr", {"enabled": "disabled", "active": "inactive"}, False),
        ("/usr/bin/docker start -a blog", {"enabled": "enabled", "active": "active"}, False),
        ("/usr/bin/watch whisper-asr", {"enabled": "enabled", "active": "active"}, False),
    ],
)
def test_a_unit_that_starts_the_container(command: str, state: dict[str, str], is_refused: bool) -> None:
    assert ("started_by_unit" in codes("asr-run", command=command.split(), **state)) is is_refused


@pytest.mark.parametrize("program", ["/usr/local/bin/docker-compose", "/usr/bin/docker compose"])
@pytest.mark.parametrize(("is_its", "is_refused"), [(True, True), (False, False)])
def test_a_unit_that_starts_its_project(program: str, is_its: bool, is_refused: bool) -> None:
    """`docker compose up -d` at boot starts what rests, and takes the port that is nginx's by then."""
    found, _ = planned(seen("seed-compose"))
    assert found.service is not None
    assert found.service.container is not None
    folder = found.service.container.compose_folder
    assert folder
    unit = {"folder": folder if is_its else "/srv/blog", "enabled": "enabled", "active": "active"}
    assert ("started_by_unit" in codes("seed-compose", command=[*program.split(), "up", "-d"], **unit)) is is_refused
