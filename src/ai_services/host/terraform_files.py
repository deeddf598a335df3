"""Terraform's variables, made from the same models as everything else: variables.tf, settings.tf, hosts.tf.

Each validation has a name of its own in a comment above it, by which its test finds it (terraform/tests).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from ai_services.host.hcl_rules import condition, literal, type_of
from ai_services.host.machine_settings import FOR_ALL, MachineSettings
from ai_services.host.settings import HostSettings
from ai_services.host.settings_table import Variable, table
from ai_services.host.terraform_rules import RULES, Rule

MADE: Final = (
    "# Made by `python -m ai_services.host.documents` from src/ai_services/host/{source}; change that instead."
)

_OF_HOSTS: Final = (
    "Hosts by a short name. Each may have a value of its own for whatever is listed here, and has the single "
    'variable\'s otherwise. By default one host, called "ai".'
)
_LOCALS: Final = """\
  given = {
    for name, host in var.ai_hosts :
    name => merge(local.common, { for key, value in host : key => value if value != null })
  }

  # Files by their whole path: what is called later has another working directory.
  hosts = {
    for name, host in local.given :
    name => merge(host, {
      for key, value in host : key => abspath(pathexpand(value)) if endswith(key, "_file") && value != null
    })
  }

  # What `ai deploy` is told of a host.
  settings = {
    for name, host in local.hosts :
    name => { for key, value in host : key => value if contains(local.setting_names, key) && value != null }
  }"""


@dataclass(frozen=True)
class Validation:
    """One validation block: the `variable` it is in, its `name` there, and its two arguments as they are written."""

    variable: str
    name: str
    condition: str
    message: str

    @property
    def id(self) -> str:
        """Return the name of the run that proves it."""
        return f"{self.variable}__{self.name}"


def machine_variables() -> dict[str, Variable]:
    """Return Terraform's own variables by name."""
    return table(MachineSettings)


def all_variables() -> dict[str, Variable]:
    """Return every variable of the root but ai_hosts, the machine's first."""
    return {**machine_variables(), **table(HostSettings)}


def per_host() -> dict[str, Variable]:
    """Return what one host in ai_hosts may have otherwise than the others."""
    return {name: row for name, row in all_variables().items() if name not in FOR_ALL}


def validations() -> list[Validation]:
    """Return every validation of the root module, in the order of the files."""
    return [rule for row in all_variables().values() for rule in _of_variable(row)] + _of_hosts()


def variables_file() -> str:
    """Return terraform/variables.tf."""
    return _file("machine_settings.py", machine_variables())


def settings_file() -> str:
    """Return terraform/settings.tf."""
    return _file("settings.py", table(HostSettings))


def hosts_file() -> str:
    """Return terraform/hosts.tf: ai_hosts, and what each host has after all."""
    parts = [MADE.format(source="machine_settings.py and settings.py"), "", 'variable "ai_hosts" {']
    parts += [
        f"  description = {literal(_OF_HOSTS)}",
        "  type = map(object({",
        *(f"    {name} = optional({type_of(row.kind)})" for name, row in per_host().items()),
        "  }))",
        "  default  = { ai = {} }",
        "  nullable = false",
        *(line for rule in _of_hosts() for line in _block(rule)),
        "}",
        "",
        "locals {",
        "  # What every host has that says nothing else.",
        "  common = {",
        *(f"    {name} = var.{name}" for name in per_host()),
        "  }",
        "",
        *_LOCALS.splitlines(),
        "",
        "  setting_names = [",
        *(f"    {literal(name)}," for name in table(HostSettings) if name not in FOR_ALL),
        "  ]",
        "}",
    ]
    return formatted("\n".join(parts) + "\n")


def _file(source: str, rows: dict[str, Variable]) -> str:
    parts = [MADE.format(source=source)]
    for group, entries in groupby(rows.values(), key=lambda row: row.about.group):
        parts += ["", f"# --- {group}"]
        for row in entries:
            parts += ["", *_variable(row)]
    return formatted("\n".join(parts) + "\n")


def _variable(row: Variable) -> Iterator[str]:
    needed = f" Needed {row.about.required}." if row.about.required else ""
    yield f'variable "{row.name}" {{'
    yield f"  description = {literal(f'{row.text}{needed}')}"
    yield f"  type = {type_of(row.kind)}"
    yield f"  default = {literal(row.default)}"
    if not row.kind.optional:
        yield "  nullable = false"
    if row.about.secret and not row.given_as_file:
        # Never in state, plan or logs.
        yield "  sensitive = true"
        yield "  ephemeral = true"
    for rule in _of_variable(row):
        yield from _block(rule)
    yield "}"


def _block(rule: Validation) -> list[str]:
    return [
        "",
        f"  # {rule.name}",
        "  validation {",
        f"    condition = {rule.condition}",
        f"    error_message = {rule.message}",
        "  }",
    ]


def _of_variable(row: Variable) -> list[Validation]:
    found = []
    if (right := condition(row.kind, f"var.{row.name}")) is not None:
        found.append(Validation(row.name, "form", right, literal(f"{row.name}: give {row.kind.words()}.")))
    return found + [_together(rule) for rule in RULES if rule.variable == row.name]


def _together(rule: Rule) -> Validation:
    holds = re.sub(r"\{(ai_\w+)\}", lambda hit: _own(hit[1]), rule.holds)
    if rule.of_all:
        holds = re.sub(r"\bhosts\b", "values(var.ai_hosts)", holds)
        return Validation(rule.variable, rule.name, holds, literal(f"{rule.variable}: {rule.why}. {rule.right}"))
    wrong = f'join(", ", [for name, host in var.ai_hosts : name if !({holds})])'
    message = literal(f"{rule.variable} (host \0): {rule.why}. {rule.right}").replace("\\u0000", f"${{{wrong}}}")
    return Validation(rule.variable, rule.name, f"alltrue([for host in values(var.ai_hosts) : {holds}])", message)


def _own(name: str) -> str:
    """Return the expression for what the host at hand has."""
    return f"var.{name}" if name in FOR_ALL else f"(host.{name} == null ? var.{name} : host.{name})"


def _of_hosts() -> list[Validation]:
    name = "[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?"
    found = [
        Validation("ai_hosts", "some", "length(var.ai_hosts) > 0",
                   literal("ai_hosts: is empty. Name at least one host, or leave it out for one called ai.")),
        Validation("ai_hosts", "names", f'alltrue([for name in keys(var.ai_hosts) : can(regex("^{name}$", name))])',
                   literal("ai_hosts: a host's name is up to 32 small letters, digits and hyphens; first a letter.")),
    ]  # fmt: skip
    for row in per_host().values():
        right = condition(row.kind, f"host.{row.name}")
        if right is None:
            continue
        if not row.kind.optional:
            right = f"host.{row.name} == null ? true : {right}"
        wrong = f'${{join(", ", [for name, host in var.ai_hosts : name if !({right})])}}'
        message = literal(f"ai_hosts (host \0): {row.name}: give {row.kind.words()}.").replace("\\u0000", wrong)
        found.append(
            Validation("ai_hosts", row.name, f"alltrue([for host in values(var.ai_hosts) : {right}])", message)
        )
    return found


def formatted(text: str) -> str:
    """Return the text as `terraform fmt` would, as far as these files need it: neighbouring `=` stand in one column."""
    lines = text.splitlines()
    done: list[str] = []
    run: list[tuple[str, str, str]] = []

    def flush() -> None:
        width = max((len(key) for _, key, _ in run), default=0)
        done.extend(f"{indent}{key.ljust(width)} = {value}" for indent, key, value in run)
        run.clear()

    for line in lines:
        hit = re.fullmatch(r"( +)(\w+) += (.*)", line)
        if hit and (not run or run[0][0] == hit[1]):
            run.append((hit[1], hit[2], hit[3]))
            if not hit[3].endswith(("{", "[", "({")):
                continue
            # A value of several lines keeps out of the column.
            last = run.pop()
            flush()
            done.append(f"{last[0]}{last[1]} = {last[2]}")
            continue
        flush()
        if hit:
            run.append((hit[1], hit[2], hit[3]))
        else:
            done.append(line)
    flush()
    return "\n".join(done) + "\n"
