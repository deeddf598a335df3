"""Everything that is broken on purpose on a deployed host: how, which checks of the doctor say so, in which words."""

# ruff: noqa: E501  # tables: one row a line is easier to read than a tidy width

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from host.lab import internet, names
from host.lab.place import DOMAIN, INTERNET_NUMBER, Lab, address
from host.story import Deployed

# Shell on the host (as root, with host.sh), or something done to the world around it.
Act = str | Callable[[Deployed], None]


@dataclass(frozen=True)
class Fault:
    """One plant. `says`: checks that name it, each with words that must be in what it saw.

    `before` brings the host into the state in which those checks are content (`well`), `after` back from it. `mends`:
    the check of `says` whose `--fix` mends it.
    """

    name: str
    says: Mapping[str, str]
    plant: Act
    undo: Act
    state: str = "failed"
    well: str = "ok"
    before: str = ""
    after: str = ""
    mends: str = ""


def _point(host: Deployed, target: str | None) -> None:
    lab: Lab = host.lab
    server = address(internet.network_of(lab), INTERNET_NUMBER)
    names.point(lab, server, host.operator.domain.removesuffix(f".{DOMAIN}"), target)


def _nameless(host: Deployed) -> None:
    _point(host, None)


def _named(host: Deployed) -> None:
    host.operator.prepare(**host.operator.settings)


def _gpu(name: str, says: Mapping[str, str], plant: str, undo: str) -> Fault:
    return Fault(name, says, plant, undo, before="gpu_on", after="gpu_off")


_DAEMON = "/etc/docker/daemon.json"
_HOOK = "/etc/letsencrypt/renewal-hooks/deploy/ai-services"
_JOURNAL = "/opt/ai/journal.jsonl"

CONTAINERS = (
    Fault("container stopped", {"containers": "ollama is stopped", "gateway": "not well: ollama"},
          "docker stop -t 5 ollama; gateway_not_well", "docker start ollama; healthy ollama; gateway_well", mends="containers"),
    Fault("container gone", {"containers": "ollama has no container"},
          "docker rm -f ollama", "cd /opt/ai; docker compose up -d --no-deps ollama 2>&1; healthy ollama"),
    Fault("container paused", {"containers": "idle is paused"}, "by_hand idle; docker pause idle", "docker rm -f idle"),
    Fault("container sick", {"containers": "sick is unhealthy: it feels sick"},
          "by_hand sick --health-cmd 'echo it feels sick; exit 1' --health-interval 0.2s --health-retries 1; until_true test_health sick unhealthy", "docker rm -f sick"),
    Fault("restart loop", {"restarts": "in a loop: looping was restarted"},
          "by_hand looping --restart always --entrypoint /bin/false; again() { [ $(docker inspect -f '{{.RestartCount}}' looping) -gt 3 ]; }; until_true again",
          "docker rm -f looping"),
    Fault("another image than the release's", {"images": "extra runs"},
          "by_hand extra --label com.docker.compose.service=gateway", "docker rm -f extra"),
    Fault("newer image in the registry", {"images-behind": "newer in the registry: gateway"},
          "keep $record; sed -i 's#/gateway:\\([^@]*\\)@#/whisper-api:\\1@#' $record", "back $record", "warning"),
    Fault("daemon.json broken", {"docker": "is not JSON"}, f"keep {_DAEMON}; echo '{{\"log-driver\": ' >{_DAEMON}", f"back {_DAEMON}"),
    Fault("daemon.json not in force", {"docker": "live-restore is true, the file says false"},
          f"keep {_DAEMON}; sed -i '/live-restore/s/true/false/' {_DAEMON}", f"back {_DAEMON}", "warning"),
    Fault("gateway silent", {"gateway": "nobody listens"}, "docker stop -t 5 $(gateway)", "docker start $(gateway); healthy $(gateway); /opt/ai/bin/doctor --fix --only takeover >/dev/null || true"),
    Fault("gateway talks nonsense", {"gateway": "is not JSON"}, "impostor '{\"status\": \"ok\", \"comp'", "impostor_gone"),
    Fault("nginx asks the other port", {"takeover": "and the gateway has"}, "turn_switch", "[ -z \"$(/opt/ai/bin/doctor --only takeover | grep -F asks)\" ] || turn_switch", "warning", mends="takeover"),
    Fault("another one answers", {"transcription": "0 % of the words right", "completion": "answered nothing", "keys": "without a key is answered 200"},
          "impostor '{\"text\": \"zzz\"}'", "impostor_gone"),
)  # fmt: skip

CERTIFICATES = (
    Fault("certificate expired", {"certificate": "expired"}, "certificate $domain '90 days ago' '2 days ago'; nginx_reload", "certificate_back"),
    Fault("certificate ends tomorrow", {"certificate": "1 days left"}, "certificate $domain '89 days ago' '30 hours'; nginx_reload", "certificate_back"),
    Fault("certificate not renewed in time", {"certificate": "renewal is overdue"}, "certificate $domain '75 days ago' '15 days'; nginx_reload", "certificate_back", "warning"),
    Fault("certificate of another name", {"certificate": "it is for other.example, not for"}, "certificate other.example '1 day ago' '90 days'; nginx_reload", "certificate_back"),
    Fault("certificate of an unknown authority", {"certificate": "clients will not trust it"}, "certificate $domain '1 day ago' '90 days' itself; nginx_reload", "certificate_back"),
    Fault("renewed, but nginx not reloaded", {"certificate": "another certificate than the one on disk"},
          "certificate $domain '1 day ago' '90 days'", "certificate_back", mends="certificate"),
    Fault("renewal timer off", {"renewal": "certbot.timer is disabled"},
          "systemctl disable --now certbot.timer", "systemctl enable --now certbot.timer", mends="renewal"),
    Fault("last renewal failed", {"renewal": "the last renewal failed: HTTPSConnectionPool(host='acme.", "units": "certbot.service failed"},
          "keep /etc/letsencrypt/renewal; sed -i -e '1i renew_before_expiry = 36500 days' -e /renew_before_expiry/d /etc/letsencrypt/renewal/*.conf; "
          "believe $(sed -n 's#^server = https://\\([^/]*\\)/.*#\\1#p' /etc/letsencrypt/renewal/*.conf) 127.0.0.1; ! systemctl start certbot.service",
          "believe_again; back /etc/letsencrypt/renewal; systemctl reset-failed certbot.service"),
    Fault("renewal hook gone", {"renewal-hook": "no hook reloads nginx", "drift": f"gone: {_HOOK}"}, f"keep {_HOOK}; rm {_HOOK}", f"back {_HOOK}"),
    Fault("renewal hook not executable", {"renewal-hook": "is not executable"}, f"chmod 644 {_HOOK}", f"chmod 755 {_HOOK}", mends="renewal-hook"),
)  # fmt: skip

DOOR = (
    Fault("port open to the world", {"ports": "port 11434 is open on 0.0.0.0"}, "by_hand opened -p 0.0.0.0:11434:1; listens 11434", "docker rm -f opened"),
    Fault("443 taken by another", {"ports": "port 443 is taken by python3"},
          "systemctl stop nginx; systemd-run -q --unit taken python3 -m http.server 443; listens 443", "systemctl stop taken; systemctl start nginx; listens 443"),
    Fault("firewall flushed", {"firewall": "`inet ai` is not loaded"}, "nft delete table inet ai", "systemctl restart ai-firewall", mends="firewall"),
    Fault("nginx stopped", {"nginx": "nginx is not running", "certificate": "no TLS on port 443", "ports": "nobody listens on 443", "units": "nginx.service is inactive"},
          "systemctl stop nginx", "systemctl start nginx; listens 443", mends="nginx"),
    Fault("nginx would not start again", {"nginx": "unknown directive"}, "echo 'speak freely;' >/etc/nginx/conf.d/zz.conf", "rm /etc/nginx/conf.d/zz.conf"),
    Fault("name leads elsewhere", {"dns": "leads to 203.0.113.7"}, "believe $domain 203.0.113.7", "believe_again"),
    Fault("name without address", {"dns": "has no address"}, _nameless, _named),
)  # fmt: skip

RELEASE = (
    Fault("release half gone", {"release": "which is not there"}, "keep /opt/ai/current; ln -sfn releases/ffff /opt/ai/current", "back /opt/ai/current"),
    Fault("secret readable by all", {"secrets": "/opt/ai/secrets/api.key has mode 0644"},
          "chmod 644 /opt/ai/secrets/api.key", "chmod 600 /opt/ai/secrets/api.key", mends="secrets"),
    Fault("deploy died in the middle", {"deploys": "a deploy broke off: step 'activate'"}, f"keep {_JOURNAL}; step activate begun", f"back {_JOURNAL}"),
    Fault("last deploy failed", {"deploys": "the last deploy failed: step 'activate'"},
          f"keep {_JOURNAL}; step activate begun; step activate failed", f"back {_JOURNAL}", "warning"),
    Fault("lock left behind", {"deploys": "left behind: ann on laptop since 2026-11-21T12:00:00Z (upgrade)"},
          "echo '{\"owner\": {\"user\": \"ann\", \"host\": \"laptop\"}, \"since\": \"2026-11-21T12:00:00Z\", \"why\": \"upgrade\"}' >$lock.json",
          "rm -f $lock.json", "warning", mends="deploys"),
    Fault("deploy going on", {"deploys": "a deploy is going on"},
          "systemd-run -q --unit holder flock $lock sleep 1000; held() { ! flock -n $lock true; }; until_true held", "systemctl stop holder", "warning"),
)  # fmt: skip

MACHINE = (
    Fault("disk full", {"disk": "/var/log 0 MiB of 4 MiB free (0 %)"},
          "mount -t tmpfs -o size=4m none /var/log; ! head -c 8M /dev/zero 2>/dev/null >/var/log/full", "umount -l /var/log"),
    Fault("clock off", {"clock": "the clock is 600 s ahead"},
          "printf '#!/bin/sh\\necho A,B,3,0,600.0\\n' >/usr/local/sbin/chronyc; chmod 755 /usr/local/sbin/chronyc", "rm /usr/local/sbin/chronyc"),
    Fault("killed for memory", {"oom-kills": "the last: ollama_llama_se"}, "kernel 'Out of memory: Killed process 4711 (ollama_llama_se) total-vm:9000000kB'", "rm /dev/kmsg"),
    Fault("firewall would not start", {"units": "ai-firewall.service failed", "firewall": "`inet ai` is not loaded", "drift": "changed: /etc/ai-services/firewall.nft"},
          "keep /etc/ai-services/firewall.nft; echo nonsense >/etc/ai-services/firewall.nft; ! systemctl restart ai-firewall 2>/dev/null",
          "back /etc/ai-services/firewall.nft; systemctl restart ai-firewall"),
    Fault("no backup", {"backup": "none was made yet"}, "rm /opt/ai/backup.json", "backup now", "warning"),
    Fault("backup old", {"backup": "9.0 days ago"}, "backup '9 days ago'", "backup now"),
    Fault("backup failed", {"backup": "no space left"}, "backup_failed 'no space left'", "backup now"),
    Fault("backup never opened", {"backup-proven": "was ever opened"}, "backup now never", "backup now", "warning"),
    Fault("backup opened long ago", {"backup-proven": "verified 100.0 days ago"}, "backup now '100 days ago'", "backup now", "warning"),
    Fault("reboot waited for", {"reboot": "wait for a reboot"}, "touch /var/run/reboot-required", "rm /var/run/reboot-required", "warning"),
)  # fmt: skip

# There is no card here. What shows one is put in the kernel's place; what needs one to compute is what the release
# would be without it: deployed for a GPU, and everything on the CPU.
GPUS = (
    _gpu("the card fell off the bus", {"gpu-bus": "no NVIDIA GPU is on the PCI bus any more", "xid": "Xid 79: the GPU has fallen off the bus"},
         "rm -r /sys/bus/pci/devices/0000:01:00.0; kernel 'NVRM: Xid (PCI:0000:01:00): 79, pid=1, GPU has fallen off the bus.'", "card; rm /dev/kmsg"),
    _gpu("module not loaded", {"gpu-driver": "the module is not loaded"}, "rm -r /proc/driver/nvidia", "module 580.95.05"),
    _gpu("module and libraries apart", {"gpu-versions": "the loaded module is 570.133.20, the libraries are 580.95.05"}, "module 570.133.20", "module 580.95.05"),
    Fault("deployed for a GPU, and all on the CPU", {"gpu-container": "no GPU inside whisper-api: libcuda.so.1", "residency": "wholly on the CPU; whisper-api computes on the CPU"},
          "deployed_for nvidia", "deployed_for cpu", well="skipped"),
)  # fmt: skip

# The last, because it takes a while until Docker calls the containers healthy again that outlived its end.
ENGINE = Fault(
    "engine down", {"docker": "the engine does not answer"}, "systemctl stop docker.socket docker", "systemctl start docker"
)  # fmt: skip

FAULTS = (*CONTAINERS, *CERTIFICATES, *DOOR, *RELEASE, *MACHINE, *GPUS, ENGINE)
