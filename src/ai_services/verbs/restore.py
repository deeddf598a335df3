"""`ai restore HOST ARCHIVE`: a host with the keys, certificates and settings of a backup; or only a look at that."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ai_services.backup import comparing, making, onhost, opening, restored_settings, streams
from ai_services.backup.comparing import Differences, There
from ai_services.backup.host.archive import Manifest
from ai_services.backup.opening import Proven
from ai_services.backup.sealing import Keys, Seal, opened
from ai_services.console import Screen
from ai_services.exits import OK, OperatorError
from ai_services.host import connect
from ai_services.host.phases import Story, duration
from ai_services.host.playbook import Run, log_path
from ai_services.host.settings import HostSettings
from ai_services.host.target import Target
from ai_services.host.values import collect
from ai_services.local.home import Home
from ai_services.verbs import ask, backup
from ai_services.verbs.deploy import SITE, address, failed, interrupted, split
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `restore` asked for; `verify` only proves, `backup` saves what goes."""

    archive: str = ""
    identities: Sequence[str] = ()
    passphrase: bool = False
    passphrase_file: str | None = None
    verify: bool = False
    backup: bool = True
    yes: bool = False


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Check the archive, show what will happen, ask, do it, compare. Returns the exit code.

    Raises:
        OperatorError: the archive is refused (nothing was touched then), nobody agreed, or a step failed.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    target = wish.target(home)
    keys = _keys(wish, home)
    with screen.transfer("Fetching the archive", None) as advance:
        fetched = opening.fetched(wish.archive, advance)
    with fetched as source:
        with screen.transfer("Checking the archive", None) as advance:
            proven = opening.prove(source, keys, advance)
        screen.done("The archive is whole, and could be restored. It holds:")
        for line in backup.contents(proven.manifest):
            screen.say(f"  {line}")
        home.create_root()
        if wish.verify:
            told = _verified(wish, target, proven.manifest, screen)
        else:
            target = connect.reach(target, screen, host_key=wish.host_key)
            told = _restored(wish, target, source, keys, proven, home, screen)
    told["seconds"] = round(time.monotonic() - begun, 1)
    if as_json:
        print_json(told)
    else:
        screen.say(f"Done in {duration(told['seconds'])}.")
    return OK


def _keys(wish: Wish, home: Home) -> Keys:
    given = tuple(Path(path).expanduser() for path in wish.identities)
    own = backup.identity_file(home)
    asked = wish.passphrase or wish.passphrase_file
    return Keys(
        given or ((own,) if own.is_file() else ()),
        backup.passphrase(wish.passphrase_file, asks_twice=False) if asked else "",
    )


def _verified(wish: Wish, target: Target, manifest: Manifest, screen: Screen) -> dict[str, Any]:
    try:
        target = connect.reach(target, screen, host_key=wish.host_key)
        there = comparing.look(target).manifest
        if there and not comparing.is_of(manifest, there):
            screen.warn(
                f"This backup is one of {manifest.domain or manifest.host}, and {target} is "
                f"{there.domain or there.host}: that its own can be opened is not shown, so nothing is noted there."
            )
            return {"host": str(target), "verified": True, "noted": False, **_of(manifest)}
        onhost.record(target, proven={"id": manifest.id, "made": manifest.made, "how": "verified"})
    except OperatorError as error:
        # The archive is proven all the same: it may be all that is left of the host.
        screen.warn(f"{target} could not be told that this backup was proven. {error.message}")
        return {"host": str(target), "verified": True, "noted": False, **_of(manifest)}
    screen.done(f"{target} knows that this backup was proven now.")
    return {"host": str(target), "verified": True, "noted": True, **_of(manifest)}


def _of(manifest: Manifest) -> dict[str, Any]:
    return {"id": manifest.id, "made": manifest.made, "from": manifest.host, "domain": manifest.domain}


def _restored(
    wish: Wish, target: Target, source: BinaryIO, keys: Keys, proven: Proven, home: Home, screen: Screen
) -> dict[str, Any]:
    manifest = proven.manifest
    there, run = comparing.look(target), secrets.token_hex(8)
    _show(wish, target, manifest, there, screen)
    with opening.in_memory() as folder:
        settings = restored_settings.settings(manifest, proven.contents, _over(wish), folder)
        _say_what_differs(manifest, settings, screen)
        if not wish.yes:
            replaces = there.manifest or there.kept
            wanted = target.host if replaces else "yes"
            question = f"Type the host's name ({wanted})" if replaces else "Go on? (yes/no)"
            ask.agree(wanted, question, "restored")
        before = _backed_up(wish, target, home, screen) if there.manifest and wish.backup else None
        try:
            _send(target, source, keys, "lay-out", run)
            _deploy(wish, target, settings, run, home, screen)
        except BaseException as error:
            with suppress(OperatorError):
                onhost.ask(target, "drop", run)
            if before and isinstance(error, OperatorError):
                back = shlex.join(["./ai", "restore", wish.host, before])
                error.hint = f"{error.hint}\n  Or back to what it was: {back}".strip()
            raise
        onhost.ask(target, "drop", run)
    skipped = _streams(target, source, keys, manifest, screen)
    differs = _compared(target, manifest, screen)
    onhost.record(target, proven={"id": manifest.id, "made": manifest.made, "how": "restored"})
    url = address(settings, target)
    screen.say(f"URL      {url}")
    return {
        "host": str(target), "verified": False, **_of(manifest), "url": url, "before": before, "skipped": skipped,
        "differs": vars(differs),
    }  # fmt: skip


def _over(wish: Wish) -> dict[str, Any]:
    """What the operator says beside the archive. An ai.yml that merely lies here is of who knows which host."""
    config = wish.config or "/dev/null"
    return collect(config=config, pairs=wish.pairs, environment={}).values


def _show(wish: Wish, target: Target, manifest: Manifest, there: There, screen: Screen) -> None:
    screen.say()
    if there.manifest is None:
        screen.say(
            f"{target} serves nothing of ours. It will be deployed as {manifest.domain or manifest.host} was, with"
        )
        screen.say("the same keys, certificates and settings; its models are fetched.")
        if there.kept:
            screen.warn(f"Keys of an earlier host that lie there are replaced: {', '.join(sorted(there.kept))}")
        return
    first = "It is backed up first; then these are replaced:" if wish.backup else "These are replaced:"
    screen.warn(f"{target} serves {there.manifest.domain or 'plain HTTP'} already. {first}")
    for line in comparing.differences(manifest, there.manifest).words() or ["nothing: it is as the archive has it"]:
        screen.say(f"  - {line}")


def _say_what_differs(manifest: Manifest, settings: HostSettings, screen: Screen) -> None:
    if manifest.version and settings.ai_version != manifest.version:
        screen.warn(f"It will have version {settings.ai_version}; the archive is of {manifest.version}.")
    if names := restored_settings.left_out(manifest):
        screen.warn(f"Settings that this version does not have are left out: {', '.join(names)}")


def _backed_up(wish: Wish, target: Target, home: Home, screen: Screen) -> str:
    to = Seal((backup.own_recipient(home, screen),))
    try:
        made = backup.one(target, making.default_folder(home.root), lambda _: to, {}, 0, screen)
    except OperatorError as error:
        error.hint = f"{error.hint}\n  Nothing was restored. Without that backup: {_again(wish)} --no-backup".strip()
        raise
    screen.done(f"As it was, it is kept in {made.kept.where}")
    return made.kept.where


def _send(target: Target, source: BinaryIO, keys: Keys, *words: str) -> str:
    """Give the open archive to the host's part. Raises what either side raises."""
    call = onhost.Call(target, *words)
    try:
        with opened(opening.source_again(source), keys) as plain:
            streams.copy(plain, call.input)
        call.input.close()
        said = call.output.read().decode("utf-8", "replace")
    except BrokenPipeError:
        said = ""
    except BaseException:
        call.kill()
        raise
    call.finish()
    return said


def _deploy(wish: Wish, target: Target, settings: HostSettings, run: str, home: Home, screen: Screen) -> None:
    log = log_path(home.logs, "restore", target)
    screen.say(f"Deploying; log: {log}")
    story = Story(screen)
    public, texts = split(settings)
    variables = {**public, "ai_stack_restores": run, "ai_stack_why": "restore"}
    try:
        status = Run(SITE, target, variables, log, (), texts, wish.verbose).go(story.take, story.tick)
    except KeyboardInterrupt:
        doing = story.doing
        story.close()
        words = interrupted(target, doing, begun_changing=story.told.changed > 0, again=wish.host)
        screen.say(words.replace(f"./ai deploy {wish.host}", _again(wish)))
        raise
    finally:
        story.close()
    if status:
        error = failed(story, target, log, "restore")
        error.hint = error.hint.replace(f"./ai restore {target}", _again(wish))
        raise error


def _again(wish: Wish) -> str:
    options = [word for path in wish.identities for word in ("--identity", path)]
    options += ["--passphrase-file", wish.passphrase_file] if wish.passphrase_file else []
    return shlex.join(["./ai", "restore", wish.host, wish.archive, *options])


def _streams(target: Target, source: BinaryIO, keys: Keys, manifest: Manifest, screen: Screen) -> list[str]:
    """Give services what they had saved; returns what no service of this host knows."""
    if not [stream for stream in manifest.streams if stream.service != "migration"]:
        return []
    said = _send(target, source, keys, "streams").splitlines()
    for line in said:
        word, _, name = line.partition(" ")
        if word == "restored":
            screen.done(f"{name} is back.")
        else:
            screen.warn(f"{name} is in the archive, and no service of this version knows it.")
    return [line.partition(" ")[2] for line in said if line.startswith("skipped ")]


def _compared(target: Target, manifest: Manifest, screen: Screen) -> Differences:
    there = comparing.look(target).manifest
    if there is None:
        raise OperatorError(f"{target} was deployed, and says that nothing is there.", hint=f"./ai doctor {target}")
    if missing := [
        model["name"] for model in comparing.differences(manifest, there).models if model["engine"] == "ollama"
    ]:
        streams.pull(target, missing, screen)
        there = comparing.look(target).manifest or there
    differs = comparing.differences(manifest, there)
    for line in differs.words():
        screen.warn(f"Not as in the archive: {line}")
    for model in differs.models:
        screen.warn(f"The model {model['name']} is not the one of then (was {model['digest'][:19]}).")
    if not differs.words():
        screen.done("Keys, certificates and settings are those of the archive, by their sums.")
    return differs
