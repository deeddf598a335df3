"""What an nginx can do, told from `nginx -V`, so that one set of templates fits every supported release."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# What the distributions ship, for a check-mode run on a host where nginx is not installed yet:
# (distribution, release) -> (nginx, OpenSSL).
SHIPPED: dict[tuple[str, str], tuple[str, str]] = {
    ("Debian", "12"): ("1.22.1", "3.0.19"),
    ("Debian", "13"): ("1.26.3", "3.5.7"),
    ("Ubuntu", "22.04"): ("1.18.0", "3.0.2"),
    ("Ubuntu", "24.04"): ("1.24.0", "3.0.13"),
}


def features(nginx: str, openssl: str) -> dict[str, Any]:
    """What these versions can do; both as dotted numbers.

    `http2_directive`: `http2 on` instead of a word of `listen` (nginx 1.25.1). `reject_handshake`:
    `ssl_reject_handshake` (nginx 1.19.4). `keepalive_min`: `keepalive_min_timeout` (nginx 1.27.4).
    `mlkem`: the hybrid group X25519MLKEM768 (OpenSSL 3.5).
    """
    return {
        "nginx": nginx,
        "openssl": openssl,
        "http2_directive": _numbers(nginx) >= (1, 25, 1),
        "reject_handshake": _numbers(nginx) >= (1, 19, 4),
        "keepalive_min": _numbers(nginx) >= (1, 27, 4),
        "mlkem": _numbers(openssl) >= (3, 5, 0),
    }


def nginx_features(version_text: str, distribution: str = "", release: str = "") -> dict[str, Any]:
    """`features` of the nginx whose `nginx -V` said `version_text`; of the release's own nginx when it is empty.

    Raises ValueError when neither tells: better no configuration than one for another nginx.
    """
    nginx = re.search(r"nginx version: \S+/(\d+\.\d+\.\d+)", version_text)
    # "built with OpenSSL A (running with OpenSSL B)": what runs counts
    openssl = re.search(r"running with OpenSSL (\d+\.\d+\.\d+)", version_text) or re.search(
        r"built with OpenSSL (\d+\.\d+\.\d+)", version_text
    )
    if nginx and openssl:
        return features(nginx[1], openssl[1])
    if not version_text and (distribution, release) in SHIPPED:
        return features(*SHIPPED[distribution, release])
    raise ValueError(
        f"Cannot tell which nginx this is ({distribution} {release}): 'nginx -V' said {version_text[:200]!r}. "
        "It must be an nginx built with OpenSSL; install the distribution's own."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"nginx_features": nginx_features}
