#!/usr/bin/python
"""Remember what a role finds on a host, say what it left there, and put the host back as it was."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ai_footprint
short_description: What a role found, what it left, and the way back
description:
  - C(before) notes, once and before anything is touched, which packages, files, directories and units were there.
    A file that was there is copied aside. What is noted already is never noted again, so a second run does not
    take our own work for the owner's.
  - C(after) writes the checksums of the role's files and the names of its units, for the doctor to measure drift.
  - C(removed) purges the packages that were not there, brings back the files and units that were,
    and deletes the note. Without a note it touches nothing and says so. C(noted) only reads the note.
options:
  role: {description: Name of the role that leaves the footprint., type: str, required: true}
  state: {description: Which of them., type: str, choices: [before, after, noted, removed], required: true}
  packages: {description: Packages that the role may install., type: list, elements: str, default: []}
  files: {description: Files that the role may write., type: list, elements: path, default: []}
  directories: {description: Directories that the role may make., type: list, elements: path, default: []}
  units: {description: "systemd units that the role may enable, start or stop.", type: list, elements: str, default: []}
  groups: {description: Groups that packages may make and would leave behind., type: list, elements: str, default: []}
  volatile: {description: "C(after): files that others rewrite in due course; no drift.", type: list, elements: path,
             default: []}
  keep: {description: "C(removed): packages that stay although the role brought them.", type: list, elements: str,
         default: []}
"""
RETURN = r"""
missing: {description: The given packages that are not installed now., type: list, elements: str, returned: before}
pending: {description: "True in check mode when packages or directories are missing, so that whatever builds on them
          cannot be foretold.", type: bool, returned: before}
ours: {description: Packages that were not there before this role., type: list, elements: str, returned: always}
kept: {description: Packages left in place because others need them., type: list, elements: str, returned: removed}
noted: {description: Whether there was a note to go by., type: bool, returned: removed}
made: {description: Directories that were not there before the role., type: list, elements: str, returned: removed}
"""

FOUND = Path("/var/lib/ai-services/found")
EXPECTED = Path("/opt/ai/expected")
Note = dict[str, Any]


def main() -> None:
    """Run the state that was asked for."""
    names = {"type": "list", "elements": "str", "default": []}
    paths = {"type": "list", "elements": "path", "default": []}
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["before", "after", "noted", "removed"]},
            "packages": names,
            "files": paths,
            "directories": paths,
            "units": names,
            "groups": names,
            "volatile": paths,
            "keep": names,
        },
        supports_check_mode=True,
    )
    {"before": before, "after": after, "noted": noted, "removed": removed}[module.params["state"]](module)


def before(module: AnsibleModule) -> None:
    """Note what is there, unless it is noted already."""
    ask = module.params
    installed = installed_packages(module)
    note = read_note(ask["role"]) or {"role": ask["role"], "packages": {}, "files": {}, "directories": {}, "units": {}}
    known = json.dumps(note, sort_keys=True)
    note.setdefault("installed", sorted(installed))
    for package in ask["packages"]:
        note["packages"].setdefault(package, package in installed)
    for path in ask["directories"]:
        note["directories"].setdefault(path, Path(path).is_dir())
    for group in ask["groups"]:
        note.setdefault("groups", {}).setdefault(group, group_members(group) is not None)
    for unit in ask["units"]:
        if unit not in note["units"]:
            note["units"][unit] = unit_state(module, unit)
    new_files = [path for path in ask["files"] if path not in note["files"]]
    for path in new_files:
        note["files"][path] = keep_aside(ask["role"], Path(path), write=not module.check_mode)
    missing = [package for package in ask["packages"] if package not in installed]
    absent = [path for path in ask["directories"] if not Path(path).is_dir()]
    noted = json.dumps(note, sort_keys=True) != known
    if noted and not module.check_mode:
        write_json(FOUND / f"{ask['role']}.json", note, mode=0o600)
    plan = [f"install {package}" for package in missing] + [f"make {path}" for path in absent]
    plan += [f"{'replace' if note['files'][path] else 'write'} {path}" for path in new_files]
    module.exit_json(
        changed=noted or (module.check_mode and bool(missing)),
        missing=missing,
        pending=module.check_mode and bool(missing or absent),
        ours=absent_then(note, "packages"),
        diff={"before": "", "after": "".join(line + "\n" for line in plan)},
    )


def after(module: AnsibleModule) -> None:
    """Write down what the doctor may hold the host against; no content, only checksums."""
    ask = module.params
    path = EXPECTED / f"{ask['role']}.json"
    files = {
        name: {"sha256": hashlib.sha256(Path(name).read_bytes()).hexdigest()}
        for name in sorted(set(ask["files"]) - set(ask["volatile"]))
        if Path(name).is_file()
    }
    text = as_json({"files": files, "units": ask["units"]})
    was = path.read_text() if path.exists() else ""
    if was != text and not module.check_mode:
        write_json(path, json.loads(text), mode=0o644)
    module.exit_json(changed=was != text, diff={"before": was, "after": text})


def noted(module: AnsibleModule) -> None:
    """Tell what the note says, for a role that must know before it removes."""
    note = read_note(module.params["role"])
    there = note or {"packages": {}, "directories": {}}
    ours, made = absent_then(there, "packages"), absent_then(there, "directories")
    module.exit_json(changed=False, noted=note is not None, ours=ours, made=made)


def removed(module: AnsibleModule) -> None:
    """Put back what the note says."""
    ask = module.params
    note = read_note(ask["role"])
    if note is None:
        module.exit_json(changed=False, noted=False, kept=[], made=[])
        return
    installed = installed_packages(module)
    ours = [name for name in absent_then(note, "packages") if name in installed]
    leaving, kept = separable(module, [name for name in ours if name not in ask["keep"]], set(note["installed"]))
    kept += [name for name in ours if name in ask["keep"]]
    made = sorted(absent_then(note, "directories"), key=len, reverse=True)
    plan = [f"purge {name}" for name in leaving]
    plan += [f"{'restore' if copy else 'delete'} {path}" for path, copy in note["files"].items()]
    plan += [f"restore {unit} to {'/'.join(state)}" for unit, state in note["units"].items() if state[0] != "absent"]
    if not module.check_mode:
        stop_ours(module, note["units"], unless=bool(kept))
        purge(module, leaving, set(note["installed"]))
        if not kept:
            for path, copy in note["files"].items():
                bring_back(ask["role"], Path(path), copy)
        run(module, ["systemctl", "daemon-reload"], may_fail=True)
        restore_units(module, note["units"])
        (EXPECTED / f"{ask['role']}.json").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            EXPECTED.rmdir()
        for group in absent_then(note, "groups"):
            if not kept and group_members(group) == []:
                run(module, ["groupdel", group], may_fail=True)
        for path in made:
            with contextlib.suppress(OSError):  # somebody else's files are in it: it stays
                Path(path).rmdir()
        (FOUND / f"{ask['role']}.json").unlink()
        shutil.rmtree(FOUND / ask["role"], ignore_errors=True)
        for directory in (FOUND, FOUND.parent):
            with contextlib.suppress(OSError):
                directory.rmdir()
    diff = {"before": "".join(line + "\n" for line in plan), "after": ""}
    module.exit_json(changed=True, noted=True, kept=kept, made=made, diff=diff)


# -- packages ---------------------------------------------------------------------------------------------------------


def installed_packages(module: AnsibleModule) -> set[str]:
    """Names of the installed packages, read from dpkg so that a host without python3-apt can be asked too."""
    listing = run(module, ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Package}\n"])
    return {line.split()[1] for line in listing.splitlines() if line.startswith(("ii", "hi"))}


def separable(module: AnsibleModule, packages: list[str], found: set[str]) -> tuple[list[str], list[str]]:
    """Split packages into those that can go alone, and those that would take a stranger's package with them."""
    leaving: list[str] = []
    kept: list[str] = []
    automatic = set(run(module, ["apt-mark", "showauto"]).split())
    for package in packages:
        taken = simulated(module, ["purge", package]) - set(packages)
        strangers = {name for name in taken if name in found or name not in automatic}
        (kept if strangers else leaving).append(package)
    return leaving, kept


def purge(module: AnsibleModule, packages: list[str], found: set[str]) -> None:
    """Purge the packages, then what only they needed: automatic, needed by nobody now, and not there before."""
    if packages:
        apt(module, ["purge", *packages])
    # What a package merely recommends or suggests came with ours all the same; what was there before is never taken.
    weak = [f"APT::AutoRemove::{kind}Important=false" for kind in ("Recommends", "Suggests")]
    options = [word for option in weak for word in ("-o", option)]
    orphans = simulated(module, [*options, "autoremove", "--purge"]) - found if packages else set()
    if orphans:
        apt(module, ["purge", *sorted(orphans)])


def simulated(module: AnsibleModule, arguments: list[str]) -> set[str]:
    """Names of the packages that apt-get would remove."""
    listing = run(module, ["apt-get", "--simulate", *arguments])
    return {line.split()[1].split(":")[0] for line in listing.splitlines() if line.startswith(("Purg ", "Remv "))}


def apt(module: AnsibleModule, arguments: list[str]) -> None:
    """Run apt-get without questions; waits for another apt at work instead of failing."""
    environment = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    run(module, ["apt-get", "--yes", "-o", "DPkg::Lock::Timeout=300", *arguments], environment=environment)


# -- files and units --------------------------------------------------------------------------------------------------


def keep_aside(role: str, path: Path, write: bool) -> dict[str, Any] | None:
    """Copy a file into the note's folder; None when there is no such file."""
    if path.is_symlink():
        return {"link": str(path.readlink())}
    if not path.is_file():
        return None
    status = path.stat()
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if write:
        folder = FOUND / role
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
        (folder / name).chmod(0o600)
        # Before the note names it, and before a role writes over the only other one.
        sync(folder / name)
        sync(folder)
    return {"copy": name, "mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}


def bring_back(role: str, path: Path, copy: dict[str, Any] | None) -> None:
    """Undo what was done to one file."""
    if copy is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.ai-services")
    fresh.unlink(missing_ok=True)
    if "link" in copy:
        fresh.symlink_to(copy["link"])
    else:
        shutil.copyfile(FOUND / role / copy["copy"], fresh)
        os.chown(fresh, copy["uid"], copy["gid"])
        fresh.chmod(copy["mode"])
    fresh.replace(path)


def group_members(group: str) -> list[str] | None:
    """Users that are in a group besides its own; None when there is no such group."""
    try:
        return list(grp.getgrnam(group).gr_mem)
    except KeyError:
        return None


def unit_state(module: AnsibleModule, unit: str) -> list[str]:
    """[enabled-state, active-state] of a unit; ["absent", "inactive"] where there is none."""
    enabled = run(module, ["systemctl", "is-enabled", unit], may_fail=True).strip()
    active = run(module, ["systemctl", "is-active", unit], may_fail=True).strip()
    return [enabled if enabled and enabled != "not-found" else "absent", active or "inactive"]


def stop_ours(module: AnsibleModule, units: dict[str, list[str]], unless: bool) -> None:
    """Stop the units that were not there, before their packages and files go; not while others need the package."""
    for unit, (enabled, _) in units.items():
        if enabled == "absent" and not unless:
            run(module, ["systemctl", "disable", "--now", unit], may_fail=True)


def restore_units(module: AnsibleModule, units: dict[str, list[str]]) -> None:
    """Enable, disable, start or stop the units that were there, as they were."""
    for unit, (enabled, active) in units.items():
        if enabled in {"enabled", "disabled"}:
            run(module, ["systemctl", "enable" if enabled == "enabled" else "disable", unit], may_fail=True)
        if enabled != "absent":
            run(module, ["systemctl", "start" if active == "active" else "stop", unit], may_fail=True)


# -- the note ---------------------------------------------------------------------------------------------------------


def read_note(role: str) -> Note | None:
    """Return the note of a role, None when there is none."""
    path = FOUND / f"{role}.json"
    if not path.exists():
        return None
    note: Note = json.loads(path.read_text())
    return note


def absent_then(note: Note, kind: str) -> list[str]:
    """Names of the packages or directories that were not there before the role."""
    return [name for name, there in note.get(kind, {}).items() if not there]


def write_json(path: Path, content: Note, mode: int) -> None:
    """Replace a file in one step, so that a power cut leaves the old or the new one."""
    path.parent.mkdir(mode=0o700 if mode == 0o600 else 0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{int(time.time())}")
    with fresh.open("w") as stream:
        stream.write(as_json(content))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.chmod(mode)
    fresh.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_json(content: Note) -> str:
    """Return the JSON text that both files are written in."""
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def run(
    module: AnsibleModule, command: list[str], may_fail: bool = False, environment: dict[str, str] | None = None
) -> str:
    """Return a command's output; a failure ends the task with what the command said, unless it may fail."""
    returncode, output, error = module.run_command(command, environ_update={"LC_ALL": "C", **(environment or {})})
    if returncode and not may_fail:
        module.fail_json(msg=f"{' '.join(command)} failed ({returncode}): {error.strip() or output.strip()}")
    return str(output)


if __name__ == "__main__":
    main()
