"""A real sshd for tests: the machine's own, or Debian's package unpacked where none is installed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from support.packages import unpacked


@dataclass(frozen=True)
class Sshd:
    """The program, and the environment that it needs beside its own."""

    program: Path
    environment: dict[str, str] = field(default_factory=dict)


def sshd(folder: Path) -> Sshd:
    """Return an sshd; `folder` takes what it must be shown. Skips where none can be had."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    if found := shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}"):
        return Sshd(Path(found))
    files = unpacked("openssh-server", "libwrap0", "libnss-wrapper")
    libraries = next(files.rglob("libwrap.so.0")).parent
    # The user that sshd wants beside root: this machine need not have one.
    for name, own in (("passwd", "sshd:x:64999:64999::/run/sshd:/bin/false"), ("group", "sshd:x:64999:")):
        (folder / name).write_text(Path("/etc", name).read_text() + own + "\n")
    return Sshd(
        files / "usr" / "sbin" / "sshd",
        {
            "LD_LIBRARY_PATH": str(libraries),
            "LD_PRELOAD": str(libraries / "libnss_wrapper.so"),
            "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(folder / "group"),
        },
    )
