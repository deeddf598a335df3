"""An own certificate that will not do is refused before a host is touched, with the reason (S0.6)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ai_services.host import certificate
from front.certificates import NOW, Signed, signed, write

DOMAIN = "ai.lab.test"
ROOT = signed("Root")
MIDDLE = signed("Middle", ROOT)
LEAF = signed(DOMAIN, MIDDLE, names=(DOMAIN,), fetchable=True)


def problems(chain: Path, key: Path, domain: str) -> list[str]:
    return [str(flaw) for flaw in certificate.problems(chain, key, domain)]


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param((LEAF, MIDDLE), id="with intermediate"),
        pytest.param((LEAF, MIDDLE, ROOT), id="with root"),
        pytest.param((signed("x", MIDDLE, names=("other.test", "*.lab.test")), MIDDLE), id="wildcard"),
        pytest.param((signed("x", names=(DOMAIN,)),), id="self-signed"),
        pytest.param((signed("x", ROOT, names=(DOMAIN.upper(),)),), id="private root, capitals"),
    ],
)
def test_a_good_one_is_taken(tmp_path: Path, chain: tuple[Signed, ...]) -> None:
    assert problems(*write(tmp_path, "own", chain), DOMAIN) == []


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    [problem] = problems(*write(tmp_path, "own", (LEAF, MIDDLE), MIDDLE), DOMAIN)
    assert "is not the key of the first certificate" in problem


def test_the_wrong_order_is_refused(tmp_path: Path) -> None:
    found = problems(*write(tmp_path, "own", (MIDDLE, LEAF), LEAF), DOMAIN)
    assert "did not issue certificate 1" in found[-1]
    [stranger] = problems(*write(tmp_path, "own", (LEAF, ROOT)), DOMAIN)
    assert "certificate 2 (CN=Root) did not issue certificate 1" in stranger


def test_a_missing_intermediate_is_noticed(tmp_path: Path) -> None:
    [problem] = problems(*write(tmp_path, "own", (LEAF,)), DOMAIN)
    assert "lacks the intermediate certificate (CN=Middle)" in problem


@pytest.mark.parametrize("names", [("other.test",), ("*.deeper.ai.lab.test",), ("*.test",), ("lab.test",)])
def test_another_name_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    [problem] = problems(*write(tmp_path, "own", (signed("x", names=names),)), DOMAIN)
    assert f"is for {names[0]}, not for {DOMAIN}" in problem


def test_times_are_looked_at(tmp_path: Path) -> None:
    def only(begins_d: float, ends_d: float) -> str:
        made = signed("x", names=(DOMAIN,), begins=NOW + timedelta(days=begins_d), ends=NOW + timedelta(days=ends_d))
        [problem] = problems(*write(tmp_path, "own", (made,)), DOMAIN)
        return problem

    assert "ended on" in only(-90, -1)
    assert "within 7 days" in only(-90, 3)
    assert "is not valid before" in only(1, 90)


def test_files_that_hold_something_else_are_named(tmp_path: Path) -> None:
    chain, key = write(tmp_path, "own", (LEAF, MIDDLE))
    assert "holds no private key" in problems(chain, chain, DOMAIN)[0]
    assert "holds no certificate" in problems(key, key, DOMAIN)[0]
    assert "cannot be read: No such file" in problems(tmp_path / "none.crt", key, DOMAIN)[0]
    key.write_bytes(LEAF.key_pem(b"secret"))
    assert "is encrypted" in problems(chain, key, DOMAIN)[0]
