"""`python -m service_kit.healthcheck`: whether the service in this container may be sent work. For HEALTHCHECK.

Asks /readyz on LISTEN and PORT, as the service itself reads them. Exit codes: 0 ready, 1 not ready or no answer; the
one line on standard output says why and is kept by the container engine. Needs the standard library only, because it
is started every few seconds.
"""

from __future__ import annotations

import http.client
import json
import os
import sys

TIMEOUT_S = 4.0
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared with, not listened on)


def look(host: str, port: int, timeout_s: float = TIMEOUT_S) -> tuple[bool, str]:
    """Whether the service at `host`:`port` is ready within `timeout_s`, and what was seen."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(65536)
    except (OSError, http.client.HTTPException) as error:
        return False, f"no answer from {host}:{port}: {error or type(error).__name__}"
    finally:
        connection.close()
    if answer.status == 200:
        return True, "ready"
    return False, f"/readyz answers {answer.status}: {_reasons(body)}"


def _reasons(body: bytes) -> str:
    """The checks that do not hold, out of the answer of /readyz."""
    try:
        checks = json.loads(body)["checks"]
        return "; ".join(f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return "an answer that is not /readyz's"


def main() -> None:
    """Look once, say what was seen, and exit."""
    listen, port = os.environ.get("LISTEN", ""), os.environ.get("PORT", "")
    if not port.isdigit():
        sys.stdout.write(f"PORT is '{port}': set it to the port that the service listens on\n")
        raise SystemExit(1)
    ready, seen = look(_ANY.get(listen, listen), int(port))
    sys.stdout.write(seen + "\n")
    raise SystemExit(0 if ready else 1)


if __name__ == "__main__":
    main()
