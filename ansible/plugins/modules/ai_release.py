#!/usr/bin/python
"""Releases of the stack: written, made to serve, gone back from; one run at a time."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.ai_stack import history, runs
from ansible.module_utils.ai_stack.compose import Compose, ComposeError
from ansible.module_utils.ai_stack.engine import Engine, EngineError
from ansible.module_utils.ai_stack.journal import Journal
from ansible.module_utils.ai_stack.lock import Lock, LockedError
from ansible.module_utils.ai_stack.releases import Plan, ReleaseError, Store, plan
from ansible.module_utils.ai_stack.remove import RemovalError, foretell, remove
from ansible.module_utils.basic import AnsibleModule

_FOLLOWED_FOR_S = 2.0
_LOOK_EVERY_S = 0.1

DOCUMENTATION = r"""
module: ai_release
short_description: Releases of the stack in /opt/ai
description:
  - C(staged) writes C(releases/<id>) out of rendered files; the id is their content's, so the same files are the same
    release. Nothing that serves changes.
  - C(active) lets a release serve, one component at a time, and only then points C(current) at it. If it does not
    work, the release that served before is brought back, and the task fails with the reason. The work is done by
    C(/opt/ai/bin/ai-stack) in a process of its own, which outlives this run; poll with C(until) C(is finished).
  - C(locked) keeps a second run out until this one ends, however it ends. Steps are journalled before and after.
options:
  state:
    description: What to do.
    type: str
    choices: [locked, staged, active, removed]
    required: true
  root: {description: Directory of the installation., type: path, default: /opt/ai}
  files: {description: "C(staged): content of each file of the release.", type: dict, default: {}}
  config:
    description: >-
      C(staged): for each group the files that containers mount. C(@@config/<group>@@) in C(files) becomes the path.
    type: dict
    default: {}
  about: {description: "C(staged): what release.json says beside id, time and checksums.", type: dict, default: {}}
  release: {description: "C(active): id of the release.", type: str}
  timeout_s: {description: "C(active): how long services may take to become healthy.", type: int, default: 900}
  drain_s: {description: "C(active): how long requests that are under way may take to end.", type: int, default: 900}
  keep: {description: "C(active): how many releases stay on the disk.", type: int, default: 5}
  why: {description: "C(locked): what a second run is told.", type: str, default: deploy}
  life: {description: "C(locked): number of a process on the host that ends with the run; 0 where there is none. The
                      action plugin fills it in.", type: int, default: 0}
  lease_s: {description: "C(locked) without C(life): a run that shows no sign of life for so long has lost the lock.",
            type: int, default: 900}
  keep_data: {description: "C(removed): leave keys, journal and volumes.", type: bool, default: true}
  volumes: {description: "C(removed): volumes to remove unless data is kept.", type: list, elements: str, default: []}
  run: {description: "Who is at work: token, user, host, pid, and whether C(./ai migrate) is. The action plugin fills
                      it in.", type: dict, default: {}}
  broken: {description: "C(locked): token of a run known to be dead, whose lock is taken. Filled in like C(run).",
           type: str, default: ""}
"""
RETURN = r"""
release: {description: Id of the release., type: str, returned: staged and active}
finished: {description: "C(active): whether it has come to its end.", type: bool, returned: active}
ai_progress: {description: "C(active): text of what is being done, for whoever watches.", type: dict, returned: active}
waits: {description: "C(active): for each engine that was exchanged, how many seconds its callers waited at most, and
                      how many did.", type: dict, returned: active}
done: {description: "C(active): what was done, in words.", type: list, elements: str, returned: active}
holder: {description: Who holds the lock., type: dict, returned: when it is held by another}
"""


def main() -> None:
    """Do what the state says, as one of at most one run."""
    mapping = {"type": "dict", "default": {}}
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["locked", "staged", "active", "removed"],
                "required": True,
            },
            "root": {"type": "path", "default": "/opt/ai"},
            "files": mapping,
            "config": mapping,
            "about": mapping,
            "release": {"type": "str"},
            "timeout_s": {"type": "int", "default": 900},
            "drain_s": {"type": "int", "default": 900},
            "keep": {"type": "int", "default": 5},
            "why": {"type": "str", "default": "deploy"},
            "life": {"type": "int", "default": 0},
            "lease_s": {"type": "int", "default": 900},
            "keep_data": {"type": "bool", "default": True},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "run": {"type": "dict", "default": {}},
            "broken": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    states = {"locked": _locked, "staged": _staged, "active": _active, "removed": _removed}
    try:
        states[module.params["state"]](module, Path(module.params["root"]))
    except LockedError as error:
        nothing = "Nothing was changed. " if module.params["state"] == "locked" else ""
        module.fail_json(msg=nothing + str(error), holder=error.holder)
    except (ReleaseError, runs.RunError, RemovalError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. Nothing that serves was changed.")


def _locked(module: AnsibleModule, root: Path) -> None:
    ask = module.params
    if not module.check_mode:
        lock = Lock()
        if ask["broken"]:
            lock.release(ask["broken"])
        # Another run than the migration's own would take the doors of the old service away.
        if not ask["run"].get("migrates") and (begun := history.migration(root)):
            module.fail_json(
                msg=f"Nothing was changed. Migration {begun} of this host is half way. Go on with it: "
                "./ai migrate HOST; or take it back: ./ai migrate HOST --rollback"
            )
        owner = {key: ask["run"].get(key) for key in ("user", "host", "pid")}
        lock.acquire(_token(module), owner, ask["why"], ask["lease_s"], ask["life"])
    # Taking the lock is no change of the host.
    module.exit_json(changed=False)


def _staged(module: AnsibleModule, root: Path) -> None:
    ask = module.params
    wanted = plan(root, ask["files"], ask["config"])
    store = Store(root)
    changed = not (store.has(wanted) and store.is_intact(wanted))
    diff = _diff(store, wanted)
    if changed and not module.check_mode:
        with Lock().held_now(_token(module)), _journal(module, root).step("stage", wanted.id):
            store.stage(wanted, ask["about"])
    module.exit_json(changed=changed, release=wanted.id, diff=diff)


def _active(module: AnsibleModule, root: Path) -> None:
    ask = module.params
    store, release = Store(root), str(ask["release"])
    if module.check_mode:
        todo = _foretold(store, release, Engine())
        module.exit_json(changed=bool(todo), finished=True, release=release, done=todo, diff=_words(todo))
    run = hashlib.sha256(f"{_token(module)}:{release}".encode()).hexdigest()[:16]
    if not runs.is_begun(run):
        _begin(module, root, release, run)
    until = time.monotonic() + _FOLLOWED_FOR_S
    while runs.lives(run) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
    alive, lines = runs.lives(run), runs.read(run)
    said = [str(line["say"]) for line in lines if "say" in line]
    end = next((line for line in lines if "end" in line), None)
    told = {"text": said[-1] if said else "", "done": 0, "total": 0}
    if end is None and alive:
        module.exit_json(changed=False, finished=False, release=release, ai_progress=told)
    runs.forget(run)
    if end is None:
        module.fail_json(
            msg=f"The change to release {release} was killed on the host. Run again: it goes on from there."
        )
    if end["end"] != "done":
        module.fail_json(msg=str(end["message"]), finished=True)
    done = [str(word) for word in end["done"]]
    module.exit_json(
        changed=bool(done), finished=True, release=release, done=done, waits=end.get("waits", {}), ai_progress=told,
        diff=_words(done),
    )  # fmt: skip


def _begin(module: AnsibleModule, root: Path, release: str, run: str) -> None:
    ask, tool = module.params, root / "bin" / "ai-stack"
    if not tool.is_file():
        module.fail_json(msg=f"{tool} is not there: the role ai_stack brings it before it starts anything.")
    by = f"{ask['run'].get('user', 'somebody')}@{ask['run'].get('host', 'unknown')}"
    words = [
        "/usr/bin/python3", "-I", str(tool), "activate", release, "--run", run, "--root", str(root),
        "--token", _token(module), "--by", by, "--keep", str(ask["keep"]),
        "--timeout-s", str(ask["timeout_s"]), "--drain-s", str(ask["drain_s"]),
    ]  # fmt: skip
    Lock().refresh(_token(module))
    runs.detach(run, words)


def _removed(module: AnsibleModule, root: Path) -> None:
    volumes, keep_data = list(module.params["volumes"]), bool(module.params["keep_data"])
    engine = Engine()
    if module.check_mode or not root.is_dir():
        done = foretell(root, engine, volumes, keep_data=keep_data)
    else:
        with Lock().held_now(_token(module)):
            done = remove(root, engine, _journal(module, root), volumes, keep_data=keep_data)
    module.exit_json(changed=bool(done), done=done, diff={"before": _words(done)["after"], "after": ""})


def _foretold(store: Store, release: str, engine: Engine) -> list[str]:
    if not store.path(release).is_dir():
        return [f"release {release} serves"]
    try:
        todo = Compose(store.root, store.path(release), engine).differences()
    except (ComposeError, EngineError) as error:
        return [f"release {release} serves ({error})"]
    return [*todo, *([] if store.current == release else [f"release {release} serves"])]


def _diff(store: Store, wanted: Plan) -> list[dict[str, str]]:
    """Between what serves and what was rendered, file by file."""
    current = store.current
    before = store.path(current) if current else None
    diffs = []
    for name, content in wanted.files.items():
        old = (before / name).read_text() if before and (before / name).is_file() else ""
        if old != content:
            diffs.append(
                {
                    "before_header": f"{current}/{name}",
                    "after_header": f"{wanted.id}/{name}",
                    "before": old,
                    "after": content,
                }
            )
    for group, files in wanted.config.items():
        if not (store.root / "config" / group).is_dir():
            diffs += [
                {"before": "", "after": content, "after_header": f"{group}/{name}"} for name, content in files.items()
            ]
    return diffs


def _words(lines: list[str]) -> dict[str, str]:
    return {"before": "", "after": "".join(f"{line}\n" for line in lines)}


def _token(module: AnsibleModule) -> str:
    return str(module.params["run"].get("token") or "nobody")


def _journal(module: AnsibleModule, root: Path) -> Journal:
    run: dict[str, Any] = module.params["run"]
    return Journal(root / "journal.jsonl", f"{run.get('user', 'somebody')}@{run.get('host', 'unknown')}")


if __name__ == "__main__":
    main()
