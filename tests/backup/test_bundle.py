"""The host's part is one file that any Python from 3.9 on runs, with nothing else installed."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ai_services.backup.host
from ai_services.backup.bundle import build

SHIPPED = sorted(Path(ai_services.backup.host.__file__).parent.rglob("*.py"))
# Brought by the role where backups go to a bucket, and asked for only then.
OF_THE_HOST = {"boto3", "botocore"}


def test_the_bytes_depend_on_the_sources_alone(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a"), build(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o755
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == sorted(archive.namelist())
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_it_runs_alone(tmp_path: Path) -> None:
    program = str(build(tmp_path / "ai-backup"))
    ran = subprocess.run([sys.executable, "-I", "-S", program], capture_output=True, text=True, check=False, cwd="/")
    assert "collect" in ran.stderr
    assert ran.returncode == 1
    ran = subprocess.run(
        [sys.executable, "-I", "-S", program, "try"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert "ai_backup_recipients" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("source", SHIPPED, ids=lambda path: path.name)
def test_python_3_9_reads_it_and_it_needs_nothing_but_the_standard_library(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 9))
    known = set(sys.stdlib_module_names) | OF_THE_HOST
    for node in ast.walk(tree):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            ours = name.startswith("ai_services.backup.host")
            assert ours or name.split(".", maxsplit=1)[0] in known, f"{source.name} imports {name}"
    if any(isinstance(node, ast.Match) for node in ast.walk(tree)):
        pytest.fail(f"{source.name}: match came with Python 3.10")
