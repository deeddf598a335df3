"""The check of an own certificate, for the role: the same code that `./ai deploy` runs before it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[4] / "src"


def nginx_certificate_problems(files: list[str | None], domain: str) -> list[str]:
    """What is wrong with [certificate file, key file] for `domain`; [] when nothing is."""
    if not all(files):
        return [
            "ai_tls=own needs two files on the operator's machine: ai_tls_certificate_file (the certificate, then its "
            "intermediates) and ai_tls_key_file (the private key). Name both."
        ]
    if str(SOURCES) not in sys.path:
        sys.path.insert(0, str(SOURCES))
    from ai_services.host.certificate import problems

    certificate, key = (Path(str(name)).expanduser() for name in files)
    return [str(flaw) for flaw in problems(certificate, key, domain)]


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """The filters by name."""
        return {"nginx_certificate_problems": nginx_certificate_problems}
