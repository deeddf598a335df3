"""B.6 on Debian 12, whose own Docker is too old: the same story in short, with Docker's own packages."""

from __future__ import annotations

import json

import pytest

from host.lab import engine
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("B.6"), pytest.mark.timeout(1500)]


def test_docker_comes_from_its_makers(bookworm_host: Deployed) -> None:
    package = engine.run_in(bookworm_host.container, ["dpkg-query", "-W", "-f", "${Version}", "docker-ce"])
    assert package.endswith("bookworm")


def test_it_serves(bookworm_host: Deployed) -> None:
    assert json.loads(bookworm_host.curl("/health").text)["status"] == "ok"


def test_a_second_run_changes_nothing(bookworm_host: Deployed) -> None:
    outcome = bookworm_host.deploy("second run")
    assert outcome.status == 0, outcome.text[-6000:]
    assert "nothing had to be changed" in outcome.text, outcome.text


def test_a_printed_command_works(bookworm_host: Deployed) -> None:
    done = bookworm_host.ssh().run("cd /opt/ai && docker compose ps")
    assert done.rc == 0, done.stdout + done.stderr
    assert "gateway" in done.stdout
