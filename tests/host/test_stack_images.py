"""Images of releases that are gone go too, and no other (B.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ai_stack import tool
from ai_stack.images import discard
from ai_stack.releases import Store, plan

pytestmark = pytest.mark.promise("B.3")


class Docker:
    """References as Docker keeps them: a tag and a digest each hold an image; with the last tag its digests go."""

    def __init__(self, *pins: str, used: tuple[str, ...] = ()) -> None:
        self.held: dict[str, str] = {}
        self.used = used
        for pin in pins:
            tag, _, digest = pin.partition("@")
            self.held |= {tag: digest, f"{tag.partition(':')[0]}@{digest}": digest}

    def image(self, reference: str) -> dict[str, Any] | None:
        found = self.held.get(self._stored(reference))
        return {"Id": found} if found else None

    def remove_image(self, reference: str) -> bool:
        name = self._stored(reference)
        if name not in self.held:
            return False
        identity = self.held[name]
        same = [one for one in self.held if self.held[one] == identity]
        repository = name.partition("@")[0].partition(":")[0]
        if identity in self.used and all(one.partition("@")[0].partition(":")[0] == repository for one in same):
            return False  # Docker's 409
        del self.held[name]
        if "@" not in name and not any("@" not in one for one in same if one != name):
            self.held = {one: value for one, value in self.held.items() if value != identity}
        return True

    @staticmethod
    def _stored(reference: str) -> str:
        tag, _, digest = reference.partition("@")
        return f"{tag.partition(':')[0]}@{digest}" if digest else tag


OLD, NEW = "gateway:0.1.0@sha256:1", "gateway:0.2.0@sha256:2"


def engine(docker: Docker) -> Any:
    return docker


def test_an_image_goes_with_its_tag_which_holds_it_too() -> None:
    docker = Docker(OLD, NEW)
    assert discard(engine(docker), [OLD], [NEW]) == [OLD]
    assert set(docker.held.values()) == {"sha256:2"}
    assert discard(engine(docker), [OLD], [NEW]) == []


def test_what_another_release_needs_stays_under_whatever_name() -> None:
    docker = Docker(OLD, "gateway:again@sha256:1")
    assert discard(engine(docker), [OLD], ["gateway:again@sha256:1"]) == []
    assert len(docker.held) == 3


def test_what_a_container_uses_stays() -> None:
    docker = Docker(OLD, used=("sha256:1",))
    assert discard(engine(docker), [OLD]) == []
    assert docker.image(OLD)


def test_a_tag_that_means_other_bytes_by_now_stays() -> None:
    docker = Docker("gateway:dev@sha256:1", "gateway:dev@sha256:2")
    assert discard(engine(docker), ["gateway:dev@sha256:1"], ["gateway:dev@sha256:2"]) == ["gateway:dev@sha256:1"]
    assert docker.image("gateway:dev")


def releases(root: Path) -> tuple[Store, list[str]]:
    """Six releases of which the newest serves; every two have an image of their own."""
    store, ids = Store(root), []
    for number in range(6):
        wanted = plan(root, {"compose.yaml": str(number), ".env": ""}, {})
        pin = f"gateway:0.{number // 2}@sha256:{number // 2}"
        store.stage(wanted, {"created": f"2026-01-0{number + 1}", "images": {"gateway": pin}})
        ids.append(wanted.id)
    store.switch(ids[-1])
    return store, ids


def test_old_releases_go_with_the_images_that_only_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, ids = releases(tmp_path)
    docker = Docker(*(f"gateway:0.{number}@sha256:{number}" for number in range(3)))
    monkeypatch.setattr(tool, "Engine", lambda **_: docker)
    said = tool._tidied(store, 3)
    assert store.ids() == ids[3:]
    assert set(docker.held.values()) == {"sha256:1", "sha256:2"}
    assert said == [
        "gateway:0.0@sha256:0 was removed",
        *(f"release {one} was removed from the disk" for one in ids[:3]),
    ]
    assert tool._tidied(store, 3) == []
