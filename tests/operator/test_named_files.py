"""A host is sent only those files of this machine that a person has named for it."""

from __future__ import annotations

from pathlib import Path

from ai_services.host.named_files import named, remember
from ai_services.host.target import Target
from ai_services.local.home import Home


def test_what_was_named_is_known_for_that_host_alone(tmp_path: Path) -> None:
    home, one, other = Home(tmp_path), Target("gpu-1"), Target("gpu-2")
    assert named(home, one) == {}
    remember(home, one, {"ai_tls_key_file": "/k", "ai_extra_ca_file": None, "ai_domain": "ai.example.com"})
    remember(home, one, {"ai_cloudflare_token_file": "/t"})
    assert named(home, one) == {"ai_tls_key_file": "/k", "ai_cloudflare_token_file": "/t"}
    assert named(home, other) == {}


def test_nothing_is_known_where_the_note_cannot_be_read(tmp_path: Path) -> None:
    home, target = Home(tmp_path), Target("gpu-1")
    remember(home, target, {"ai_tls_key_file": "/k"})
    note = next((tmp_path / "hosts").rglob("files.json"))
    for text in ("", "[1]", "{"):
        note.write_text(text)
        assert named(home, target) == {}
