# Sourced by bash on the patient: makes it well, and holds what several plants share.
# shellcheck shell=bash
domain() { cat /usr/local/lib/patient.domain; }

prepare() {
    export DEBIAN_FRONTEND=noninteractive
    echo "$1" >/usr/local/lib/patient.domain
    if [ ! -e /usr/local/lib/patient.ready ]; then
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends nginx-light docker.io docker-cli docker-compose nftables certbot openssl \
            busybox-static >/dev/null
        touch /usr/local/lib/patient.ready
    fi
    certificate "$1" 90
    front_door
    release
    engine
    firewall_up
    systemctl enable --now certbot.timer 2>/dev/null
    systemctl restart patient-gateway
    wait_port 8080
    wait_port 8443
}

wait_port() {
    python3 - "$1" <<'PY'
import socket, sys, time
for _ in range(300):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.05)
sys.exit(f"nobody listens on {sys.argv[1]}")
PY
}

# certificate NAME DAYS [FROM_DAYS_AGO]: by a CA of the patient's own, which it trusts.
certificate() {
    local live
    live=/etc/letsencrypt/live/$(domain)
    mkdir -p "$live" /etc/letsencrypt/renewal /etc/letsencrypt/renewal-hooks/deploy /usr/local/lib/ca
    if [ ! -e /usr/local/lib/ca/ca.pem ]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=Patient CA/CN=ca" \
            -keyout /usr/local/lib/ca/ca.key -out /usr/local/lib/ca/ca.pem 2>/dev/null
        cp /usr/local/lib/ca/ca.pem /usr/local/share/ca-certificates/patient.crt
        update-ca-certificates >/dev/null 2>&1
    fi
    local begin end
    begin=$(date -u -d "-${3-1} days" +%Y%m%d%H%M%SZ)
    end=$(date -u -d "$2 days" +%Y%m%d%H%M%SZ)
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$live/privkey.pem" \
        -out /tmp/leaf.csr 2>/dev/null
    chmod 600 "$live/privkey.pem"
    printf 'subjectAltName=DNS:%s,DNS:registry.%s\n' "$1" "$1" >/tmp/leaf.ext
    openssl x509 -req -in /tmp/leaf.csr -CA /usr/local/lib/ca/ca.pem -CAkey /usr/local/lib/ca/ca.key -extfile /tmp/leaf.ext \
        -not_before "$begin" -not_after "$end" -out "$live/fullchain.pem" 2>/dev/null
    echo "renew_before_expiry = 30 days" >"/etc/letsencrypt/renewal/$(domain).conf"
    install -m 600 /dev/null /etc/letsencrypt/cloudflare.ini
    printf '#!/bin/sh\nnginx -t && systemctl reload nginx\n' >/etc/letsencrypt/renewal-hooks/deploy/ai-nginx
    chmod 755 /etc/letsencrypt/renewal-hooks/deploy/ai-nginx
}

front_door() {
    mkdir -p /etc/nginx/ai
    rm -f /etc/nginx/sites-enabled/default
    echo 'server 127.0.0.1:8080;' >/etc/nginx/ai/upstream.conf
    cat >/etc/nginx/conf.d/ai.conf <<EOF
upstream gateway { include /etc/nginx/ai/upstream.conf; }
server {
    listen 443 ssl default_server;
    server_name $(domain);
    ssl_certificate /etc/letsencrypt/live/$(domain)/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/$(domain)/privkey.pem;
    location / { proxy_pass http://gateway; }
}
EOF
    systemctl enable --now nginx 2>/dev/null
    systemctl reload nginx
}

release() {
    local files=/opt/ai/releases/0123456789ab
    mkdir -p $files /opt/ai/expected /opt/ai/secrets/gateway /opt/ai/bin
    ln -sfn releases/0123456789ab /opt/ai/current
    chmod 700 /opt/ai/secrets /opt/ai/secrets/gateway
    (umask 077; echo the-key-of-the-patient >/opt/ai/secrets/api.key; echo x >/opt/ai/secrets/gateway/internal.key)
    echo "services: {}" >$files/compose.yaml
    : >/opt/ai/journal.jsonl
    step begun
    step "done"
    : >/opt/ai/lock
    rm -f /opt/ai/lock.json
    echo "{\"time\": \"$(date -u +%FT%TZ)\", \"ok\": true, \"detail\": \"\"}" >/opt/ai/backup.json
    settings cpu
    grep -q registry. /etc/hosts || echo "127.0.0.1 registry.$(domain)" >>/etc/hosts
    cat >/opt/ai/expected/nginx.json <<EOF
{"files": {"/etc/nginx/conf.d/ai.conf": {"sha256": "$(sha /etc/nginx/conf.d/ai.conf)"}}, "units": ["nginx.service"]}
EOF
    cat >/etc/systemd/system/patient-gateway.service <<EOF
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/standin.py $(domain)
[Install]
WantedBy=multi-user.target
EOF
    systemctl daemon-reload
    systemctl enable patient-gateway 2>/dev/null
}

sha() { sha256sum "$1" | cut -d' ' -f1; }

step() { echo "{\"time\": \"$(date -u +%FT%T.%3NZ)\", \"release\": \"0123456789ab\", \"step\": \"${2-compose}\", \"state\": \"$1\", \"detail\": \"\"}" >>/opt/ai/journal.jsonl; }

# settings cpu|nvidia: the release's record.
settings() {
    cat >/opt/ai/current/release.json <<EOF
{"id": "0123456789ab", "version": "0.1.0", "files": {"compose.yaml": "$(sha /opt/ai/current/compose.yaml)"},
 "settings": {"ai_domain": "$(domain)", "ai_tls": "letsencrypt", "ai_firewall": "on", "ai_accelerator": "$1", "ai_ollama_model": "m"},
 "images": {"gateway": "registry.$(domain):8443/lab/tiny:1@$(image_id)", "whisper-api": "registry.$(domain):8443/lab/tiny:1@$(image_id)",
            "ollama": "registry.$(domain):8443/lab/tiny:1@$(image_id)"}}
EOF
}

image_id() { cat /usr/local/lib/patient.image 2>/dev/null || echo sha256:none; }

engine() {
    systemctl start docker
    if ! docker image inspect tiny >/dev/null 2>&1; then
        mkdir -p /tmp/tiny/bin
        cp /bin/busybox /tmp/tiny/bin/
        for tool in sh sleep test true cat echo; do ln -sf busybox /tmp/tiny/bin/$tool; done
        cat >/tmp/tiny/bin/python <<'EOF'
#!/bin/sh
cat /cuda 2>/dev/null || echo "none libcuda.so.1: cannot open shared object file"
EOF
        chmod 755 /tmp/tiny/bin/python
        tar -C /tmp/tiny -c . | docker import - tiny >/dev/null
    fi
    docker image inspect tiny --format '{{.Id}}' >/usr/local/lib/patient.image
    settings cpu
    for name in gateway whisper-api ollama; do
        docker inspect $name >/dev/null 2>&1 || container $name
        docker start $name >/dev/null
        docker exec $name /bin/sh -c '/bin/busybox rm -f /sick; echo cuda 0 1 >/cuda'
        wait_health $name healthy
    done
}

# container NAME [IMAGE] [OPTIONS...]: one of the stack.
container() {
    local name=$1 image=${2-tiny}
    shift; [ $# -eq 0 ] || shift
    docker run -d --name "$name" --label com.docker.compose.project=ai --label com.docker.compose.service="$name" \
        --health-cmd '/bin/test ! -e /sick || { echo it feels sick; exit 1; }' --health-interval 1s --health-retries 1 --stop-timeout 1 \
        "$@" "$image" /bin/sleep 1000000 >/dev/null
}

wait_health() {
    for _ in $(seq 300); do
        [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" != "$2" ] || return 0
        sleep 0.1
    done
    echo "$1 does not become $2" >&2
    return 1
}

firewall_up() {
    cat >/etc/ai.nft <<'EOF'
table inet ai
delete table inet ai
table inet ai {
    chain door {
        type filter hook prerouting priority mangle
        tcp dport 8000 iifname "nobody" drop
    }
}
EOF
    cat >/etc/systemd/system/ai-firewall.service <<'EOF'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/ai.nft
EOF
    systemctl daemon-reload
    systemctl restart ai-firewall
}

# The files by which an NVIDIA card, its module and its libraries show themselves.
gpu_on() {
    settings nvidia
    mountpoint -q /sys/bus/pci/devices || mount -t tmpfs none /sys/bus/pci/devices
    card=/sys/bus/pci/devices/0000:01:00.0
    mkdir -p $card
    for pair in vendor=0x10de device=0x1b80 class=0x030000 subsystem_vendor=0x1043 subsystem_device=0x8591; do
        echo "${pair#*=}" >$card/"${pair%%=*}"
    done
    mountpoint -q /proc/driver || mount -t tmpfs none /proc/driver
    mkdir -p /proc/driver/nvidia
    module 580.95.05
    rm -f /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.*
    touch /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05
    standin '{"device": "cuda", "size_vram": 100}'
}

module() {
    echo "NVRM version: NVIDIA UNIX x86_64 Kernel Module  $1  Tue Sep 23 10:11:16 UTC 2025" >/proc/driver/nvidia/version
}

gpu_off() {
    settings cpu
    umount /sys/bus/pci/devices 2>/dev/null || true
    umount /proc/driver 2>/dev/null || true
    rm -f /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.*
    standin '{}'
}

# standin JSON: how the gateway and the registry behave from now on.
standin() { echo "$1" >/run/standin.json; }

# kernel TEXT: a line in the kernel's ring, as /dev/kmsg gives it.
kernel() { echo "3,1,$(cut -d. -f1 /proc/uptime)000000,-;$1" >>/dev/kmsg; }

# settle: until the workers that nginx starts at a reload are there, and those with the old certificate gone.
settle() {
    python3 - "$(domain)" <<'PY'
import base64, re, socket, ssl, sys, time
pem = open(f"/etc/letsencrypt/live/{sys.argv[1]}/fullchain.pem").read()
wanted = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END") + 25].strip() + "\n")
for _ in range(200):
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", 443)) as plain, context.wrap_socket(plain, server_hostname=sys.argv[1]) as tls:
        if tls.getpeercert(True) == wanted:
            sys.exit(0)
    time.sleep(0.05)
sys.exit("nginx does not take the certificate")
PY
}
