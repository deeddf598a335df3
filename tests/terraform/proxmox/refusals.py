"""How Proxmox VE says no: a status, the words in the reason phrase, and per parameter what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):  # noqa: N818 - what the API does, not what went wrong in here
    """An answer that is not a success.

    A plain `die` of the real one is status 500 with the words; 400 and 403 have causes of their own below. `bare` is
    an answer without a body, as that of a request without a valid login.
    """

    def __init__(
        self, message: str, *, status: int = 500, errors: Mapping[str, str] | None = None, bare: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.errors, self.bare = status, message, dict(errors or {}), bare


def wrong_parameter(errors: Mapping[str, str]) -> Refused:
    """400 with the reason for each parameter (`raise_param_exc`)."""
    return Refused("Parameter verification failed.", status=400, errors=errors)


def not_permitted(path: str, *privileges: str) -> Refused:
    """403 for a privilege that is missing on a path (`raise_perm_exc`)."""
    where = f" ({path}, {'|'.join(privileges)})" if path else ""
    return Refused(f"Permission check failed{where}", status=403)


def not_implemented(method: str, path: str) -> Refused:
    """501 for a path that nobody handles."""
    return Refused(f"Method '{method} {path}' not implemented", status=501)


def no_login(message: str) -> Refused:
    """401; its body is empty."""
    return Refused(message, status=401, bare=True)
