"""B.3: where an upgrade may go, what it breaks, and from which settings it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_services import __version__
from ai_services.exits import OperatorError
from ai_services.host import versions
from ai_services.verbs.upgrade import Wish, merged

pytestmark = pytest.mark.promise("B.3")

TABLE = """
- version: 0.9.0
- version: 0.10.0
  breaking: [{id: one, what: it was so, do: write it so}]
- version: 1.0.0
  breaking: [{id: two, what: it was so, do: write it so}]
"""


def test_this_version_is_in_the_table_and_every_break_says_what_to_do() -> None:
    known = versions.known()
    assert known[-1].version == __version__
    assert [release.version for release in known] == sorted((r.version for r in known), key=versions.number)
    breaks = [one for release in known for one in release.breaking]
    assert len({one.id for one in breaks}) == len(breaks)
    assert all(len(one.what) > 20 and len(one.do) > 20 for one in breaks)


@pytest.mark.parametrize(
    ("serving", "to", "ids"),
    [
        ("0.9.0", "1.0.0", ["one", "two"]),
        ("0.9.0", "0.10.0", ["one"]),
        ("0.10.0", "1.0.0", ["two"]),
        ("1.0.0", "1.0.0", []),
    ],
)
def test_what_breaks_is_what_lies_between(tmp_path: Path, serving: str, to: str, ids: list[str]) -> None:
    """Versions are numbers: 0.10 comes after 0.9."""
    (tmp_path / "table.yml").write_text(TABLE)
    assert [one.id for one in versions.breaking(serving, to, tmp_path / "table.yml")] == ids


def test_a_checkout_goes_to_its_own_version_alone() -> None:
    assert versions.goal(None, "0.1.0", "gpu-1", set()) == __version__
    assert versions.goal(f"v{__version__}", __version__, "gpu-1", set()) == __version__
    for wanted, serving, here, hint in (
        ("99.0.0", "0.1.0", set(), "git fetch --tags && git checkout v99.0.0 && ./ai upgrade gpu-1"),
        ("0.1.1", "0.1.0", set(), "git checkout v0.1.1 && ./ai upgrade gpu-1"),
        ("0.1.0", "0.1.5", {"0.1.0"}, "./ai rollback gpu-1 0.1.0"),
        ("0.1.0", "0.1.5", set(), "git checkout v0.1.0 && ./ai deploy gpu-1"),
        (None, "99.0.0", set(), "git pull"),
    ):
        with pytest.raises(OperatorError) as refused:
            versions.goal(wanted, serving, "gpu-1", here)
        assert hint in refused.value.hint


def test_an_upgrade_starts_from_what_the_host_was_made_with(tmp_path: Path) -> None:
    token, own = tmp_path / "token", tmp_path / "id_ed25519"
    for file in (token, own):
        file.write_text("x")
    record = {
        "accelerator": "cpu",
        "settings": {
            "ai_domain": "ai.example.com", "ai_version": "0.1.0", "ai_whisper_model": "small", "ai_accelerator": "auto",
            "ai_cloudflare_token_file": str(token), "ai_api_keys_file": "/nowhere/keys", "ai_gone_in_2": 1,
            "ai_tls_key_file": str(own), "ai_extra_ca_file": str(own),
        },
    }  # fmt: skip
    (tmp_path / "ai.yml").write_text("ai_whisper_model: tiny.en\n")
    given = merged(
        record, Wish("gpu-1", config=str(tmp_path / "ai.yml"), pairs=["ai_pids_limit=99"]), __version__,
        {
            "ai_cloudflare_token_file": str(token), "ai_extra_ca_file": str(token), "ai_api_keys_file": "/nowhere/keys",
        },
    ).values  # fmt: skip
    assert given["ai_domain"] == "ai.example.com"
    assert given["ai_accelerator"] == "auto"
    assert given["ai_whisper_model"] == "tiny.en", "what is said now is stronger"
    assert given["ai_pids_limit"] == "99"
    assert given["ai_version"] == __version__
    assert given["ai_cloudflare_token_file"] == str(token)
    assert "ai_api_keys_file" not in given, "a file of another machine"
    assert "ai_gone_in_2" not in given
    assert "ai_tls_key_file" not in given, "only the host says that it was named for it"
    assert "ai_extra_ca_file" not in given, "another one was"


def test_what_was_decided_is_not_taken_for_what_was_asked_for(tmp_path: Path) -> None:
    """0.1 noted `cpu` where `auto` was asked for: a card that came since would never be used."""
    (tmp_path / "ai.yml").write_text("{}\n")
    wish = Wish("gpu-1", config=str(tmp_path / "ai.yml"))
    assert "ai_accelerator" not in merged({"settings": {"ai_accelerator": "cpu"}}, wish, __version__, {}).values


def test_a_version_that_is_pinned_elsewhere_is_no_silent_loser(tmp_path: Path) -> None:
    (tmp_path / "ai.yml").write_text("ai_version: 0.1.0\n")
    with pytest.raises(OperatorError, match=r"ai_version is 0\.1\.0 from .*ai\.yml"):
        merged({}, Wish("gpu-1", config=str(tmp_path / "ai.yml")), __version__, {})
