#!/usr/bin/python
"""Change nginx's files together, and take the change back when nginx does not accept it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nginx_files
short_description: Files and links of an nginx site, changed together or not at all
description:
  - Writes what differs beside what is there, and lets it take its place only when all of it is on the disk, so that a
    full disk leaves no half of a configuration, by which nginx would not start again.
  - Then asks nginx whether it accepts its configuration as a whole. When it does not, every file and link is put back
    as it was and the task fails with nginx's own reason; nothing was reloaded by then.
options:
  files: {description: Path to content., type: dict, default: {}}
  once: {description: "Path to content; written only where there is no such file.", type: dict, default: {}}
  links: {description: Path of a symbolic link to its target., type: dict, default: {}}
  aside:
    description: >-
      Files and links of others that give way: renamed to C(.NAME.ai-services) in their own folder, which nginx does not
      include; by one rename, so that they come back as they were to the last bit.
    type: list
    elements: path
    default: []
  absent: {description: Paths of files and links that must not be there., type: list, elements: path, default: []}
  test: {description: The command that accepts or refuses., type: list, elements: str,
         default: [/usr/sbin/nginx, -t, -q]}
  owed:
    description: >-
      A file that says that nginx has yet to be reloaded; made before anything is changed. As long as it is there the
      task is changed, so that the reload comes though the run that owed it was killed. Whoever reloads removes it.
    type: path
"""
RETURN = r"""
paths: {description: What was changed., type: list, elements: str, returned: always}
"""


class Link(str):
    """The target of a symbolic link, to be told from the content of a file."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "default": {}},
            "once": {"type": "dict", "default": {}},
            "links": {"type": "dict", "default": {}},
            "aside": {"type": "list", "elements": "path", "default": []},
            "absent": {"type": "list", "elements": "path", "default": []},
            "test": {"type": "list", "elements": "str", "default": ["/usr/sbin/nginx", "-t", "-q"]},
            "owed": {"type": "path"},
        },
        supports_check_mode=True,
    )
    old, new = plan(module.params)
    diff = [
        {"before_header": path, "after_header": path, "before": shown(old[path]), "after": shown(new[path])}
        for path in sorted(new)
    ]
    moving = [path for path in map(Path, module.params["aside"]) if path.is_symlink() or path.exists()]
    diff += [{"before": f"{path}\n", "after": f"{aside_of(path)}\n"} for path in moving]
    owed = Path(module.params["owed"]) if module.params["owed"] else None
    due = owed is not None and owed.exists()
    if (new or moving or due) and not module.check_mode:
        try:
            for path, content in new.items():
                lay(Path(path), content)
            if owed is not None and not due:
                owed.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                owed.touch()
        except OSError as problem:
            for path in new:
                fresh_of(Path(path)).unlink(missing_ok=True)
            module.fail_json(msg=f"nginx's new files cannot be written, and nothing was changed: {problem}.")
        for path, content in new.items():
            take(Path(path), content)
        for path in moving:
            path.rename(aside_of(path))
        returncode, output, error = module.run_command(module.params["test"])
        if returncode != 0:
            for path in moving:
                aside_of(path).rename(path)
            for path, content in old.items():
                put(Path(path), content)
            if owed is not None and not due:
                owed.unlink(missing_ok=True)
            module.fail_json(
                msg=f"nginx does not accept the new configuration, so the old one is back and nothing was reloaded: "
                f"{reason(error or output)} If a file of another site is named there, mend that one; otherwise "
                "this is a fault of ai-services."
            )
    paths = sorted([*new, *map(str, moving)])
    module.exit_json(changed=bool(paths) or due, paths=paths, diff=diff)


def plan(ask: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is at the paths that have to change, and what is to be there: bytes, a Link, or None for nothing."""
    wanted: dict[str, Any] = {path: text.encode() for path, text in ask["files"].items()}
    wanted |= {path: text.encode() for path, text in ask["once"].items() if not Path(path).is_file()}
    wanted |= {path: Link(target) for path, target in ask["links"].items()}
    wanted |= dict.fromkeys(ask["absent"])
    there = {path: found(Path(path)) for path in wanted}
    changed = [path for path in wanted if type(there[path]) is not type(wanted[path]) or there[path] != wanted[path]]
    return {path: there[path] for path in changed}, {path: wanted[path] for path in changed}


def found(path: Path) -> Any:
    """What is at a path: bytes, a Link, or None."""
    if path.is_symlink():
        return Link(path.readlink())
    return path.read_bytes() if path.is_file() else None


def put(path: Path, content: Any) -> None:
    """Replace what is at a path in one step."""
    lay(path, content)
    take(path, content)


def lay(path: Path, content: Any) -> None:
    """Write what is to come to a path beside it, on the disk; nothing, where nothing is to be there."""
    fresh = fresh_of(path)
    fresh.unlink(missing_ok=True)
    if content is None:
        return
    if isinstance(content, Link):
        fresh.symlink_to(content)
        return
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)


def take(path: Path, content: Any) -> None:
    """Let what was laid beside a path take its place."""
    if content is None:
        path.unlink(missing_ok=True)
    else:
        fresh_of(path).replace(path)


def fresh_of(path: Path) -> Path:
    """Where a path's next content lies; nginx includes sites-enabled/*, but no name that begins with a dot."""
    return path.with_name(f".{path.name}.ai-fresh")


def aside_of(path: Path) -> Path:
    """Where a file of others waits: ai_stack/migration/front.py brings it back from there."""
    return path.with_name(f".{path.name}.ai-services")


def shown(content: Any) -> str:
    """Content as a diff shows it."""
    if isinstance(content, Link):
        return f"-> {content}\n"
    return "" if content is None else content.decode(errors="replace")


def reason(said: str) -> str:
    """Nginx's own line about what is wrong."""
    lines = [line.strip() for line in said.splitlines() if "[emerg]" in line] or [said.strip()]
    return lines[0]


if __name__ == "__main__":
    main()
