"""What went wrong with the hub, in a sentence, and what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_services.exits import BLOCKED, OperatorError
from ai_services.models.catalogue import Kind


@contextmanager
def explained(repository: str, token_file: Path, kind: Kind) -> Iterator[None]:
    """Turn the hub's exceptions into errors for the person who must act."""
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise OperatorError(
            f"{repository} is gated: its makers want their terms accepted first.",
            hint=f"Accept them on the model's page, make a read token in your account's settings, and put it into "
            f"{token_file} (chmod 600) or HF_TOKEN.",
            exit_code=BLOCKED,
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise _not_found(repository, token_file, kind) from error
    except errors.HfHubHTTPError as error:
        raise _refused(error, repository, token_file) from error
    except (errors.OfflineModeIsEnabled, httpx.TransportError, ConnectionError, TimeoutError) as error:
        raise _broken_off(repository, error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OperatorError(
                f"The disk filled up while {repository} was downloaded.",
                hint="Free some space and call ./ai up again: it goes on where it stopped.",
                exit_code=BLOCKED,
            ) from error
        # A length that is not the announced one: the library's word for a connection that was cut.
        raise _broken_off(repository, error) from error
    except Exception as error:
        # The library brings its own HTTP client, whose exceptions share no base class with any of the above.
        if type(error).__module__.partition(".")[0] in ("httpx2", "httpcore2", "httpx", "httpcore"):
            raise _broken_off(repository, error) from error
        raise


def wrong_content(repository: str, name: str) -> OperatorError:
    """Return the error for a file whose checksum is not the hub's."""
    return OperatorError(
        f"{name} of {repository} arrived with the wrong checksum and was thrown away.",
        hint="Call ./ai up again. If it stays, something between here and the hub changes what it carries.",
    )


def _broken_off(repository: str, error: Exception) -> OperatorError:
    unreached = type(error).__name__ in ("ConnectError", "ConnectTimeout", "ConnectionError", "ProxyError")
    what = "could not begin: the hub is not reachable" if unreached else "broke off"
    return OperatorError(
        f"The download of {repository} {what}: {error}",
        hint="Check the network (HTTPS_PROXY, HF_ENDPOINT) and call ./ai up again: it goes on where it stopped. "
        "Without a network: ./ai up --whisper-model tiny.en --llm gemma3:270m",
        exit_code=BLOCKED,
    )


def _refused(error: Exception, repository: str, token_file: Path) -> OperatorError:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in (401, 403):
        return OperatorError(
            f"The hub refuses {repository} ({status}): the token is missing, wrong, or may not read it.",
            hint=f"Put a read token into {token_file} (chmod 600) or HF_TOKEN.",
            exit_code=BLOCKED,
        )
    return OperatorError(
        f"The hub answered {status or error} for {repository}.",
        hint="Call ./ai up again a little later: it goes on where it stopped.",
        exit_code=BLOCKED,
    )


def _not_found(repository: str, token_file: Path, kind: Kind) -> OperatorError:
    close = _similar(repository)
    return OperatorError(
        f"The hub has no public model {repository}" + (f"; similar: {', '.join(close)}." if close else "."),
        hint=f"Check the id. If it is private, put a read token into {token_file} (chmod 600) or HF_TOKEN. "
        f"Known by name: {', '.join(_known(kind))}",
        exit_code=BLOCKED,
    )


def _similar(repository: str) -> list[str]:
    from huggingface_hub import HfApi

    # An extra for the message: whatever goes wrong here must not hide the error itself.
    try:
        hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
        return [found.id for found in hub.list_models(search=repository.rpartition("/")[2], limit=3)]
    except Exception:
        return []


def _known(kind: Kind) -> list[str]:
    from ai_services.models.catalogue import catalogue

    return [entry.name for entry in catalogue() if entry.kind == kind]
