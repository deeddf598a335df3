"""The host's half of a migration, called as the operator's side calls it: what it is asked, and what it answers."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import pytest
from ai_stack.migration import tool

ORDER = {"id": "20261121-210000-abcdef", "old": {"containers": [], "units": []}, "keep_files": []}


def test_each_port_has_a_helper_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-p 9000:9000 -p 9001:9000`: nginx takes no two doors on one port."""
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({**ORDER, "redirects": [9000, 9001], "needs_relay": True})))
    order = tool._begin(argparse.Namespace(by="me@here"))["state"]["order"]
    assert len({*order["in_place_of"].values(), order["relay_port"]}) == 3
