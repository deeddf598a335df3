"""Faults that can be planted on any host that `./ai deploy` made; nothing of them needs the patient's stand-ins."""

from __future__ import annotations

# ruff: noqa: E501  # tables: one row a line is easier to read than a tidy width
from host.patient.faults import Fault

_HEALTHY = "until [ $(docker inspect -f '{{.State.Health.Status}}' NAME) = healthy ]; do sleep 0.2; done"
_LIVE = "live=$(echo /etc/letsencrypt/live/*/); live=${live%/}; name=${live##*/}"
_CERTIFICATE = (
    f"{_LIVE}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -addext subjectAltName=DNS:DOMAIN "
    "-not_before BEGIN -not_after END -keyout /root/k.pem -out /root/c.pem 2>/dev/null; "
    "cp -a --no-dereference $live/fullchain.pem /root/chain.was; cp -a --no-dereference $live/privkey.pem /root/key.was; "
    "rm $live/fullchain.pem $live/privkey.pem; cp /root/c.pem $live/fullchain.pem; install -m 600 /root/k.pem $live/privkey.pem; "
    "systemctl reload nginx; sleep 1"
)
_CERTIFICATE_BACK = (
    f"{_LIVE}; rm -f $live/fullchain.pem $live/privkey.pem; cp -a --no-dereference /root/chain.was $live/fullchain.pem; "
    "cp -a --no-dereference /root/key.was $live/privkey.pem; systemctl reload nginx; sleep 1"
)


def _certificate(domain: str, begin: str, end: str) -> str:
    stamps = {"BEGIN": begin, "END": end}
    script = _CERTIFICATE.replace("DOMAIN", domain)
    for word, when in stamps.items():
        script = script.replace(word, f"$(date -u -d '{when}' +%Y%m%d%H%M%SZ)", 1)
    return script


DEPLOYED = (
    Fault("container stopped", "containers", "ollama is stopped", "docker stop -t 5 ollama", "docker start ollama; " + _HEALTHY.replace("NAME", "ollama")),
    Fault("container paused", "containers", "whisper-api is paused", "docker pause whisper-api", "docker unpause whisper-api; " + _HEALTHY.replace("NAME", "whisper-api")),
    Fault("restart loop", "restarts", "in a loop: looping was restarted",
          "docker run -d --name looping --restart always --label com.docker.compose.project=ai --entrypoint /bin/false $(docker inspect -f '{{.Image}}' ollama); "
          "until [ $(docker inspect -f '{{.RestartCount}}' looping) -gt 3 ]; do sleep 0.1; done",
          "docker rm -f looping"),
    Fault("certificate expired", "certificate", "expired", _certificate("$name", "-90 days", "-2 days"), _CERTIFICATE_BACK),
    Fault("certificate of an unknown authority", "certificate", "clients will not trust it", _certificate("$name", "-1 days", "90 days"), _CERTIFICATE_BACK),
    Fault("certificate of another name", "certificate", "it is for other.example", _certificate("other.example", "-1 days", "90 days"), _CERTIFICATE_BACK),
    Fault("renewal timer off", "renewal", "certbot.timer is disabled", "systemctl disable --now certbot.timer", "systemctl enable --now certbot.timer"),
    Fault("renewal hook gone", "renewal-hook", "no hook reloads nginx",
          "mv /etc/letsencrypt/renewal-hooks/deploy /root/hooks; mkdir /etc/letsencrypt/renewal-hooks/deploy; cp -a /etc/letsencrypt/renewal /root/renewal; sed -i '/hook/d' /etc/letsencrypt/renewal/*.conf",
          "rmdir /etc/letsencrypt/renewal-hooks/deploy; mv /root/hooks /etc/letsencrypt/renewal-hooks/deploy; cp -a /root/renewal/. /etc/letsencrypt/renewal/; rm -r /root/renewal"),
    Fault("port open to the world", "ports", "port 11434 is open on 0.0.0.0",
          "docker run -d --name opened -p 0.0.0.0:11434:1 --entrypoint sleep $(docker inspect -f '{{.Image}}' ollama) 1000; until ss -ltn | grep -q :11434; do sleep 0.1; done", "docker rm -f opened"),
    Fault("firewall flushed", "firewall", "`inet ai` is not loaded", "nft delete table inet ai", "systemctl restart ai-firewall"),
    Fault("nginx stopped", "nginx", "nginx is not running", "systemctl stop nginx", "systemctl start nginx"),
    Fault("nginx would not start again", "nginx", "unknown directive", "echo 'speak freely;' >/etc/nginx/conf.d/zz.conf", "rm /etc/nginx/conf.d/zz.conf"),
    Fault("name leads elsewhere", "dns", "leads to 203.0.113.7",
          f"{_LIVE}; echo 203.0.113.7 $name >>/etc/hosts", "sed '/203.0.113.7/d' /etc/hosts >/root/hosts; cat /root/hosts >/etc/hosts"),
    Fault("compose file changed by hand", "drift", "compose.yaml",
          "cp -p /opt/ai/current/compose.yaml /root/; echo '# mine' >>/opt/ai/current/compose.yaml", "cp -p /root/compose.yaml /opt/ai/current/"),
    Fault("secret readable by all", "secrets", "/opt/ai/secrets/api.key has mode 0644", "chmod 644 /opt/ai/secrets/api.key", "chmod 600 /opt/ai/secrets/api.key"),
    Fault("deploy died in the middle", "deploys", "a deploy broke off: step 'activate'",
          "cp -p /opt/ai/journal.jsonl /root/; echo '{\"time\": \"2026-11-21T12:00:00Z\", \"release\": \"x\", \"step\": \"activate\", \"state\": \"begun\"}' >>/opt/ai/journal.jsonl",
          "cp -p /root/journal.jsonl /opt/ai/"),
    Fault("lock left behind", "deploys", "left behind: ann on laptop",
          "echo '{\"owner\": {\"user\": \"ann\", \"host\": \"laptop\"}, \"since\": \"2026-11-21T12:00:00Z\", \"why\": \"deploy\"}' >/opt/ai/lock.json", "rm /opt/ai/lock.json", "warning"),
    Fault("disk full", "disk", "/var/log 0 MiB of 4 MiB free (0 %)",
          "mount -t tmpfs -o size=4m none /var/log; head -c 8M /dev/zero >/var/log/full 2>/dev/null || true", "umount -l /var/log"),
    Fault("daemon.json broken", "docker", "is not JSON",
          "cp -p /etc/docker/daemon.json /root/ || true; echo '{\"log-driver\": ' >/etc/docker/daemon.json",
          "mv /root/daemon.json /etc/docker/ || rm /etc/docker/daemon.json"),
    Fault("killed for memory", "oom-kills", "the last: ollama",
          "echo \"3,1,$(cut -d. -f1 /proc/uptime)000000,-;Out of memory: Killed process 4711 (ollama) total-vm:9kB\" >/dev/kmsg", "rm /dev/kmsg"),
    Fault("gateway silent", "gateway", "nobody listens", "docker stop -t 5 gateway", "docker start gateway; " + _HEALTHY.replace("NAME", "gateway")),
)  # fmt: skip
