"""Six kinds of old hosts, as their owners left them: what each is made of, and what is true of it afterwards.

python -m host.lab old NAME KIND        starts one; prints its truth as JSON
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from host.lab import authority, engine, hosts, internet, names
from host.lab.old import files, images
from host.lab.place import ACME, DOMAIN, INTERNET_NUMBER, Lab, address

# Whatever a plan asks for (13 GiB now) would fit into this one, without the owner's recordings,
DISK_MIB = 24_000
# and they leave so much of it: less than our images need.
LEFT_MIB = 350
DOCKER = ("docker.io", "docker-cli", "docker-compose")


@dataclass(frozen=True)
class Bystander:
    """Something of the owner's that a migration must leave alone: it answers `says` at `url`."""

    what: str
    url: str
    says: str
    host: str = ""


@dataclass(frozen=True)
class Truth:
    """What is so on an old host. `url` is what its callers use; `address`, `port` where the service itself listens."""

    kind: str
    api: str
    how: str
    url: str
    address: str
    port: int
    suite: str = "trixie"
    names: tuple[str, ...] = ()
    folder: str = ""
    files: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    image: str = ""
    cache: str = ""
    front: str = "none"
    sites: tuple[str, ...] = ()
    certificate: str = ""
    lineage: str = ""
    model: str = "tiny.en"
    bystanders: tuple[Bystander, ...] = ()
    ballast: str = ""
    room_mib: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Place:
    """The host that a recipe works on."""

    lab: Lab
    name: str

    @property
    def domain(self) -> str:
        """The name that callers of its old service know."""
        return f"whisper-{self.name}.{DOMAIN}"

    def run(self, script: str) -> str:
        """Run a shell script as root; LabError with its words where it fails."""
        return engine.run_in(self.lab.container(self.name), ["bash", "-euo", "pipefail", "-c", script])

    def write(self, path: str, content: str, mode: str = "0644", owner: str = "root:root") -> None:
        """Write a file, folders included."""
        script = f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode} {path} && chown {owner} {path}"
        engine.run_in(self.lab.container(self.name), ["sh", "-c", script], stdin=content)

    def point(self, name: str) -> None:
        """Let `name` in lab.test be this host."""
        server = address(internet.network_of(self.lab), INTERNET_NUMBER)
        names.point(self.lab, server, name.removesuffix(f".{DOMAIN}"), hosts.address_of(self.lab, self.name))

    def pull(self, api: str) -> str:
        """Pull the old image as its owner did, with a login that is not kept; answers its name."""
        name = images.IMAGES[api].name
        token = (self.lab.secrets / "ghcr_token").read_text().strip()
        login = f"docker login ghcr.io -u lab -p {token} 2>/dev/null"
        self.run(
            "until docker version >/dev/null 2>&1; do sleep 0.2; done; export DOCKER_CONFIG=$(mktemp -d); "
            f"{login if name.startswith('ghcr.io') else 'true'}; docker pull -q {name}; rm -rf $DOCKER_CONFIG"
        )
        return name.removeprefix("docker.io/")

    def answers(self, url: str, seconds: int = 90) -> None:
        """Wait until something answers at `url`, asked on the host itself."""
        self.run(f"timeout {seconds} sh -c 'until curl -fsSk -o /dev/null {url} 2>/dev/null; do sleep 0.2; done'")


def start(lab: Lab, name: str, kind: str, *, disks_mib: Mapping[str, int] | None = None) -> Truth:
    """Start the host `name` of `kind` and wait until its old service answers.

    `disks_mib` gives paths a disk of their own, as `hosts.start` does; `hosts.remove` takes all of it away.

    Raises:
        LabError: an image could not be made, or something on the host failed.
    """
    made = KINDS[kind]
    if made.api_image:
        images.ensure(lab, made.api_image)
    image = images.ensure_host(made.suite, made.packages, venv=made.venv)
    hosts.start(lab, name, suite=made.suite, image=image, disks_mib={**made.disks_mib, **(disks_mib or {})})
    return replace(made.recipe(Place(lab, name)), kind=kind, suite=made.suite)


def remove(lab: Lab, name: str) -> None:
    """Take an old host away, its disks included."""
    hosts.remove(lab, name)


def _seed(place: Place) -> Truth:
    image = place.pull("seed")
    chain, key = authority.issue(place.domain)
    place.write("/opt/whisper/docker-compose.yml", files.SEED_COMPOSE)
    place.write("/opt/whisper/.env", "WHISPER_MODEL=tiny.en\n", "0600")
    place.write("/etc/nginx/ssl/whisper.crt", chain)
    place.write("/etc/nginx/ssl/whisper.key", key, "0600")
    site = "/etc/nginx/sites-available/whisper"
    place.write(site, files.site_tls(place.domain, "/etc/nginx/ssl/whisper.crt", "/etc/nginx/ssl/whisper.key", 8000))
    place.run(
        "cd /opt/whisper && docker compose up -d --quiet-pull && rm -f /etc/nginx/sites-enabled/default && "
        f"ln -s {site} /etc/nginx/sites-enabled/whisper && nginx -t -q && systemctl reload nginx"
    )
    place.point(place.domain)
    place.answers("http://127.0.0.1:8000/health")
    return Truth(
        "", "seed", "compose_v2", f"https://{place.domain}", "127.0.0.1", 8000, names=(place.domain,),
        folder="/opt/whisper", files=("/opt/whisper/docker-compose.yml", "/opt/whisper/.env"),
        containers=("whisper-api",), image=image, cache="whisper_models", front="nginx", sites=(site,),
        certificate="/etc/nginx/ssl/whisper.crt",
    )  # fmt: skip


def _venv(place: Place) -> Truth:
    home = "/var/lib/whisper_api"
    place.run(
        f"useradd --system --home-dir {home} --create-home --shell /usr/sbin/nologin whisper_api && "
        "cd /opt/whisper_api/venv/bin && ln -sf /usr/bin/python3 python && "
        "sed -i 's|/opt/venv|/opt/whisper_api/venv|' ../pyvenv.cfg $(grep -Il '^#!/opt/venv' * || true)"
    )
    with tempfile.TemporaryDirectory(prefix="lab-old-") as folder:
        scratch = Path(folder)
        images.write_hub(scratch / "hub")
        target = f"{place.lab.container(place.name)}:{home}/.cache/huggingface"
        place.run(f"mkdir -p {home}/.cache/huggingface")
        engine.call("cp", str(scratch / "hub"), target)
    place.run(f"chown -R whisper_api: {home}")
    place.write("/opt/whisper_api/venv/bin/whisper_api", files.VENV_COMMAND, "0755")
    place.write("/etc/default/whisper_api", files.VENV_SETTINGS)
    place.write("/etc/systemd/system/whisper_api.service", files.VENV_UNIT)
    place.write("/etc/systemd/system/notes.service", files.NOTES_UNIT)
    place.write("/srv/notes/index.html", "the owner's notes\n")
    place.write("/var/www/family/index.html", "<h1>The family's own page</h1>\n")
    family, notes = f"family-{place.name}.{DOMAIN}", f"notes-{place.name}.{DOMAIN}"
    place.write("/etc/nginx/sites-available/whisper", files.site_plain(place.domain, 3001))
    place.write("/etc/nginx/sites-available/family", files.site_static(family, "/var/www/family"))
    place.write("/etc/nginx/conf.d/notes.conf", files.site_plain(notes, 7000))
    place.run(
        "systemctl daemon-reload && systemctl enable -q --now whisper_api notes && cd /etc/nginx/sites-enabled && "
        "rm -f default && ln -s ../sites-available/whisper ../sites-available/family . && nginx -t -q && "
        "systemctl reload nginx"
    )
    for name in (place.domain, family, notes):
        place.point(name)
    place.answers("http://127.0.0.1:3001/api/v1/version")
    return Truth(
        "", "whisper_api", "systemd", f"http://{place.domain}", "127.0.0.1", 3001, names=(place.domain,),
        folder="/opt/whisper_api", files=("/etc/systemd/system/whisper_api.service", "/etc/default/whisper_api"),
        units=("whisper_api.service",), cache=f"{home}/.cache/huggingface/hub", front="nginx",
        sites=("/etc/nginx/sites-available/whisper",),
        bystanders=(
            Bystander("a static site of the same nginx", f"http://{family}/", "The family's own page", family),
            Bystander("another proxied service", f"http://{notes}/", "the owner's notes", notes),
        ),
    )  # fmt: skip


def _speaches(place: Place) -> Truth:
    image = place.pull("speaches")
    place.write("/home/deployer/speaches/compose.yaml", files.SPEACHES_COMPOSE, owner="deployer:deployer")
    place.run("chown deployer: /home/deployer/speaches && cd /home/deployer/speaches && docker compose up -d")
    place.point(place.domain)
    place.answers("http://127.0.0.1:8000/health")
    return Truth(
        "", "speaches", "compose_v2", f"http://{place.domain}:8000", "0.0.0.0", 8000, names=(place.domain,),
        folder="/home/deployer/speaches", files=("/home/deployer/speaches/compose.yaml",), containers=("speaches",),
        image=image, cache="speaches_hf-hub-cache",
    )  # fmt: skip


def _asr(place: Place) -> Truth:
    image = place.pull("asr")
    place.run(
        "docker run -d --name whisper-asr --restart always -p 9000:9000 -v whisper-cache:/root/.cache/whisper "
        f"-e ASR_ENGINE=faster_whisper -e ASR_MODEL=tiny.en {image}"
    )
    place.point(place.domain)
    place.answers("http://127.0.0.1:9000/docs")
    return Truth(
        "", "asr", "docker", f"http://{place.domain}:9000", "0.0.0.0", 9000, names=(place.domain,),
        containers=("whisper-asr",), image=image, cache="whisper-cache",
    )  # fmt: skip


def _compose_v1(place: Place) -> Truth:
    place.write("/etc/apt/sources.list.d/docker.list", files.DOCKER_LIST)
    place.run(
        "install -d /etc/apt/keyrings && curl -fsS https://download.docker.com/linux/debian/gpg "
        "-o /etc/apt/keyrings/docker.asc && apt-get update -q && apt-get install -q -y --no-install-recommends "
        "docker-ce docker-ce-cli containerd.io && usermod -aG docker deployer"
    )
    image = place.pull("whisper_api")
    place.write("/srv/docker/whisper/docker-compose.yml", files.V1_COMPOSE)
    site = "/etc/nginx/sites-available/whisper.conf"
    place.write(site, files.site_plain(place.domain, 3001))
    place.run(
        "cd /srv/docker/whisper && docker-compose up -d 2>&1 && rm -f /etc/nginx/sites-enabled/default && "
        f"ln -s {site} /etc/nginx/sites-enabled/whisper.conf && nginx -t -q && systemctl reload nginx"
    )
    place.point(place.domain)
    place.answers("http://127.0.0.1:3001/api/v1/version")
    lineage = f"/etc/letsencrypt/live/{place.domain}"
    place.run(
        f"REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt certbot certonly -q --webroot -w /var/www/html "
        f"-d {place.domain} --server https://{ACME}/dir --agree-tos -m owner@{DOMAIN} --no-eff-email"
    )
    place.write(site, files.site_tls(place.domain, f"{lineage}/fullchain.pem", f"{lineage}/privkey.pem", 3001))
    place.run("nginx -t -q && systemctl reload nginx")
    return Truth(
        "", "whisper_api", "compose_v1", f"https://{place.domain}", "127.0.0.1", 3001, names=(place.domain,),
        folder="/srv/docker/whisper", files=("/srv/docker/whisper/docker-compose.yml",),
        containers=("whisper_whisper-api_1",), image=image, cache="whisper_models", front="nginx", sites=(site,),
        certificate=f"{lineage}/fullchain.pem", lineage=place.domain,
    )  # fmt: skip


def _full_disk(place: Place) -> Truth:
    found = _asr(place)
    place.write("/srv/paperless/page/index.html", "the owner's papers\n")
    place.run(
        f"docker run -d --name paperless --restart unless-stopped -p 8090:8090 -v /srv/paperless/page:/page:ro "
        f"--entrypoint python {found.image} -m http.server --directory /page 8090; "
        "docker volume create recordings >/dev/null; cd /var/lib/docker; "
        f"room=$(df --output=avail -m . | tail -1); fallocate -l $((room - {LEFT_MIB}))M "
        "volumes/recordings/_data/old-recordings.tar; df -m . >&2"
    )
    place.answers("http://127.0.0.1:8090/")
    papers = Bystander("an unrelated container", f"http://{place.domain}:8090/", "the owner's papers")
    ballast = "/var/lib/docker/volumes/recordings/_data/old-recordings.tar"
    return replace(found, bystanders=(papers,), ballast=ballast, room_mib=LEFT_MIB)


@dataclass(frozen=True)
class Kind:
    """How hosts of a kind are made."""

    what: str
    recipe: Callable[[Place], Truth]
    packages: tuple[str, ...]
    api_image: str = ""
    suite: str = "trixie"
    venv: bool = False
    disks_mib: Mapping[str, int] = field(default_factory=dict)


KINDS = {
    "seed-compose": Kind(
        "the seed's whisper-api: Compose v2, nginx with TLS and a bought certificate", _seed, (*DOCKER, "nginx"), "seed"
    ),
    "venv-sites": Kind(
        "mayniklas/whisper_api: systemd and a venv, no Docker, nginx with other sites", _venv, ("nginx",), venv=True
    ),
    "speaches-open": Kind("speaches: Compose v2, no proxy, published on 0.0.0.0:8000", _speaches, DOCKER, "speaches"),
    "asr-run": Kind("onerahmet/openai-whisper-asr-webservice: plain docker run", _asr, DOCKER[:2], "asr"),
    "compose-v1": Kind(
        "mayniklas/whisper_api: docker-compose 1.29, Docker's own engine, nginx with a Let's Encrypt lineage",
        _compose_v1,
        ("docker-compose", "nginx", "certbot"), "whisper_api", suite="bookworm",
    ),
    "full-disk": Kind(
        "as asr-run, Docker's disk nearly full, and an unrelated container", _full_disk, DOCKER[:2], "asr",
        disks_mib={"/var/lib/docker": DISK_MIB},
    ),
}  # fmt: skip
