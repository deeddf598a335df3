"""`ai deploy HOST`: from a bare machine to a served domain, told as phases."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, FAILED, OK, OperatorError
from ai_services.host import connect, named_files, ssh_errors
from ai_services.host.phases import Story, duration
from ai_services.host.playbook import Run, log_path
from ai_services.host.releases import Releases
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.host.target import Target, remote_hint
from ai_services.local.home import Home
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json

SITE, PREFLIGHT = "site.yml", "preflight.yml"
# Of what a failing step said; a person reads the beginning, and the log has the rest.
_LINES_OF_REASON = 5
# Where the host keeps the keys that open its front door, one a line.
KEY_FILE = "/opt/ai/secrets/api.key"


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `deploy` asked for: `check` plans only, `diff` shows lines, `wait_s` for a slow boot."""

    check: bool = False
    diff: bool = False
    wait_s: float = 0


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Deploy, or plan only. Returns the exit code.

    Raises:
        OperatorError: a setting is wrong, the host cannot be reached, refuses, or a step failed.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    target = wish.target(home)
    settings = wish.given().settings("deploy")
    home.create_root()
    target = connect.reach(target, screen, host_key=wish.host_key, wait_s=wish.wait_s)
    if not wish.check:
        Releases(target, screen).wait_for_orphan()
        named_files.remember(home, target, public(settings))
    log = log_path(home.logs, "deploy", target)
    only_plan = wish.check and not wish.diff
    screen.say(f"{'Planning for' if only_plan else 'Checking' if wish.check else 'Deploying to'} {target}; log: {log}")
    variables, secrets = split(settings)
    options = [*(["--check"] if wish.check and not only_plan else []), *(["--diff"] if wish.diff else [])]
    story = Story(screen, checking=wish.check)
    ansible = Run(PREFLIGHT if only_plan else SITE, target, variables, log, options, secrets, wish.verbose)
    try:
        status = ansible.go(story.take, story.tick)
    except KeyboardInterrupt:
        doing = story.doing
        story.close()
        screen.say(interrupted(target, doing, begun_changing=story.told.changed > 0, again=wish.host))
        raise
    finally:
        story.close()
    if status:
        raise failed(story, target, log, "deploy")
    return _told(story, settings, target, log, wish, as_json, time.monotonic() - begun)


def split(settings: HostSettings) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the variables, and apart from them the secrets that Ansible gets as files (file variable -> content)."""
    secrets = {"ai_ghcr_token_file": settings.ai_ghcr_token} if settings.ai_ghcr_token else {}
    return public(settings), secrets


def interrupted(target: Target, doing: str, *, begun_changing: bool, again: str) -> str:
    """Say in what state an interrupted run leaves the host."""
    if not begun_changing:
        return f"\n{target} was not changed."
    last = f" The step at hand ({doing}) may still come to its end there." if doing else ""
    return (
        f"\n{target} is half way.{last} What served before still does. "
        f"A second run goes on from here: ./ai deploy {again}"
    )


def failed(story: Story, target: Target, log: Path, verb: str) -> OperatorError:
    """Return the one reason why Ansible stopped."""
    where = f"Everything Ansible said: {log}"
    if not story.told.failures:
        return OperatorError("Ansible stopped without a word of why.", hint=where, detail=_tail(log))
    failure = story.told.failures[0]
    if failure.unreachable:
        error = ssh_errors.explain(failure.message, target)
        return OperatorError(
            f"During '{failure.task}' the host was lost: {error.message}",
            hint=f"{error.hint}\n  Then a second run goes on: ./ai {verb} {target}. {where}",
            exit_code=BLOCKED,
        )
    if story.told.plan.get("refusals") or failure.phase in ("Settings", "Looking at the host"):
        return OperatorError(failure.message.replace("\n", "\n  "), hint=where, exit_code=BLOCKED)
    again = f"After mending it, a second run goes on from here: ./ai {verb} {target}"
    lines = failure.message.strip().splitlines()
    if len(lines) > _LINES_OF_REASON + 1:
        lines[_LINES_OF_REASON:] = [f"and {len(lines) - _LINES_OF_REASON} more; the log has them"]
    return OperatorError(
        "\n  ".join([f"{failure.phase}: {failure.task} failed.", *lines]),
        hint=f"{again}\n  {where}",
        exit_code=FAILED,
    )


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])


def _told(
    story: Story, settings: HostSettings, target: Target, log: Path, wish: Wish, as_json: bool, seconds: float
) -> int:
    told, screen = story.told, Screen(json=as_json)
    url = address(settings, target)
    key_command = remote_hint(target, ["sudo", "cat", KEY_FILE])
    if as_json:
        print_json(
            {
                "host": str(target),
                "check": wish.check,
                "changed": told.changed,
                "changes": told.changes,
                "seconds": round(seconds, 1),
                "phases": [
                    {"name": phase.name, "seconds": round(phase.seconds, 1), "changed": phase.changed}
                    for phase in told.phases
                    if phase.done
                ],
                **told.plan,
                "verified": told.verified,
                "url": url,
                "api_key_file": KEY_FILE,
                "log": str(log),
            }
        )
        return OK
    if wish.check:
        _end_of_check(story, screen, target, wish, seconds)
        return OK
    for check in told.verified:
        screen.done(f"{check['name']}: {check['detail']}" if check.get("detail") else str(check["name"]))
    screen.say()
    changes = f"{told.changed} changes" if told.changed != 1 else "one change"
    screen.say(f"Done in {duration(seconds)}; {changes if told.changed else 'nothing had to be changed'}.")
    screen.say()
    screen.say(f"URL      {url}   (docs: {url}/docs)")
    screen.say(f"API key  {KEY_FILE} on the host: {key_command}")
    screen.say(f"Log      {log}")
    return OK


def address(settings: HostSettings, target: Target) -> str:
    """Return the URL under which the host is used."""
    if settings.ai_domain:
        return f"{'http' if settings.ai_tls == 'off' else 'https'}://{settings.ai_domain}"
    return f"http://{f'[{target.host}]' if ':' in target.host else target.host}"


def _end_of_check(story: Story, screen: Screen, target: Target, wish: Wish, seconds: float) -> None:
    if wish.diff:
        count = story.told.changed
        steps = "One step" if count == 1 else f"{count} steps"
        what = f"{steps} would change something" if count else "Nothing would be changed"
        screen.say(f"\n{what} on {target}; nothing was ({duration(seconds)}).")
    else:
        screen.say(f"This is the plan; {target} was not changed ({duration(seconds)}).")
    screen.say(f"Carry it out: ./ai deploy {wish.host}")
