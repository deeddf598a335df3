"""Reads nginx's configuration as `nginx -T` dumps it: its server blocks, and to whom each location hands requests."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ai_services.migrate.found import Port, Site

_TOKEN = re.compile(
    r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\$\{\w+\}|[{};]|(?:\\.|\$\{\w+\}|[^\s{};"'#])+|\s+"""
)
_DEEPEST = 20
_GUARDS = {"auth_basic", "auth_request", "allow", "deny", "ssl_verify_client", "auth_jwt", "secure_link"}


@dataclass
class Directive:
    """One directive: its words, its line, and what stands in its block."""

    words: list[str]
    line: int
    block: list[Directive] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0] if self.words else ""

    @property
    def first(self) -> str:
        """Its first argument."""
        return self.words[1] if len(self.words) > 1 else ""


def parse(text: str) -> list[Directive]:
    """Return the directives of one file; what is broken is left out."""
    top: list[Directive] = []
    stack = [top]
    words: list[str] = []
    line = begun = 1
    for mark in _TOKEN.findall(text):
        if mark == ";":
            if words:
                stack[-1].append(Directive(words, begun))
            words = []
        elif mark == "{":
            directive = Directive(words, begun)
            stack[-1].append(directive)
            stack.append(directive.block)
            words = []
        elif mark == "}":
            words = []
            if len(stack) > 1:
                stack.pop()
        elif not mark.isspace() and not mark.startswith("#"):
            if not words:
                begun = line
            words.append(mark[1:-1] if mark[0] in "\"'" else mark)
        line += mark.count("\n")
    return top


@dataclass
class Block:
    """A server block: where it stands, its site, whether it only sends elsewhere, and its locations' first words."""

    site: Site
    sends_elsewhere: bool
    locations: dict[str, list[str]]


def blocks(files: Mapping[str, str], links: Mapping[str, str]) -> list[Block]:
    """Return every server block of these files (path -> text), includes followed where they stand in one."""
    parsed = {path: parse(text) for path, text in files.items()}
    upstreams: dict[str, list[str]] = {}
    for directives in parsed.values():
        for one in _named(directives, "upstream"):
            upstreams[one.first] = [server.first for server in one.block if server.name == "server"]
    return [
        _block(path, server, parsed, upstreams, links)
        for path, directives in parsed.items()
        for server in _named(directives, "server")
        if server.block
    ]


def _named(directives: list[Directive], name: str, depth: int = 0) -> Iterator[Directive]:
    for one in directives:
        if one.name == name:
            yield one
        elif one.block and depth < _DEEPEST and one.name not in ("upstream", "stream", "mail"):
            yield from _named(one.block, name, depth + 1)


def _block(
    path: str,
    server: Directive,
    parsed: Mapping[str, list[Directive]],
    upstreams: Mapping[str, list[str]],
    links: Mapping[str, str],
) -> Block:
    inside = list(_expanded(server.block, parsed))
    listens = [one for one in inside if one.name == "listen" and len(one.words) > 1]
    certificate, key = (
        # What is no whole path is meant from nginx's own folder.
        next((_whole(one.first) for one in inside if one.name == name), "")
        for name in ("ssl_certificate", "ssl_certificate_key")
    )
    variables = {one.first: one.words[2] for one in inside if one.name == "set" and len(one.words) > 2}
    targets: dict[str, str] = {}
    locations: dict[str, list[str]] = {}
    moved = []
    guards = {one.name for one in inside if _guards(one)}
    for place, directives in _locations(inside, parsed):
        guards |= {one.name for one in directives if _guards(one)}
        locations[place] = sorted({one.name for one in directives})
        local = variables | {one.first: one.words[2] for one in directives if one.name == "set" and len(one.words) > 2}
        for one in directives:
            if one.name == "proxy_pass":
                targets[place] = _target(one.first, local, upstreams)
                if _moves(place, targets[place]) or "rewrite" in locations[place]:
                    moved.append(place)
    returns = [one for one in inside if one.name == "return" and len(one.words) > 1]
    returns += [one for _, ds in _locations(inside, parsed) for one in ds if one.name == "return"]
    sends = not targets and any(one.first.startswith("30") and "https" in " ".join(one.words) for one in returns)
    names = [name for one in inside if one.name == "server_name" for name in one.words[1:]]
    site = Site(
        file=links.get(path, path),
        line=server.line,
        names=_names(names),
        listens=tuple(dict.fromkeys(port for one in listens if (port := _port(one.first)))) or (Port("0.0.0.0", 80),),  # noqa: S104 -- nginx's default
        tls=any("ssl" in one.words[2:] for one in listens)
        or any(one.name == "ssl" and one.first == "on" for one in inside),
        certificate=certificate,
        key=key,
        targets=targets,
        link=path if path in links else "",
        moved=tuple(dict.fromkeys(moved)),
        guards=tuple(sorted(guards)),
        default=any("default_server" in one.words[2:] or "default" in one.words[2:] for one in listens),
    )
    return Block(site, sends, locations)


def _whole(path: str) -> str:
    return path if path.startswith("/") or ":" in path or "$" in path else f"/etc/nginx/{path}"


def _names(names: list[str]) -> tuple[str, ...]:
    """The names as nginx compares them: in small letters; `.a.example` is two of them."""
    small = [name if name.startswith("~") else name.lower() for name in names if name not in ("", "_")]
    both = [each for name in small for each in ([name[1:], f"*{name}"] if name.startswith(".") else [name])]
    return tuple(dict.fromkeys(both))


def _guards(one: Directive) -> bool:
    return one.name in _GUARDS and one.first not in ("off", "all" if one.name == "allow" else "off")


def _moves(place: str, url: str) -> bool:
    """Tell whether what is handed on has another path than what was asked for (a URI in proxy_pass replaces it)."""
    *modifier, path = place.split(" ")
    uri = re.sub(r"^https?://[^/]*", "", url)
    return bool(uri) and modifier not in (["~"], ["~*"]) and uri != path


def _expanded(
    directives: list[Directive], parsed: Mapping[str, list[Directive]], depth: int = 0
) -> Iterator[Directive]:
    for one in directives:
        if one.name == "include" and depth < _DEEPEST:
            pattern = one.first if one.first.startswith("/") else f"/etc/nginx/{one.first}"
            for path in sorted(parsed):
                if fnmatch.fnmatchcase(path, pattern):
                    yield from _expanded(parsed[path], parsed, depth + 1)
        else:
            yield one


def _locations(
    directives: list[Directive], parsed: Mapping[str, list[Directive]], depth: int = 0
) -> Iterator[tuple[str, list[Directive]]]:
    for one in directives:
        if one.name == "location" and depth < _DEEPEST:
            inside = list(_expanded(one.block, parsed))
            place = " ".join(one.words[1:])
            yield place, [*inside, *(inner for cond in inside if cond.name == "if" for inner in cond.block)]
            yield from _locations(inside, parsed, depth + 1)


def _port(words: str) -> Port | None:
    if words.startswith("unix:"):
        return None
    if words.isdigit():
        return Port("0.0.0.0", int(words))  # noqa: S104 -- where nginx listens then
    address, _, number = words.rpartition(":")
    if number.isdigit() and address:
        return Port("0.0.0.0" if address == "*" else address.strip("[]"), int(number))  # noqa: S104 -- compared
    return Port(words.strip("[]"), 80)


def _target(url: str, variables: Mapping[str, str], upstreams: Mapping[str, list[str]]) -> str:
    """Return the URL with variables put in and an upstream's name replaced by its first server."""
    for name, value in variables.items():
        url = url.replace(name, value).replace(f"${{{name.removeprefix('$')}}}", value)
    matched = re.match(r"(https?://)([^/:]+)(.*)$", url)
    if matched and (servers := upstreams.get(matched[2])):
        return f"{matched[1]}{servers[0]}{matched[3]}"
    return url
