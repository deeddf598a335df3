#!/usr/bin/python3
"""Answers as nvidia-ctk @VERSION@ does, as far as a host's configuration goes. Stand-in of the lab."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

VERSION = "@VERSION@"


def say(level: str, text: str) -> None:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f'time="{stamp}" level={level} msg="{text}"', file=sys.stderr)


def option(words: list[str], name: str, default: str) -> str:
    for place, word in enumerate(words):
        if word.startswith(f"--{name}="):
            return word.split("=", 1)[1]
        if word == f"--{name}" and place + 1 < len(words):
            return words[place + 1]
    return default


def configure(words: list[str]) -> int:
    path = Path(option(words, "config", "/etc/docker/daemon.json"))
    if option(words, "runtime", "docker") != "docker":
        say("error", "the lab's stand-in knows docker only")
        return 1
    config: dict[str, Any] = {}
    if path.exists():
        say("info", f"Loading config from {path}")
        config = json.loads(path.read_text() or "{}")
    else:
        say("info", "Config file does not exist; using empty config")
    config.setdefault("runtimes", {})["nvidia"] = {"args": [], "path": "nvidia-container-runtime"}
    if any(word.startswith(("--cdi.enabled", "--enable-cdi")) for word in words):
        config.setdefault("features", {})["cdi"] = True
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=4))
    say("info", f"Wrote updated config to {path}")
    say("info", "It is recommended that docker daemon be restarted.")
    return 0


def specification() -> dict[str, Any]:
    if not Path("/proc/driver/nvidia/version").exists():
        say(
            "error",
            "failed to generate CDI spec: failed to create device CDI specs: failed to initialize NVML: "
            "ERROR_DRIVER_NOT_LOADED",
        )
        sys.exit(1)
    gpus = sorted(entry.name for entry in Path("/proc/driver/nvidia/gpus").iterdir())
    names = [str(number) for number in range(len(gpus))] + ["all"]
    return {
        "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu",
        "devices": [
            {"name": name, "containerEdits": {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}} for name in names
        ],
        "containerEdits": {"env": ["LAB_GPU=1"]},
    }  # fmt: skip


def cdi(words: list[str]) -> int:
    if words[:1] == ["generate"]:
        text = json.dumps(specification())
        output = option(words, "output", "")
        if not output:
            print(text)
            return 0
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(text)
        say("info", "Generated CDI spec with version 0.5.0")
        return 0
    if words[:1] == ["list"]:
        found = []
        for folder in ("/etc/cdi", "/var/run/cdi"):
            for file in sorted(Path(folder).glob("*")) if Path(folder).is_dir() else []:
                spec = json.loads(file.read_text())
                found += [f"{spec['kind']}={device['name']}" for device in spec["devices"]]
        say("info", f"Found {len(found)} CDI devices")
        print("\n".join(found))
        return 0
    return 1


def main() -> int:
    words = sys.argv[1:]
    if words in (["--version"], ["-v"]):
        print(f"NVIDIA Container Toolkit CLI version {VERSION}")
        print("commit: 0000000000000000000000000000000000000000")
        return 0
    if words[:2] == ["runtime", "configure"]:
        return configure(words[2:])
    if words[:1] == ["cdi"]:
        return cdi(words[1:])
    print("NAME:\n   NVIDIA Container Toolkit CLI - Tools to configure the NVIDIA Container Toolkit")
    return 0


sys.exit(main())
