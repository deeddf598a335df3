"""certbot's lineages that are ours: saved with account and renewal settings, and put back as certbot keeps them.

In an archive: letsencrypt/lineages/<name>/<part>.pem, letsencrypt/renewal/<name>.conf, letsencrypt/accounts/…,
letsencrypt/cloudflare.ini.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

PARTS = ("cert", "chain", "fullchain", "privkey")
# Ours, put there by the role certbot_cloudflare: the only program that a restored renewal may name.
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/ai-services"
ROOT = "/etc/letsencrypt"
# What a renewal of ours may say: what certbot's own options are called, and those of the one plugin that is used.
_KNOWN = re.compile(
    r"version|archive_dir|cert|chain|fullchain|privkey|renew_before_expiry|ari_retry_after|account|server|user_agent"
    r"|email|authenticator|installer|key_type|elliptic_curve|rsa_key_size|reuse_key|autorenew|must_staple|pref_challs"
    r"|preferred_chain|preferred_profile|required_profile|allow_subset_of_names|issuance_timeout"
    r"|manual_public_ip_logging_ok|dns_cloudflare_credentials|dns_cloudflare_propagation_seconds|\w+_hook"
)
_LINE = re.compile(r"#.*|\[\w+\]|(?P<option>\w+)\s*=\s*(?P<value>[^'\"]*)")
_OPTION = re.compile(r"^(\w+) = (.*)$", re.MULTILINE)


class CertificateError(Exception):
    """Certificates of an archive cannot be taken up; the message says why."""


def found(letsencrypt: Path, domain: str) -> Iterator[tuple[str, Path]]:
    """Yield name within `letsencrypt/` of an archive, and path, of everything that belongs to lineages of ours.

    Raises:
        CertificateError: that of `domain` is renewed in a way that a restore would not take up again.
    """
    for conf in sorted((letsencrypt / "renewal").glob("*.conf")):
        options = read_options(conf)
        if conf.stem != domain and options.get("renew_hook") != HOOK:
            continue
        live = letsencrypt / "live" / conf.stem
        if not all((live / f"{part}.pem").is_file() for part in PARTS):
            continue
        try:
            check_renewal(conf)
        except CertificateError as error:
            if conf.stem != domain:
                continue  # somebody's own, which only has our hook
            raise CertificateError(
                f"{error} Have it issued anew: ./ai deploy does, once `certbot delete` took it."
            ) from None
        yield f"renewal/{conf.name}", conf
        for part in PARTS:
            yield f"lineages/{conf.stem}/{part}.pem", live / f"{part}.pem"
        yield from _account(letsencrypt, options)
    token = letsencrypt / "cloudflare.ini"
    if token.is_file():
        yield "cloudflare.ini", token


def _account(letsencrypt: Path, options: dict[str, str]) -> Iterator[tuple[str, Path]]:
    server, account = options.get("server", "").partition("://")[2], options.get("account", "")
    folder = letsencrypt / "accounts" / server / account
    if server and account and ".." not in server and folder.is_dir():
        for path in sorted(folder.glob("*.json")):
            yield path.relative_to(letsencrypt).as_posix(), path


def read_options(conf: Path) -> dict[str, str]:
    """Return the options of a renewal file; its sections matter to nobody here."""
    try:
        return dict(_OPTION.findall(conf.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return {}


def check_renewal(conf: Path) -> None:
    """See that a renewal file is one of ours: it runs no program but ours, and leads to no files but its own.

    It is read as strictly as certbot reads it loosely: options of certbot's plugins name programs, too, and what ends a
    line there need not be what ends one here.

    Raises:
        CertificateError: it is not.
    """
    try:
        text = conf.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise CertificateError(f"{conf.name} cannot be read; nothing of it is taken.") from None
    if text and text.splitlines() != text.removesuffix("\n").split("\n"):
        raise CertificateError(f"{conf.name} holds what ends a line and is no line's end; nothing of it is taken.")
    for line in filter(None, map(str.strip, text.split("\n"))):
        found = _LINE.fullmatch(line)
        if found is None:
            raise CertificateError(f"{conf.name} has a line that none of ours has: {line[:100]!r}; nothing is taken.")
        if found["option"]:
            _check_option(conf, found["option"], found["value"])


def _check_option(conf: Path, option: str, value: str) -> None:
    if option.endswith("_hook") and value not in (HOOK, "None", ""):
        raise CertificateError(
            f"{conf.name} would run {value[:100]!r}, which is no program of ours; nothing of it is taken."
        )
    places = {part: f"{ROOT}/live/{conf.stem}/{part}.pem" for part in PARTS}
    fixed = {"archive_dir": f"{ROOT}/archive/{conf.stem}", "authenticator": "dns-cloudflare", **places}
    if value not in (fixed.get(option, value), "None") or not _KNOWN.fullmatch(option):
        raise CertificateError(
            f"{conf.name} says {option} = {value[:100]!r}, and no certificate of ours is renewed so; nothing is taken."
        )


def take_up(staged: Path, letsencrypt: Path) -> list[str]:
    """Put what lies in `staged` (an archive's letsencrypt/) to its place. Returns the paths that changed.

    Raises:
        CertificateError: a renewal file is none of ours, or its certificate is missing; nothing was changed.
    """
    confs = sorted((staged / "renewal").glob("*.conf"))
    for conf in confs:
        check_renewal(conf)
        if missing := [part for part in PARTS if not (staged / "lineages" / conf.stem / f"{part}.pem").is_file()]:
            raise CertificateError(f"{conf.name} is there without its {missing[0]}.pem; nothing is taken.")
    done: list[str] = []
    for path in _below(staged / "accounts"):
        _put(path, letsencrypt / path.relative_to(staged), done)
    if (staged / "cloudflare.ini").is_file():
        _put(staged / "cloudflare.ini", letsencrypt / "cloudflare.ini", done)
    for conf in confs:
        if _lineage(staged / "lineages" / conf.stem, letsencrypt, conf.stem):
            done.append(str(letsencrypt / "live" / conf.stem))
        _put(conf, letsencrypt / "renewal" / conf.name, done, mode=0o644)
    return done


def _lineage(staged: Path, letsencrypt: Path, name: str) -> bool:
    live, archive = letsencrypt / "live" / name, letsencrypt / "archive" / name
    contents = {part: (staged / f"{part}.pem").read_bytes() for part in PARTS}
    if all(
        (live / f"{part}.pem").is_file() and (live / f"{part}.pem").read_bytes() == contents[part] for part in PARTS
    ):
        return False
    for folder in (archive.parent, archive, live.parent, live):
        folder.mkdir(mode=0o700 if folder in (archive.parent, live.parent) else 0o755, parents=True, exist_ok=True)
    # As certbot itself does: the next number, and only then the links to it.
    numbers = [int(match[1]) for path in archive.iterdir() if (match := re.fullmatch(r"\w+?(\d+)\.pem", path.name))]
    number = max(numbers, default=0) + 1
    for part, content in contents.items():
        write_file(archive / f"{part}{number}.pem", content, 0o600 if part == "privkey" else 0o644)
    for part in PARTS:
        scratch = live / f".{part}.{secrets.token_hex(4)}"
        scratch.symlink_to(f"../../archive/{name}/{part}{number}.pem")
        scratch.rename(live / f"{part}.pem")
    return True


def _below(top: Path) -> Iterator[Path]:
    return (path for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink())


def _put(source: Path, place: Path, done: list[str], mode: int = 0o600) -> None:
    content = source.read_bytes()
    if place.is_file() and place.read_bytes() == content:
        return
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(place, content, mode)
    done.append(str(place))


def write_file(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Put `content` in place in one step, on the disk before it has its name; as root with an `owner`, uid and gid."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            if owner and os.geteuid() == 0:
                os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.rename(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
