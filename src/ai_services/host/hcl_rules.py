"""What a kind of value is in Terraform's language: its type, the condition that holds for a right one, a literal.

The conditions say what the kinds' `read` says, as far as Terraform can: RE2 knows no look-around, files cannot be
asked for their mode. `ai deploy` looks again with the whole of it.
"""

from __future__ import annotations

import json
from functools import singledispatch
from typing import Any

from ai_services.host.machine_settings import Address
from ai_services.host.settings_kinds import (
    ANY,
    Branch,
    Choice,
    Domain,
    File,
    Flag,
    Kind,
    Network,
    Networks,
    Several,
    Text,
    Url,
    Whole,
)


def literal(value: Any) -> str:
    """Return a value as Terraform writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(entry) for entry in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def type_of(kind: Kind) -> str:
    """Return the type constraint of a variable of this kind."""
    if isinstance(kind, Several):
        return f"list({type_of(kind.item)})"
    return {"int": "number", "bool": "bool"}.get(kind.ansible_type, "string")


def condition(kind: Kind, name: str) -> str | None:
    """Return the condition under which the expression `name` is right, or None where the type says it all."""
    found = _rule(kind, name)
    if found is None or not kind.optional:
        return found
    # `||` evaluates both sides; of a conditional only the side taken may fail.
    return f"{name} == null ? true : {found}"


def _matches(pattern: str, name: str) -> str:
    return f"can(regex({literal(f'^(?:{pattern})$')}, {name}))"


@singledispatch
def _rule(kind: Kind, _name: str) -> str | None:
    raise TypeError(f"{type(kind).__name__} has no rule in Terraform's language yet")


@_rule.register
def _(kind: Choice, name: str) -> str:
    return f"contains({literal(kind.options)}, {name})"


@_rule.register
def _(kind: Whole, name: str) -> str:
    return f"floor({name}) == {name} && {name} >= {kind.least} && {name} <= {kind.most}"


@_rule.register
def _(_kind: Flag, _name: str) -> None:
    return None


@_rule.register
def _(kind: Text, name: str) -> str:
    pattern, ends_with_word = kind.pattern.removesuffix(r"(?<=[\w])"), kind.pattern.endswith(r"(?<=[\w])")
    return _matches(pattern, name) + (f" && {_matches('.*[0-9A-Za-z_]', name)}" if ends_with_word else "")


@_rule.register
def _(_kind: Domain, name: str) -> str:
    label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    long_enough, names = _matches(".{4,254}", name), _matches(rf"{label}(?:\.{label})+\.?", name)
    return f'{names} && {long_enough} && !can(cidrhost("${{{name}}}/32", 0))'


@_rule.register
def _(kind: Url, name: str) -> str:
    return _matches(f"(?:{'|'.join(kind.schemes)})://[^ /?#]+[^ ]*", name)


@_rule.register
def _(kind: Branch, name: str) -> str:
    # Numbers between two limits, as a pattern would be hard to read.
    number = f"try(tonumber({name}), 0)"
    return f'{name} == "auto" || floor({number}) == {number} && {number} >= {kind.least} && {number} <= {kind.most}'


@_rule.register
def _(kind: Address, name: str) -> str:
    v4, v6 = f'can(cidrhost("${{{name}}}/32", 0))', f'can(cidrhost("${{{name}}}/128", 0))'
    has_colon = f'strcontains({name}, ":")'
    if kind.family == 4:
        return f"{v4} && !{has_colon}"
    if kind.family == 6:
        return f"{has_colon} && {v6}"
    return f"{has_colon} ? {v6} : {v4}"


@_rule.register
def _(_kind: Network, name: str) -> str:
    bits = f'(strcontains({name}, ":") ? 128 : 32)'
    address = f'"${{split("/", {name})[0]}}/${{{bits}}}"'
    return (
        f'strcontains({name}, "/") ? try(cidrhost({name}, 0) == cidrhost({address}, 0), false) '
        f": can(cidrhost({address}, 0))"
    )


@_rule.register
def _(kind: Several, name: str) -> str:
    return f"alltrue([for each in {name} : {_rule(kind.item, 'each')}])"


@_rule.register
def _(kind: Networks, name: str) -> str:
    every = f"alltrue([for each in {name} : {_rule(kind.item, 'each')}])"
    return f'length({name}) > 0 && (join(",", {name}) == "{ANY}" || {every})'


@_rule.register
def _(kind: File, name: str) -> str:
    content = f"file(pathexpand({name}))"
    holds = (
        f"strcontains({content}, {literal(kind.holds)})" if kind.holds.strip() else f"length(trimspace({content})) > 0"
    )
    return f"try(fileexists(pathexpand({name})) && {holds}, false)"
