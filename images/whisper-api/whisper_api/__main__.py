"""`python -m whisper_api`, or the command `whisper_api`."""

from __future__ import annotations

import sys

from service_kit.auth import KeyFileError
from service_kit.server import serve
from whisper_api.app import create_app
from whisper_api.settings import WhisperSettings


def main() -> None:
    """Serve until told to stop. Exit codes: 0 stopped, 1 could not start, 2 a setting is wrong."""
    settings = WhisperSettings.load()
    try:
        app = create_app(settings)
    except KeyFileError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    serve(app, settings)


if __name__ == "__main__":
    main()
