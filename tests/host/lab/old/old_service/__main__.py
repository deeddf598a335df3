"""`python -m old_service API [--host ADDRESS] [--port N]`: serve one of the old APIs until told to stop."""

from __future__ import annotations

import argparse
import importlib
import os

import uvicorn

# where each of them listens when nobody says otherwise, as in its own repository
APIS = {"seed": 8000, "asr": 9000, "speaches": 8000, "whisper_api": 3001}


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="old_service", description=__doc__)
    parser.add_argument("api", choices=sorted(APIS))
    parser.add_argument("--host", default=os.environ.get("LISTEN", "0.0.0.0"))
    parser.add_argument("--port", type=int, default=None)
    chosen = parser.parse_args()
    port = chosen.port or int(os.environ.get("PORT", APIS[chosen.api]))
    module = importlib.import_module(f".{chosen.api}", __package__)
    uvicorn.run(module.create_app(), host=chosen.host, port=port, proxy_headers=True, log_level="info")


if __name__ == "__main__":
    main()
