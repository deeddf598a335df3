"""The Hugging Face hub of the lab: the stand-in of the operator's tests, as a service with real models' files."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

from host.lab.place import HUGGING_FACE, HUGGING_FACE_CDN

# by its path: a folder called `operator` cannot be a package beside the standard library's module of that name
STANDIN = Path(__file__).parents[2] / "operator" / "hub_standin.py"


def main() -> None:
    """Serve every folder OWNER/NAME under --models until ended."""
    parser = argparse.ArgumentParser(prog="host.lab.hub")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    standin = _standin()
    repositories = {
        str(folder.relative_to(arguments.models)): standin.Repository(
            {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
        )
        for folder in sorted(arguments.models.glob("*/*"))
        if folder.is_dir()
    }
    with standin.running(repositories, arguments.port) as hub:
        hub.url, hub.cdn = f"https://{HUGGING_FACE}", f"https://{HUGGING_FACE_CDN}"
        threading.Event().wait()


def _standin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hub_standin", STANDIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
