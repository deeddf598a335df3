"""A migrated host asked from outside, and its front door from within: the old routes may be as open as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from front.test_role_parts import loaded

from ai_services.host.verify import WrongError, _Visitor

OPEN = ("/transcribe", "/transcribe/url", "/queue/status")


class Outside:
    """A host with some routes that ask for no key; port 80 sends to https, but for the old API's own paths."""

    url = "https://ai.example.com"

    def __init__(self, *opened: str, old: tuple[str, ...] = ()) -> None:
        self.opened, self.old = opened, old

    @contextlib.contextmanager
    def session(self, key: str | None) -> Iterator[Any]:
        del key
        yield self

    def request(self, method: str, url: str, **_: Any) -> Any:
        del method
        return SimpleNamespace(status_code=422 if url.removeprefix(self.url) in self.opened else 401)

    def get(self, url: str, **_: Any) -> Any:
        path = "/" + url.split("/", 3)[3]
        if path in self.old:
            return SimpleNamespace(status_code=401, headers={})
        return SimpleNamespace(status_code=308, headers={"Location": f"https://ai.example.com{path}"})


def visitor(outside: Outside, **settings: Any) -> _Visitor:
    there: Any = outside
    return _Visitor(there, settings, "key")


class TestKeys:
    def test_seeds_routes_are_as_open_as_they_were(self) -> None:
        """They are ours, too: every migrated seed host failed here."""
        said = visitor(Outside(*OPEN), ai_old_api=["seed"], ai_old_api_keyless=True).no_key()
        assert said == "401 on 6 routes; /transcribe, /transcribe/url, /queue/status as open as before the migration"

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"ai_old_api": ["seed"], "ai_old_api_keyless": False},
            {"ai_old_api": ["asr"], "ai_old_api_keyless": True},
        ],
    )
    def test_nowhere_else(self, settings: dict[str, Any]) -> None:
        with pytest.raises(WrongError, match=r"not 401.*transcribe"):
            visitor(Outside("/transcribe"), **settings).no_key()

    def test_what_was_never_open_is_not_now(self) -> None:
        with pytest.raises(WrongError, match="/api/tags"):
            visitor(Outside(*OPEN, "/api/tags"), ai_old_api=["seed"], ai_old_api_keyless=True).wrong_key()


def test_port_80_may_answer_the_old_apis_own_paths() -> None:
    """/docs is one of seed's: what every path else does is what counts."""
    assert visitor(Outside(old=("/docs",))).redirect() == "308 to https://ai.example.com/"
    with pytest.raises(WrongError, match="port 80 answers 401"):
        visitor(Outside(old=("/",))).redirect()


class TestLook:
    """roles/nginx/files/look.py."""

    def problems(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, answers: dict[str, Any]) -> list[str]:
        role = loaded("files/look.py")
        certificate = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----"
        (tmp_path / "cert.pem").write_text(certificate)
        monkeypatch.setattr(role, "plain", lambda _, path: answers.get(path, answers["*"]))
        monkeypatch.setattr(role, "served_certificate", lambda _: b"0\n")
        wanted = SimpleNamespace(
            domain="ai.example.com", tls="own", certificate=str(tmp_path / "cert.pem"),
            unknown_http=False, unknown_https=False,
        )  # fmt: skip
        return list(role.problems(wanted))

    def test_an_old_route_on_port_80_is_no_problem(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        there = {"/docs?x=1": (401, None), "*": (308, "https://ai.example.com/?x=1")}
        assert self.problems(monkeypatch, tmp_path, there) == []

    def test_no_way_to_https_is_one(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        (said,) = self.problems(monkeypatch, tmp_path, {"*": (404, None)})
        assert "does not lead to https for ai.example.com: it said 404" in said
