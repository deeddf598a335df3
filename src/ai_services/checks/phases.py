"""The table of phases: what `./ai test` does, in the order in which it is told."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ai_services.checks import commands, host, hygiene, locks, terraform, tree
from ai_services.checks.outcome import Outcome

Check = Callable[[Path], Outcome]


@dataclass(frozen=True)
class Phase:
    """One static check. `cost` orders them when they run side by side: dear ones first."""

    name: str
    about: str
    check: Check
    cost: int = 1


def _format(top: Path) -> Outcome:
    status, output = commands.call([commands.tool("ruff"), "format", "--check", "."], cwd=top)
    return Outcome.of_check(status == 0, output + "\nmend: .venv/bin/ruff format .")


def _lint(top: Path) -> Outcome:
    status, output = commands.call([commands.tool("ruff"), "check", "."], cwd=top)
    return Outcome.of_check(status == 0, output)


def _types(top: Path) -> Outcome:
    """Mypy over the packages and the root's tests, then over each package's own tests.

    Apart, because every package calls its test folder `tests`: in one run, files of the same name would collide.
    """
    packages = sorted(
        path.parent for path in [*top.glob("libs/*/pyproject.toml"), *top.glob("images/*/pyproject.toml")]
    )
    code = [str((p / p.name.replace("-", "_")).relative_to(top)) for p in packages]
    targets = [["src", *code, "tests"], *([str((p / "tests").relative_to(top))] for p in packages)]
    words, ok = [], True
    for target in targets:
        if not any(True for name in target for _ in (top / name).rglob("*.py")):
            continue
        status, output = commands.call([commands.tool("mypy"), "--no-error-summary", *target], cwd=top)
        ok = ok and status == 0
        words.append(output)
    return Outcome.of_check(ok, "".join(words))


def _shell(top: Path) -> Outcome:
    scripts = [str(path.relative_to(top)) for path in tree.shell_scripts(top)]
    if not scripts:
        return Outcome.of_check(False, "no shell script was found, and `ai` is one: the search is broken")
    status, output = commands.call([commands.tool("shellcheck"), *scripts], cwd=top)
    return Outcome.of_check(status == 0, output)


def _yaml(top: Path) -> Outcome:
    documents = [str(path.relative_to(top)) for path in tree.with_suffix(top, ".yml", ".yaml")]
    if not documents:
        return Outcome.of_check(True)
    status, output = commands.call([commands.tool("yamllint"), "--strict", *documents], cwd=top)
    return Outcome.of_check(status == 0, output)


def _locks(top: Path) -> Outcome:
    return Outcome.of_findings(locks.findings(top))


def _hygiene(top: Path) -> Outcome:
    found = hygiene.findings(top)
    for path in tree.shell_scripts(top):
        if not path.stat().st_mode & stat.S_IXUSR and path.suffix == "":
            found.append(f"{path.relative_to(top)}: has a shebang and is not executable; chmod +x")
    return Outcome.of_findings(found)


STATIC = (
    Phase("types", "mypy --strict over packages and tests", _types, cost=10),
    Phase("format", "ruff format --check", _format),
    Phase("lint", "ruff check", _lint),
    Phase("shell", "shellcheck over every shell script", _shell, cost=2),
    Phase("yaml", "yamllint", _yaml),
    Phase("locks", "requirements/*.txt hold what *.in and pyproject.toml ask for, hashed", _locks),
    Phase("roles", "ansible-lint, production profile", host.ansible_lint, cost=9),
    Phase("playbooks", "ansible-playbook --syntax-check, as a run would read them", host.ansible_syntax, cost=3),
    Phase("images", "hadolint over every Dockerfile", host.dockerfiles),
    Phase("workflows", "actionlint", host.workflows),
    Phase("terraform", "terraform fmt and validate", terraform.form_and_validity, cost=2),
    Phase("terraform-lint", "tflint over the root and every module", terraform.lint, cost=2),
    Phase("terraform-scan", "checkov", terraform.scan, cost=8),
    Phase(
        "documents", "pages, schema, example and role READMEs are what the settings make of them", host.made_documents
    ),
    Phase("hygiene", "addresses, heavy files, left-overs, dead links", _hygiene),
)

# The tests of single parts, then those that need the whole stack with its models.
UNIT_MARKS = "not (stack or bench or host or long or ollama)"
STACK_MARKS = "stack and not (bench or host or long or ollama)"
# What would not fit into ten minutes on two cores, and what needs an Ollama that a newcomer does not have.
# One after the other: two Ollamas on two cores wait for each other, a minute for ten words.
LONG_MARKS = "(long or ollama) and not (stack or bench or host)"
LONG_STACK_MARKS = "stack and (long or ollama) and not (bench or host)"
# A choice of tests by path or -k is a choice: nothing of it is left out for its time.
CHOSEN_MARKS = "not (bench or host)"
LONG_CHOSEN_MARKS = "(long or ollama) and not (bench or host)"
