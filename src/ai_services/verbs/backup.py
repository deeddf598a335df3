"""`ai backup HOST`: settings, keys, certificates and what services declare, in one sealed file."""

from __future__ import annotations

import getpass
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.backup import making, sealing
from ai_services.backup.host import store
from ai_services.backup.host.archive import Manifest
from ai_services.backup.host.store import Folder, Store, StoreError
from ai_services.backup.making import Made
from ai_services.backup.onhost import record
from ai_services.backup.sealing import Seal
from ai_services.console import Screen
from ai_services.exits import BLOCKED, OK, USAGE, OperatorError
from ai_services.host import connect
from ai_services.host.phases import duration
from ai_services.host.target import Target
from ai_services.local.home import Home, write_atomically
from ai_services.verbs import ask
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `backup` asked for. `keep` 0, or none, keeps every archive."""

    to: str | None = None
    recipients: Sequence[str] = ()
    passphrase: bool = False
    passphrase_file: str | None = None
    keep: int | None = None


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Make one archive, keep it, remove the oldest. Returns the exit code.

    Raises:
        OperatorError: the host cannot be reached, has nothing, or the archive could not be kept.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    target = wish.target(home)
    given = wish.given().values
    to = sealed_to(wish, home, screen, given)
    place = kept_in(wish.to, home)
    home.create_root()
    target = connect.reach(target, screen, host_key=wish.host_key)
    made = one(target, place, to, public(given), wish.keep or 0, screen)
    seconds = time.monotonic() - begun
    if as_json:
        print_json(told(target, made, seconds))
        return OK
    show(made, screen)
    screen.done(f"{made.kept.where} ({made.kept.size / 2**20:.1f} MiB, {duration(seconds)}), read back and compared.")
    screen.say(f"  opened by: {', '.join(made.sealed.recipients) or 'the passphrase'}")
    for name in made.removed:
        screen.say(f"  removed, as older than what is to be kept: {name}")
    if made.not_removed:
        screen.warn(f"The oldest could not be removed. {made.not_removed}")
    screen.say(f"Look into it, and prove it: ./ai restore {wish.host} {made.kept.where} --verify")
    return OK


def one(
    target: Target, place: Store, to: Callable[[Manifest], Seal], given: dict[str, Any], keep: int, screen: Screen
) -> Made:
    """Make one archive of a host that is reached, and note on the host how that went. Raises as `run` does."""
    try:
        with screen.transfer(f"Backing up {target}", None) as advance:
            made = making.make(target, place, to, given, keep, advance)
    except (OperatorError, StoreError, OSError) as error:
        # The doctor is to know of it, whatever the reason; a host that cannot be told has other troubles.
        with suppress(OperatorError):
            record(target, made={"ok": False, "detail": str(error), "where": ""})
        if isinstance(error, OperatorError):
            raise
        hint = "Nothing was kept. Name another place: --to"
        raise OperatorError(f"The archive cannot be kept: {error}", hint=hint, exit_code=BLOCKED) from None
    noted = {"ok": True, "detail": "", "id": made.manifest.id, "where": made.kept.where, "bytes": made.kept.size}
    try:
        record(target, made=noted)
    except OperatorError as error:
        screen.warn(f"{target} could not be told that this backup was made. {error.message}")
    return made


def kept_in(words: str | None, home: Home) -> Store:
    """Return the place that --to names, or this machine's own.

    Raises:
        OperatorError: it names a bucket that cannot be one.
    """
    if words is None:
        return making.default_folder(home.root)
    if words.startswith(store.S3):
        try:
            return store.bucket(words)
        except StoreError as error:
            raise OperatorError(str(error), exit_code=USAGE) from None
    return Folder(Path(words).expanduser().absolute())


def identity_file(home: Home) -> Path:
    """Return where this machine's own identity is kept."""
    return home.root / "secrets" / "backup-identity.txt"


def sealed_to(wish: Wish, home: Home, screen: Screen, given: dict[str, Any]) -> Callable[[Manifest], Seal]:
    """Return who decides to whom an archive is sealed: --recipient or a passphrase, the settings, this machine's key.

    Raises:
        OperatorError: what was given is no recipient, or both are.
    """
    if wish.passphrase or wish.passphrase_file:
        if wish.recipients:
            raise OperatorError("Recipients and a passphrase are both given.", hint="Keep one.", exit_code=USAGE)
        by_passphrase = Seal(passphrase=passphrase(wish.passphrase_file, asks_twice=True))
        return lambda _: by_passphrase
    words = [line for each in wish.recipients for line in _recipients(each)]
    if wish.recipients and not words:
        raise OperatorError(
            f"{', '.join(wish.recipients)} names no recipient.", hint="Give a file with age1… in it.", exit_code=USAGE
        )
    for each in words:
        sealing.recipient(each)

    def decide(manifest: Manifest) -> Seal:
        settings = manifest.settings | given
        if not wish.config and not wish.pairs and given.get("ai_domain", manifest.domain) != manifest.domain:
            screen.warn(
                f"The ai.yml that lies here is of {given['ai_domain']}: it does not say who can open this backup."
            )
            settings = manifest.settings
        found = words or [str(each) for each in settings.get("ai_backup_recipients") or ()]
        return Seal(tuple(dict.fromkeys(found)) or (own_recipient(home, screen),))

    return decide


def _recipients(words: str) -> list[str]:
    if words.startswith(("age1", "ssh-")) or not Path(words).expanduser().is_file():
        return [words]
    try:
        lines = Path(words).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{words} cannot be read: {error}.", exit_code=USAGE) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def own_recipient(home: Home, screen: Screen) -> str:
    """Return the public key of this machine's own identity; it is made, and said so, where there is none."""
    path = identity_file(home)
    if not path.is_file():
        text, public_key = sealing.new_identity()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _made_now(path, text):
            screen.warn(f"Only {path} opens this backup: it was made now. Keep a copy of it somewhere else.")
            return public_key
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# public key: "):
            return line.removeprefix("# public key: ").strip()
    raise OperatorError(f"{path} names no public key.", hint="Give one: --recipient age1…", exit_code=BLOCKED)


def _made_now(path: Path, text: str) -> bool:
    """Put the identity there, whole, unless there is one: another run may have sealed something to that already."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_atomically(scratch, text)
    try:
        path.hardlink_to(scratch)
    except FileExistsError:
        return False
    finally:
        scratch.unlink()
    return True


def passphrase(file: str | None, *, asks_twice: bool) -> str:
    """Return the passphrase in the file, or ask the person at the terminal for one.

    Raises:
        OperatorError: there is none, or nobody to ask.
    """
    if file:
        try:
            found = Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise OperatorError(f"{file} cannot be read: {error}.", exit_code=USAGE) from None
    elif not ask.is_somebody_there():
        raise OperatorError(
            "Nobody is here to be asked for a passphrase.", hint="--passphrase-file FILE", exit_code=USAGE
        )
    else:
        found = getpass.getpass("Passphrase: ")
        if asks_twice and getpass.getpass("Once more: ") != found:
            raise OperatorError("They were not the same; nothing was done.", exit_code=USAGE)
    if not found:
        raise OperatorError("The passphrase is empty.", exit_code=USAGE)
    return found


def public(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are no secrets themselves."""
    from ai_services.host.settings_table import secret_values

    return {name: value for name, value in values.items() if name not in secret_values()}


def show(made: Made, screen: Screen) -> None:
    """Say what is in an archive."""
    for line in contents(made.manifest):
        screen.say(f"  {line}")


def contents(manifest: Any) -> list[str]:
    """Return what an archive holds, in words."""
    names = [entry.name for entry in manifest.files]
    lineages = sorted({name.split("/")[2] for name in names if name.startswith("letsencrypt/lineages/")})
    lines = [
        f"{manifest.host} ({manifest.domain or 'no domain'}), version {manifest.version}, "
        f"made {manifest.made}, number {manifest.id}",
        f"{len(manifest.settings)} settings, {sum(name.startswith('secrets/') for name in names)} keys and secrets",
        f"certificates: {', '.join(lineages) or ('your own' if 'own/own.crt' in names else 'none')}",
        f"models, by name only: {', '.join(model['name'] for model in manifest.models) or 'none'}",
    ]
    lines += [f"{stream} ({stream.kind})" for stream in manifest.streams]
    return lines


def told(target: Target, made: Made, seconds: float) -> dict[str, Any]:
    """Return the result as JSON has it."""
    return {
        "host": str(target),
        "archive": made.kept.where,
        "bytes": made.kept.size,
        "sha256": made.kept.sha256,
        "id": made.manifest.id,
        "made": made.manifest.made,
        "sealed_to": list(made.sealed.recipients) or "passphrase",
        "files": [entry.name for entry in made.manifest.files],
        "streams": [str(stream) for stream in made.manifest.streams],
        "models": made.manifest.models,
        "removed": made.removed,
        "not_removed": made.not_removed,
        "seconds": round(seconds, 1),
    }
