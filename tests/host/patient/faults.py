"""Everything that is broken on purpose: how, which check says so, and in which words."""

# ruff: noqa: E501  # tables: one row a line is easier to read than a tidy width

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One plant. `plant` and `undo` are shell (with patient.sh); `words` must be in what the check says it saw.

    `state` is its verdict; `before` brings the patient into the state in which the check is content, `after` back.
    """

    name: str
    check: str
    words: str
    plant: str
    undo: str
    state: str = "failed"
    before: str = ""
    after: str = ""


def _gpu(name: str, check: str, words: str, plant: str, undo: str = "gpu_on") -> Fault:
    return Fault(name, check, words, plant, undo, before="gpu_on", after="gpu_off")


FAULTS = (
    # containers
    Fault(
        "container stopped",
        "containers",
        "ollama is stopped",
        "docker stop ollama",
        "docker start ollama; wait_health ollama healthy",
    ),
    Fault(
        "container gone",
        "containers",
        "ollama has no container",
        "docker rm -f ollama",
        "container ollama; wait_health ollama healthy",
    ),
    Fault(
        "container sick",
        "containers",
        "whisper-api is unhealthy: it feels sick",
        "docker exec whisper-api /bin/sh -c 'echo >/sick'; wait_health whisper-api unhealthy",
        "docker exec whisper-api /bin/busybox rm /sick; wait_health whisper-api healthy",
    ),
    Fault(
        "container paused",
        "containers",
        "gateway is paused",
        "docker pause gateway",
        "docker unpause gateway; wait_health gateway healthy",
    ),
    Fault(
        "restart loop",
        "restarts",
        "in a loop: looping was restarted",
        "docker run -d --name looping --restart always --label com.docker.compose.project=ai tiny /bin/sh -c 'exit 3'; "
        "until [ $(docker inspect -f '{{.RestartCount}}' looping) -gt 3 ]; do sleep 0.1; done",
        "docker rm -f looping",
    ),
    Fault(
        "another image than the release's",
        "images",
        "gateway runs",
        "echo FROM tiny | docker build -q --label x=$RANDOM -t other - >/dev/null; docker rm -f gateway; container gateway other",
        "docker rm -f gateway; container gateway; wait_health gateway healthy",
    ),
    Fault(
        "newer image in the registry",
        "images-behind",
        "newer in the registry: gateway",
        'standin \'{"digest": "sha256:new"}\'',
        "standin '{}'",
        "warning",
    ),
    Fault("docker down", "docker", "the engine does not answer", "systemctl stop docker.socket docker", "engine"),
    Fault(
        "daemon.json broken",
        "docker",
        "is not JSON",
        "echo '{\"log-driver\": ' >/etc/docker/daemon.json",
        "rm /etc/docker/daemon.json",
    ),
    Fault(
        "daemon.json not in force",
        "docker",
        "live-restore",
        "echo '{\"live-restore\": true}' >/etc/docker/daemon.json",
        "rm /etc/docker/daemon.json",
        "warning",
    ),
    # certificate
    Fault(
        "certificate expired",
        "certificate",
        "expired",
        "certificate $(domain) -2 90; systemctl reload nginx; settle",
        "certificate $(domain) 90; systemctl reload nginx; settle",
    ),
    Fault(
        "certificate ends tomorrow",
        "certificate",
        "1 days left",
        "certificate $(domain) 1 89; systemctl reload nginx; settle",
        "certificate $(domain) 90; systemctl reload nginx; settle",
    ),
    Fault(
        "certificate not renewed in time",
        "certificate",
        "renewal is overdue",
        "certificate $(domain) 15 75; systemctl reload nginx; settle",
        "certificate $(domain) 90; systemctl reload nginx; settle",
        "warning",
    ),
    Fault(
        "certificate of another name",
        "certificate",
        "it is for other.example, registry.other.example, not for",
        "certificate other.example 90; systemctl reload nginx; settle",
        "certificate $(domain) 90; systemctl reload nginx; settle",
    ),
    Fault(
        "certificate of an unknown authority",
        "certificate",
        "clients will not trust it: unable to get local issuer",
        "rm /usr/local/share/ca-certificates/patient.crt; update-ca-certificates -f >/dev/null 2>&1",
        "cp /usr/local/lib/ca/ca.pem /usr/local/share/ca-certificates/patient.crt; update-ca-certificates >/dev/null 2>&1",
    ),
    Fault(
        "renewed, but nginx not reloaded",
        "certificate",
        "another certificate than the one on disk",
        "certificate $(domain) 91",
        "systemctl reload nginx; settle",
    ),
    Fault(
        "renewal timer off",
        "renewal",
        "certbot.timer is disabled",
        "systemctl disable --now certbot.timer",
        "systemctl enable --now certbot.timer",
    ),
    Fault(
        "last renewal failed",
        "renewal",
        "the last renewal failed: Invalid request headers",
        "mkdir -p /etc/systemd/system/certbot.service.d /var/log/letsencrypt; "
        "echo '2026-11-21 03:00:00,000:ERROR:certbot._internal:Invalid request headers' >/var/log/letsencrypt/letsencrypt.log; "
        "printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >/etc/systemd/system/certbot.service.d/x.conf; systemctl daemon-reload; "
        "systemctl start certbot.service || true",
        "rm -r /etc/systemd/system/certbot.service.d; systemctl daemon-reload; systemctl reset-failed certbot.service",
    ),
    Fault(
        "renewal hook gone",
        "renewal-hook",
        "no hook reloads nginx",
        "mv /etc/letsencrypt/renewal-hooks/deploy/ai-nginx /tmp/",
        "mv /tmp/ai-nginx /etc/letsencrypt/renewal-hooks/deploy/",
    ),
    Fault(
        "renewal hook not executable",
        "renewal-hook",
        "is not executable",
        "chmod 644 /etc/letsencrypt/renewal-hooks/deploy/ai-nginx",
        "chmod 755 /etc/letsencrypt/renewal-hooks/deploy/ai-nginx",
    ),
    # door
    Fault(
        "port open to the world",
        "ports",
        "port 11434 is open on 0.0.0.0",
        "docker run -d --name opened -p 0.0.0.0:11434:1 tiny /bin/sleep 1000; wait_port 11434",
        "docker rm -f opened",
    ),
    Fault(
        "443 taken by another",
        "ports",
        "port 443 is taken by python3",
        "systemctl stop nginx; systemd-run -q --unit taken python3 -m http.server 443; wait_port 443",
        "systemctl stop taken; systemctl start nginx; wait_port 443",
    ),
    Fault(
        "firewall flushed",
        "firewall",
        "`inet ai` is not loaded",
        "nft delete table inet ai",
        "systemctl restart ai-firewall",
    ),
    Fault("nginx stopped", "nginx", "nginx is not running", "systemctl stop nginx", "systemctl start nginx"),
    Fault(
        "nginx would not start again",
        "nginx",
        "unknown directive",
        "echo 'speak freely;' >/etc/nginx/conf.d/zz.conf",
        "rm /etc/nginx/conf.d/zz.conf",
    ),
    Fault(
        "name leads elsewhere",
        "dns",
        "leads to 203.0.113.7",
        "echo 203.0.113.7 $(domain) >>/etc/hosts",
        "sed '/203.0.113.7/d' /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts",
    ),
    Fault(
        "name without address",
        "dns",
        "has no address",
        "sed -i s/lab.test/lab.invalid/ /opt/ai/current/release.json",
        "settings cpu",
    ),
    # release
    Fault(
        "compose file changed by hand",
        "drift",
        "changed: /opt/ai/current/compose.yaml",
        "echo '# mine' >>/opt/ai/current/compose.yaml",
        "echo 'services: {}' >/opt/ai/current/compose.yaml",
    ),
    Fault(
        "nginx changed by hand",
        "drift",
        "changed: /etc/nginx/conf.d/ai.conf",
        "cp -p /etc/nginx/conf.d/ai.conf /tmp; echo '#' >>/etc/nginx/conf.d/ai.conf",
        "cp -p /tmp/ai.conf /etc/nginx/conf.d/",
    ),
    Fault(
        "release half gone",
        "release",
        "which is not there",
        "ln -sfn releases/ffff /opt/ai/current",
        "ln -sfn releases/0123456789ab /opt/ai/current",
    ),
    Fault(
        "secret readable by all",
        "secrets",
        "/opt/ai/secrets/api.key has mode 0644",
        "chmod 644 /opt/ai/secrets/api.key",
        "chmod 600 /opt/ai/secrets/api.key",
    ),
    Fault(
        "deploy died in the middle",
        "deploys",
        "a deploy broke off: step 'images'",
        "step begun images",
        "step done images",
    ),
    Fault(
        "lock left behind",
        "deploys",
        "a lock that nobody holds was left behind: ann on laptop",
        'echo \'{"owner": {"user": "ann", "host": "laptop"}, "since": "2099-01-01T00:00:00Z", "why": "deploy", "token": "sesame"}\' >/opt/ai/lock.json',
        "rm /opt/ai/lock.json",
        "warning",
    ),
    Fault(
        "deploy going on",
        "deploys",
        "a deploy is going on",
        "systemd-run -q --unit holder flock /opt/ai/lock sleep 1000; until ! flock -n /opt/ai/lock true; do sleep 0.05; done",
        "systemctl stop holder",
        "warning",
    ),
    # machine
    Fault(
        "disk full",
        "disk",
        "/var/log 0 MiB of 4 MiB free (0 %)",
        "mount -t tmpfs -o size=4m none /var/log; head -c 8M /dev/zero >/var/log/full 2>/dev/null || true",
        "umount -l /var/log",
    ),
    Fault("clock off", "clock", "the clock is 60", "standin '{\"clock_ahead_s\": 600}'", "standin '{}'"),
    Fault(
        "killed for memory",
        "oom-kills",
        "the last: ollama_llama_se",
        "kernel 'Out of memory: Killed process 4711 (ollama_llama_se) total-vm:9000000kB'",
        "rm /dev/kmsg",
    ),
    Fault(
        "unit failed",
        "units",
        "ai-firewall.service failed",
        "cp /etc/ai.nft /tmp; echo nonsense >/etc/ai.nft; systemctl restart ai-firewall || true",
        "cp /tmp/ai.nft /etc/; systemctl restart ai-firewall",
    ),
    # gpu
    _gpu(
        "gpu gone from the bus",
        "gpu-bus",
        "no NVIDIA GPU is on the PCI bus any more",
        "rm -r /sys/bus/pci/devices/0000:01:00.0",
    ),
    _gpu("module not loaded", "gpu-driver", "the module is not loaded", "rm /proc/driver/nvidia/version"),
    _gpu(
        "module and libraries apart",
        "gpu-versions",
        "the loaded module is 570.133.20, the libraries are 580.95.05",
        "module 570.133.20",
    ),
    _gpu(
        "cuda fails inside",
        "gpu-container",
        "cuInit answers 999",
        "docker exec whisper-api /bin/sh -c 'echo cuda 999 0 >/cuda'",
        "docker exec whisper-api /bin/sh -c 'echo cuda 0 1 >/cuda'",
    ),
    _gpu(
        "model partly on the CPU",
        "residency",
        "m is only 40 % of it on the GPU",
        'standin \'{"device": "cuda", "size_vram": 40}\'',
    ),
    _gpu(
        "whisper on the CPU",
        "residency",
        "whisper-api computes on the CPU",
        'standin \'{"device": "cpu", "size_vram": 100}\'',
    ),
    _gpu(
        "Xid 79",
        "xid",
        "Xid 79: the GPU has fallen off the bus",
        "kernel 'NVRM: Xid (PCI:0000:01:00): 79, pid=1, GPU has fallen off the bus.'",
        "rm /dev/kmsg",
    ),
    # service
    Fault(
        "gateway silent",
        "gateway",
        "nobody listens",
        "systemctl stop patient-gateway",
        "systemctl start patient-gateway; wait_port 8080",
    ),
    Fault("gateway talks nonsense", "gateway", "is not JSON", "standin '{\"garbage\": true}'", "standin '{}'"),
    Fault(
        "backend not well",
        "gateway",
        "whisper-api (no answer within 2 s)",
        'standin \'{"whisper": "down"}\'',
        "standin '{}'",
    ),
    Fault("wrong words", "transcription", "0 % of the words right", 'standin \'{"text": "zzz"}\'', "standin '{}'"),
    Fault(
        "model does not answer",
        "completion",
        "answers 500: model requires more",
        "standin '{\"completion\": 500}'",
        "standin '{}'",
    ),
    Fault("door without a lock", "keys", "without a key is answered 200", "standin '{\"open\": true}'", "standin '{}'"),
    # upkeep
    Fault(
        "no backup",
        "backup",
        "no backup is configured",
        "mv /opt/ai/backup.json /tmp",
        "mv /tmp/backup.json /opt/ai/",
        "warning",
    ),
    Fault(
        "backup old",
        "backup",
        "9.0 days ago",
        'cp /opt/ai/backup.json /tmp; echo "{\\"time\\": \\"$(date -u -d \'9 days ago\' +%FT%TZ)\\", \\"ok\\": true}" >/opt/ai/backup.json',
        "mv /tmp/backup.json /opt/ai/",
    ),
    Fault(
        "reboot waited for",
        "reboot",
        "wait for a reboot",
        "touch /var/run/reboot-required",
        "rm /var/run/reboot-required",
        "warning",
    ),
)
