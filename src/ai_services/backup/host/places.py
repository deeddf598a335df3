"""Where on a host the files of an archive come from and belong to. What is not in this table cannot be restored."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ai_services.backup.host.archive import ArchiveError, is_name

HOME = Path("opt/ai")
SECRETS = HOME / "secrets"
LETSENCRYPT = Path("etc/letsencrypt")
OWN_CERTIFICATE = Path("etc/nginx/ai")
EXTRA_CA = Path("usr/local/share/ca-certificates/ai-extra-ca.crt")
# What our services want saved, and what the host's owner has beside them.
DECLARED = (HOME / "backup" / "services.json", HOME / "backup" / "own.json")
JOURNAL = HOME / "journal.jsonl"
MIGRATIONS = HOME / "migration"
# Laid out by a restore, taken up by the roles: what they would otherwise make or obtain.
RESTORE = Path("var/lib/ai-services/restore")

# First word of a name in an archive, and what a restore does with it.
TAKEN_UP = ("secrets", "letsencrypt")
GIVEN_AS_SETTINGS = ("own", "ca")
FOR_THE_RECORD = ("record",)
KNOWN = (*TAKEN_UP, *GIVEN_AS_SETTINGS, *FOR_THE_RECORD)
# Of a longer one the end is saved.
JOURNAL_LIMIT_BYTES = 8 * 2**20


def check(name: str) -> None:
    """See that a file's name is one that a restore knows.

    Raises:
        ArchiveError: it is not.
    """
    if not is_name(name) or name.split("/", 1)[0] not in KNOWN or "/" not in name:
        raise ArchiveError(f"It holds {name!r}, and nobody here knows what that is.")


def regular_files(top: Path) -> Iterator[Path]:
    """Yield the regular files below `top`, sorted; links and devices are left out. Nothing where it is not there."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
