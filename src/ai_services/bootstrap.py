"""Makes .venv what the locks say: called by `ai` with whatever Python it found, so standard library only.

    python -I bootstrap.py CHECKOUT local|deploy|provision|dev FINGERPRINT

The stamp (checkout and fingerprint, one a line) is written last; `ai` compares it on every call. While this works,
.venv/ai-unfinished stands: if the machine dies in the middle, the next call does not trust what is half there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

# Each holds all of the ones before it.
_SETS: Final = ("local", "deploy", "provision", "dev")
# What is published as source only is built here, by what requirements/build.txt names; nothing else is.
_BUILT: Final = {"provision": ("python-terraform",), "dev": ("python-terraform",)}
# Wheels, what they unpack to, and room to turn round in: measured 1.1 GiB for `local`, 1.5 GiB for `dev`.
_NEEDED_MIB: Final = {"local": 1500, "deploy": 2200, "provision": 2200, "dev": 3000}
# What an empty cache has to download.
_DOWNLOAD_MIB: Final = {"local": 480, "deploy": 540, "provision": 540, "dev": 720}
_BLOCKED: Final = 5
_INTERRUPTED: Final = 130
# What ai-unfinished says once .venv itself is whole and packages are being installed.
_PACKAGES: Final = "packages"


def main() -> None:
    """Entry point; leaves with 0, 5 (something is in the way, and what to do) or 130 (interrupted)."""
    checkout, wanted, fingerprint = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "UV_SYSTEM_PYTHON"):
        os.environ.pop(name, None)  # a person's habits for other installations; here only .venv is meant
    # uv reads the settings of the project it stands in: that is this one, wherever the person stands.
    os.chdir(checkout)
    try:
        with _alone(checkout):
            setup = Setup(checkout, wanted, fingerprint)
            if not setup.is_done():
                setup.run()
    except KeyboardInterrupt:
        _say("\nStopped. Call ./ai again: it goes on with what was downloaded.")
        raise SystemExit(_INTERRUPTED) from None
    except OSError as error:
        _stop_for(error, checkout)


class Setup:
    """One run: what is wanted in which checkout. Methods leave the process with a sentence when they cannot."""

    def __init__(self, checkout: Path, wanted: str, fingerprint: str) -> None:
        self.checkout = checkout
        self.wanted = wanted
        self.venv = checkout / ".venv"
        self.python = self.venv / "bin" / "python"
        self.unfinished = self.venv / "ai-unfinished"
        self.stamp = self.venv / f"ai-{wanted}.stamp"
        self.content = f"{checkout}\n{fingerprint}\n"

    def is_done(self) -> bool:
        """Tell whether another call did it all while this one waited."""
        if self.unfinished.exists():
            return False
        for holds_it in _SETS[_SETS.index(self.wanted) :]:
            with contextlib.suppress(OSError):
                if (self.venv / f"ai-{holds_it}.stamp").read_text() == self.content:
                    return True
        return False

    def run(self) -> None:
        """Bring .venv to the wanted state."""
        begun = time.monotonic()
        self._make_room()
        again = self._packages_were_interrupted()
        anew = not self._is_sound()
        if anew:
            self._make_venv()
        self.unfinished.write_text(_PACKAGES if again else "")
        # Whatever the stamps say is no longer sure from here on.
        for stamp in self.venv.glob("ai-*.stamp"):
            stamp.unlink()
        self._certificates()
        self._bring_uv()
        self.unfinished.write_text(_PACKAGES)
        self._sync("--reinstall" if again else "", anew)
        self._link_own_packages()
        self.stamp.write_text(self.content)
        self.unfinished.unlink()
        _say(f"Set up in {time.monotonic() - begun:.0f} s.")

    def _make_room(self) -> None:
        if self.venv.is_symlink() or (self.venv.exists() and not self.venv.is_dir()):
            _stop(f"{self.venv} is in the way: it is not a directory.", f"Remove it: rm {self.venv}")
        free_mib = shutil.disk_usage(self.checkout).free >> 20
        needed = _NEEDED_MIB[self.wanted]
        if free_mib < needed and not self.python.exists():
            _stop(
                f"The disk of {self.checkout} has {free_mib} MiB free; the setup needs {needed} MiB.",
                "Free some space (df -h .), or clone to another disk, and call ./ai again.",
            )

    def _is_sound(self) -> bool:
        # A venv holds absolute paths: in a checkout that was moved or copied it belongs to the old place.
        if not self.venv.exists():
            return False
        why = ""
        if self.unfinished.exists() and not self._packages_were_interrupted():
            why = "the last setup was interrupted"
        elif not self.python.exists():
            why = "its Python is gone"
        else:
            code = "import sys, pip; print(sys.prefix, sys.version_info >= (3, 11), sep='\\n')"
            probe = subprocess.run([self.python, "-I", "-c", code], capture_output=True, text=True, check=False)
            prefix, _, recent = probe.stdout.strip().partition("\n")
            script = self.venv / "bin" / "pip"
            if probe.returncode or recent != "True":
                why = "its Python does not work"
            elif Path(prefix) != self.venv or not _mentions(script, self.venv):
                why = "it was made for another place"
        if why:
            _say(f"Making .venv anew: {why}.")
            shutil.rmtree(self.venv)
        return not why

    def _make_venv(self) -> None:
        _say(f"Making .venv with Python {sys.version.split()[0]} ({sys.executable})")
        self.venv.mkdir()
        self.unfinished.touch()
        # The resolved interpreter: /usr/bin/python3 may be another version tomorrow.
        self._call([os.path.realpath(sys.executable), "-m", "venv", str(self.venv)])

    def _certificates(self) -> None:
        extra = os.environ.get("AI_EXTRA_CA_FILE")
        if not extra:
            return
        import ssl

        machine = ssl.get_default_verify_paths()
        known = [machine.cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]
        parts = [Path(extra), *(Path(path) for path in known if path and Path(path).is_file())][:2]
        bundle = self.venv / "ca-bundle.pem"
        bundle.write_text("\n".join(part.read_text() for part in parts))
        for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
            os.environ[name] = str(bundle)

    def _bring_uv(self) -> None:
        locked = self.checkout / "requirements" / "bootstrap.txt"
        pinned = re.search(r"^uv==(\S+)", locked.read_text(), re.MULTILINE)
        uv = self.venv / "bin" / "uv"
        if uv.exists() and pinned:
            found = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False).stdout.split()
            if found[1:2] == [pinned[1]]:
                return
        _say("Bringing uv")
        options = ["--require-hashes", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
        self._call([str(self.python), "-I", "-m", "pip", "install", *options, "-r", str(locked)])

    def _packages_were_interrupted(self) -> bool:
        # Then Python, pip and uv are whole, and it is enough to install every package once more.
        with contextlib.suppress(OSError):
            return self.unfinished.read_text() == _PACKAGES
        return False

    def _sync(self, option: str, anew: bool) -> None:
        locked = self.checkout / "requirements" / f"{self.wanted}.txt"
        count = len(re.findall(r"^[A-Za-z0-9_.-]+==", locked.read_text(), re.MULTILINE))
        _say(f"Installing {count} locked packages" + (f" (about {_DOWNLOAD_MIB[self.wanted]} MiB)" if anew else ""))
        options = [option] if option else []
        if built := _BUILT.get(self.wanted):
            constraints = self.checkout / "requirements" / "build.txt"
            options += ["--build-constraints", str(constraints)]
            options += [word for name in built for word in ("--no-binary", name)]
        self._uv(*options, "--require-hashes", "--only-binary", ":all:", "-r", str(locked))

    def _link_own_packages(self) -> None:
        own = sorted({self.checkout, *(file.parent for file in self.checkout.glob("*/*/pyproject.toml"))})
        editable = [word for package in own for word in ("-e", str(package))]
        self._uv("--quiet", "--no-deps", "--offline", *editable)

    def _uv(self, *arguments: str) -> None:
        environment = dict(os.environ)
        # A package index that pip was told of is the one to use: uv does not read pip's settings.
        for ours, theirs in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("UV_INDEX", "PIP_EXTRA_INDEX_URL")):
            if theirs in os.environ:
                environment.setdefault(ours, os.environ[theirs])
        if "SSL_CERT_FILE" not in environment:
            environment.setdefault("UV_SYSTEM_CERTS", "1")
        self._call(
            [str(self.venv / "bin" / "uv"), "pip", "install", "--python", str(self.python), *arguments],
            environment,
            show=True,
        )

    def _call(self, command: Sequence[str], environment: dict[str, str] | None = None, *, show: bool = False) -> None:
        code, said = run(command, environment, show=show)
        if code == 0:
            return
        if code in (-2, 130):
            raise KeyboardInterrupt
        message, hint = explain(said, self.checkout)
        tail = [line for line in said.splitlines() if line.strip()][-8:]
        _say("\n".join(f"  | {line}" for line in tail))
        _stop(message, hint)


def run(command: Sequence[str], environment: dict[str, str] | None = None, *, show: bool) -> tuple[int, str]:
    """Run a command; return its exit status and all it said.

    With `show` a terminal sees it live (bars and all), and anything else a line per large download.
    """
    if show and sys.stderr.isatty() and not os.environ.get("CI"):
        return _run_on_terminal(command, environment)
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    with process:
        for line in process.stdout or ():
            said.append(line)
            if show and (found := re.match(r"\s*Downloading (\S+ \(.*\))", line)):
                _say(f"  downloading {found[1]}")
    return process.returncode, "".join(said)


def _run_on_terminal(command: Sequence[str], environment: dict[str, str] | None) -> tuple[int, str]:
    import pty
    import termios

    ours, theirs = pty.openpty()
    with contextlib.suppress(termios.error):
        termios.tcsetwinsize(theirs, termios.tcgetwinsize(sys.stderr.fileno()))
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = bytearray()
    # EIO is how a pseudo-terminal says that nobody writes to it any more.
    with contextlib.suppress(OSError):
        while block := os.read(ours, 65536):
            said += block
            os.write(sys.stderr.fileno(), block)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode(errors="replace")).replace("\r", "\n")
    return process.wait(), text


def explain(said: str, checkout: Path) -> tuple[str, str]:
    """Turn what pip, uv or venv said into one sentence and the next step."""
    machine = f"{os.uname().sysname} {os.uname().machine}, Python {sys.version.split()[0]}"
    for pattern, message, hint in (
        (
            r"No space left on device|Disk quota exceeded|os error 28|os error 122",
            f"The disk is full: {shutil.disk_usage(checkout).free >> 20} MiB are free at {checkout}.",
            "Free some space (df -h), also where TMPDIR and the caches are, and call ./ai again.",
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|UnknownIssuer|self.signed certificate",
            "The package index was reached, but its TLS certificate is not trusted (a proxy that re-signs TLS?).",
            "Name the proxy's certificate: AI_EXTRA_CA_FILE=/path/to/ca.pem ./ai up",
        ),
        (
            r"DO NOT MATCH THE HASHES|[Hh]ash mismatch|Expected sha256",
            "A package that was downloaded is not the one the lock names (checksum).",
            "Do not install it. If a mirror or proxy stands between, ask its keeper; else try again later.",
        ),
        (
            r"name resolution|dns error|Name or service not known|error sending request|NewConnectionError|"
            r"Network is unreachable|[Cc]onnection refused|timed out|Failed to fetch|ConnectTimeout|Max retries|"
            r"tcp connect error|nodename nor servname|ProxyError",
            "The package index cannot be reached: no network, or a proxy that is not set.",
            "Connect, or set HTTPS_PROXY (a mirror: PIP_INDEX_URL), and call ./ai again. "
            "The network is needed for the first setup only.",
        ),
        (
            r"no wheels? with a matching|Wheels are (required|available) for|No matching distribution|"
            r"doesn't have a source distribution or wheel",
            f"A package has no ready-made wheel for this machine ({machine}).",
            "Supported: Linux with glibc 2.28 or newer on x86_64 and aarch64, macOS 14 or newer on Apple chips; "
            "CPython 3.11 to 3.14. Another Python: AI_PYTHON=/path/to/python3.12 ./ai up",
        ),
        (
            r"Permission denied|Read-only file system|os error 13|os error 30",
            f"{checkout} or a cache cannot be written by this user.",
            f"Mend the owner (sudo chown -R $USER {checkout} ~/.cache), or clone to a directory of your own.",
        ),
        (
            r"ensurepip",
            f"{sys.executable} cannot make a virtual environment: ensurepip is missing or broken.",
            f"Install it: sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv",
        ),
    ):
        if re.search(pattern, said):
            return message, hint
    return "The setup failed; the lines above say where.", "Call ./ai again; if it stays, rm -r .venv and once more."


@contextlib.contextmanager
def _alone(checkout: Path) -> Iterator[None]:
    # The lock is on the checkout's directory itself: no file to forget, and it dies with its owner.
    descriptor = os.open(checkout, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another ./ai is setting this checkout up; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            _say("This file system has no locks; make sure that no other ./ai sets this checkout up now.")
        yield
    finally:
        os.close(descriptor)


def _mentions(script: Path, venv: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.fsencode(venv) in script.read_bytes()
    return False


def _stop_for(error: OSError, checkout: Path) -> NoReturn:
    message, hint = explain(f"{error.strerror} (os error {error.errno})", checkout)
    if error.filename:
        message = f"{message} ({error.filename}: {error.strerror})"
    _stop(message, hint)


def _stop(message: str, hint: str) -> NoReturn:
    _say(f"✘ {message}\n  {hint}")
    raise SystemExit(_BLOCKED)


def _say(text: str) -> None:
    # stderr: `ai status --json | jq` must stay JSON when the call had to set something up first.
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
