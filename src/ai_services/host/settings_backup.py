"""The kinds of value that settings of backups have: who can open them, where they are kept, when they are made."""

from __future__ import annotations

from typing import Final

from ai_services.host.settings_kinds import Several, Text

Recipient: Final = Text(
    "a public key of age, or an ssh-ed25519 one without its comment",
    r"age1[0-9a-z]{58}|ssh-ed25519 [A-Za-z0-9+/]{68}",
    "age1…",
)
Recipients: Final = Several(Recipient)
Place: Final = Text(
    "a directory of the host, or s3://BUCKET/PREFIX",
    r"(?:/+\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9._=/-]*)?",
    "/var/backups/ai-services",
)
Moment: Final = Text(
    "a time as systemd's OnCalendar takes it", r"[A-Za-z0-9*][A-Za-z0-9*:,./~ -]{0,60}", "*-*-* 03:30:00"
)
