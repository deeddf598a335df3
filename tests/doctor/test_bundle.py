"""B.5: the doctor is one file that any Python from 3.9 on runs, with nothing else installed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import ai_services.doctor
from ai_services.doctor.bundle import build
from ai_services.doctor.facts import OBSERVERS

pytestmark = pytest.mark.promise("B.5")

SOURCES = sorted(Path(ai_services.doctor.__file__).parent.rglob("*.py"))
SHIPPED = [source for source in SOURCES if source.name not in ("bundle.py", "manual.py")]


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bundle") / "doctor.pyz")


def run(pyz: Path, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(pyz), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd="/",
    )


def test_the_bytes_depend_on_the_sources_alone(pyz: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "again.pyz")
    assert again.read_bytes() == pyz.read_bytes()
    before = again.stat()
    build(again)
    assert again.stat().st_mtime_ns == before.st_mtime_ns, "what is there already is written again"
    assert before.st_mode & 0o777 == 0o755
    with zipfile.ZipFile(pyz) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())


def test_it_runs_alone_and_tells_facts(pyz: Path) -> None:
    ran = run(pyz, "facts", "--domain", "localhost", "--domain", "nowhere.invalid")
    assert ran.returncode == 0, ran.stderr
    facts = json.loads(ran.stdout)
    assert set(OBSERVERS) | {"schema", "dns", "why"} == set(facts)
    assert facts["os"]["id"] == dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().replace('"', "").splitlines() if "=" in line
    )["ID"]  # fmt: skip
    assert facts["memory_mib"] > 100
    assert any(disk["mount"] == "/" for disk in facts["disks"])
    assert "127.0.0.1" in facts["dns"]["localhost"]
    for name, value in facts.items():
        if value is None and name in OBSERVERS and name not in ("secure_boot", "container_toolkit", "release"):
            assert facts["why"][name], f"{name} is null without a reason"


def test_it_runs_all_checks_on_a_machine_that_is_no_host(pyz: Path) -> None:
    ran = run(pyz, "--json", "--deadline", "60")
    report = json.loads(ran.stdout)
    assert report["exit_code"] == ran.returncode
    assert {row["name"] for row in report["checks"]} >= {"disk", "release", "gpu-bus", "transcription"}
    assert not [row for row in report["checks"] if "stumbled" in row["seen"] or "could not be judged" in row["seen"]]


def test_an_unknown_check_is_refused_by_name(pyz: Path) -> None:
    ran = run(pyz, "check", "--only", "dsik")
    assert ran.returncode == 2
    assert "dsik" in ran.stderr
    assert "disk" in ran.stderr


def test_a_reader_that_leaves_is_no_error(pyz: Path) -> None:
    ran = subprocess.run(
        ["sh", "-c", '"$0" -I -S "$1" facts | head -c 1', sys.executable, str(pyz)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout == "{"
    assert ran.stderr == ""


@pytest.mark.parametrize("source", SHIPPED, ids=lambda source: source.name)
def test_it_imports_nothing_but_itself_and_the_standard_library(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            known = name.split(".")[0] in sys.stdlib_module_names or name.startswith("ai_services.doctor")
            assert known, f"{source.name} imports {name}"


@pytest.mark.parametrize("source", SHIPPED, ids=lambda source: source.name)
def test_its_grammar_is_that_of_python_3_9(source: Path) -> None:
    ast.parse(source.read_text(), feature_version=(3, 9))
    assert "from __future__ import annotations" in source.read_text() or source.name == "__init__.py"


def test_an_old_python_runs_it_where_there_is_one(pyz: Path) -> None:
    places = Path(sys.base_prefix).parent.glob("3.9.*/bin/python3.9")
    old = next((place for place in [*places, Path("/usr/bin/python3.9")] if place.exists()), None)
    if old is None:
        pytest.skip(f"no Python 3.9 beside {sysconfig.get_python_version()} on this machine")
    ran = subprocess.run(
        [old, "-I", "-S", pyz, "--json", "--only", "disk"], capture_output=True, text=True, check=False
    )
    assert json.loads(ran.stdout)["checks"][0]["name"] == "disk", ran.stderr
