#!/usr/bin/python
"""Fetch the key of an apt repository, and keep it only when it is the key that was expected."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = r"""
module: ai_apt_key
short_description: A repository's signing key, held against its fingerprint
description:
  - Fetches an OpenPGP key, armoured or binary, and writes it in binary form for C(Signed-By).
  - Every primary key in the file must have one of the expected fingerprints; otherwise nothing is written.
  - A key that is in place already and has an expected fingerprint is not fetched again.
  - Needs neither gpg nor gnupg on the host.
options:
  url: {description: Where the key is published., type: str, required: true}
  path: {description: Where to keep it., type: path, required: true}
  fingerprints: {description: "Expected fingerprints, 40 hex digits each; spaces do not count.", type: list,
                 elements: str, required: true}
  timeout_s: {description: How long to wait for the key's server., type: int, default: 30}
"""
RETURN = r"""
fingerprints: {description: Fingerprints of the primary keys in the file., type: list, elements: str, returned: success}
"""

PUBLIC_KEY = 6
_LIMIT_BYTES = 1024 * 1024


def main() -> None:
    """Keep the key, fetch it, or say why it is not taken."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "fingerprints": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "timeout_s": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    ask: dict[str, Any] = module.params
    expected = {re.sub(r"\s", "", text).upper() for text in ask["fingerprints"]}
    path = Path(ask["path"])
    was = path.read_bytes() if path.is_file() else b""
    held = fingerprints(was)
    if held and set(held) <= expected and not others(was):
        module.exit_json(changed=False, fingerprints=held)
    try:
        with open_url(ask["url"], timeout=ask["timeout_s"]) as answer:
            key = dearmoured(answer.read(_LIMIT_BYTES))
    except (OSError, ValueError) as error:
        module.fail_json(
            msg=f"The signing key {ask['url']} could not be fetched: {error}. Check that this host reaches it (proxy? "
            "ai_extra_ca_file?) and run again."
        )
    seen = fingerprints(key)
    if not seen or not set(seen) <= expected or others(key):
        held = [*seen, *(f"a key of version {version}" for version in others(key))]
        module.fail_json(
            msg=f"{ask['url']} holds {' '.join(held) or 'no OpenPGP key'}, expected {' '.join(sorted(expected))}. "
            "Either somebody sits between this host and the publisher, or the publisher changed the key: compare with "
            "the publisher's own page before you change the expected fingerprint. Nothing was written."
        )
    if not module.check_mode:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_bytes(key)
        fresh.chmod(0o644)
        fresh.replace(path)
    module.exit_json(
        changed=True,
        fingerprints=seen,
        diff={"before": "".join(f"{key}\n" for key in held), "after": "".join(f"{key}\n" for key in seen)},
    )


def dearmoured(key: bytes) -> bytes:
    """Return the binary form of an armoured key (RFC 9580, section 6); a binary key is returned as it is."""
    block = re.search(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP", key, re.DOTALL)
    if not block:
        return key
    body = block[1].replace(b"\r", b"").lstrip(b"\n").split(b"\n\n", 1)[-1]
    lines = [line for line in body.split(b"\n") if line and not line.startswith(b"=")]
    try:
        return base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error as error:
        raise ValueError(f"its armour is damaged ({error})") from error


def fingerprints(key: bytes) -> list[str]:
    """Fingerprints of the primary keys in a binary keyring, upper case hex; empty when it is none.

    Version 4 is SHA-1 over 0x99, two bytes of length and the packet's body (RFC 9580, section 5.5.4.2).
    """
    return [
        hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
        for tag, body in packets(key)
        if tag == PUBLIC_KEY and body[:1] == b"\x04"
    ]


def others(key: bytes) -> list[int]:
    """Versions of the primary keys that have no fingerprint here; apt would trust them beside those that have."""
    return [body[0] for tag, body in packets(key) if tag == PUBLIC_KEY and body and body[0] != 4]


def packets(key: bytes) -> list[tuple[int, bytes]]:
    """Split OpenPGP data into (tag, body), old and new packet headers; what cannot be read ends the list."""
    found = []
    at = 0
    try:
        while at < len(key) and key[at] & 0x80:
            header, first = key[at], key[at + 1]
            if header & 0x40:
                tag = header & 0x3F
                if first < 192:
                    size, start = first, at + 2
                elif first < 224:
                    size, start = ((first - 192) << 8) + key[at + 2] + 192, at + 3
                else:
                    size, start = int.from_bytes(key[at + 2 : at + 6], "big"), at + 6
            else:
                tag, width = (header >> 2) & 0x0F, 1 << (header & 3)
                size, start = int.from_bytes(key[at + 1 : at + 1 + width], "big"), at + 1 + width
            found.append((tag, key[start : start + size]))
            at = start + size
    except IndexError:
        pass
    return found


if __name__ == "__main__":
    main()
