# Sourced by bash, as root on a deployed host: what several plants of __init__.py share. Leaves nothing outside $kept.
# shellcheck shell=bash
kept=/root/faults-kept
live=$(echo /etc/letsencrypt/live/*/)
live=${live%/}
domain=${live##*/}
switch=/opt/ai/switch/8081
record=/opt/ai/current/release.json
lock=/run/ai-services/lock
mkdir -p "${lock%/*}"

keep() { # PATH: for `back PATH`, times and all
    mkdir -p $kept
    cp -a --no-dereference "$1" "$kept/${1//\//_}"
}

back() { # PATH: as it was kept
    rm -rf "$1"
    mv "$kept/${1//\//_}" "$1"
}

# until COMMAND...: once it succeeds. Thirty seconds are more than anything here takes on a busy machine.
until_true() {
    local _
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "in vain: $*" >&2
    return 1
}

healthy() { until_true test_health "$1" healthy; }
test_health() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = "$2" ]; }
# The gateway asks its backends now and then, and answers in between what it knows.
gateway_well() { until_true /opt/ai/bin/doctor --only gateway; }
gateway_not_well() { until_true test_gateway_not_well; }
test_gateway_not_well() { ! /opt/ai/bin/doctor --only gateway; }
listens() { until_true test_listens "$1"; }
test_listens() { ss -Hltn "sport = :$1" | grep -q .; }

# by_hand NAME OPTIONS...: a container of the stack's project that somebody started; the image is one that is here.
by_hand() {
    local name=$1
    shift
    docker run -d --name "$name" --label com.docker.compose.project=ai --label com.docker.compose.service="$name" \
        --stop-timeout 1 --entrypoint sleep "$@" "$(docker inspect -f '{{.Image}}' ollama)" 1000 >/dev/null
}

gateway() { docker ps -aq --filter label=com.docker.compose.project=ai --filter label=com.docker.compose.service=gateway | tail -n 1; }

turn_switch() { if [ -e $switch ]; then rm $switch; else mkdir -p ${switch%/*} && touch $switch; fi; }
asked_port() { if [ -e $switch ]; then echo 8081; else echo 8080; fi; }

# impostor JSON: somebody else sits on the gateway's other port, where nginx is sent, and answers everything with that.
impostor() {
    local port
    turn_switch
    port=$(asked_port)
    systemd-run -q --unit impostor python3 -c '
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(sys.argv[1])))
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())
    do_POST = do_GET
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()' "$1" "$port"
    listens "$port"
}

impostor_gone() {
    turn_switch
    systemctl stop impostor
}

# certificate NAME FROM TO [SIGNER]: put one on the disk in the place of certbot's; by our authority, or by itself.
certificate() {
    local day='+%Y%m%d%H%M%SZ' signer=()
    keep "$live"
    [ "${4-}" = itself ] || signer=(-CA "$kept/ca.pem" -CAkey "$kept/ca.key")
    rm "$live/fullchain.pem" "$live/privkey.pem"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
        -not_before "$(date -u -d "$2" $day)" -not_after "$(date -u -d "$3" $day)" "${signer[@]}" \
        -keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2>/dev/null
    chmod 600 "$live/privkey.pem"
}

certificate_back() {
    back "$live"
    nginx_reload
}

# Until the workers of before, which have the certificate of before, are gone.
nginx_reload() {
    systemctl reload nginx
    until_true serves_the_disk
}

serves_the_disk() {
    local served
    served=$(openssl s_client -connect 127.0.0.1:443 -servername "$domain" </dev/null 2>/dev/null | openssl x509)
    [ "$served" = "$(openssl x509 -in "$live/fullchain.pem")" ]
}

# An authority for certificates that clients would trust. Only the doctor of these tests is told of it: the host's own
# trust store stays as it was deployed.
authority() {
    mkdir -p $kept
    chmod 700 $kept
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=Faults/CN=ca" \
        -keyout $kept/ca.key -out $kept/ca.pem 2>/dev/null
    cat /etc/ssl/certs/ca-certificates.crt $kept/ca.pem >$kept/trusted.pem
}

# This machine believes NAME to be at ADDRESS. (/etc/hosts is a mount here: it is written, not replaced.)
believe() { # NAME ADDRESS
    cp /etc/hosts $kept/hosts
    echo "$2 $1" >>/etc/hosts
}

believe_again() { cat $kept/hosts >/etc/hosts; }

backup() { # AGE [PROVEN]: a backup was made so long ago, and one was opened so long ago, or never
    local proven=''
    [ "${2-now}" = never ] ||
        proven=", \"proven\": {\"time\": \"$(date -u -d "${2-now}" +%FT%TZ)\", \"how\": \"verified\"}"
    echo "{\"time\": \"$(date -u -d "$1" +%FT%TZ)\", \"ok\": true$proven}" >/opt/ai/backup.json
}

backup_failed() { # WHY: the last one did not succeed
    backup now
    sed -i "s/\"ok\": true/\"ok\": false, \"detail\": \"$1\"/" /opt/ai/backup.json
}

step() { # STEP STATE: a line of the journal
    echo "{\"time\": \"$(date -u +%FT%TZ)\", \"release\": \"x\", \"step\": \"$1\", \"state\": \"$2\"}" >>/opt/ai/journal.jsonl
}

kernel() { # TEXT: a line in the kernel's ring, as /dev/kmsg gives it; a container has no ring of its own
    echo "3,1,$(cut -d. -f1 /proc/uptime)000000,-;$1" >>/dev/kmsg
}

deployed_for() { sed -i "s/\"accelerator\": \"[a-z]*\"/\"accelerator\": \"$1\"/" $record; }

# The files by which an NVIDIA card, its module and its libraries show themselves.
gpu_on() {
    deployed_for nvidia
    mount -t tmpfs none /sys/bus/pci/devices
    mount -t tmpfs none /proc/driver
    card
    module 580.95.05
    touch /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05
}

card() {
    local card=/sys/bus/pci/devices/0000:01:00.0 pair
    mkdir -p $card
    for pair in vendor=0x10de device=0x1b80 class=0x030000 subsystem_vendor=0x1043 subsystem_device=0x8591; do
        echo "${pair#*=}" >$card/"${pair%%=*}"
    done
}

module() {
    mkdir -p /proc/driver/nvidia
    echo "NVRM version: NVIDIA UNIX x86_64 Kernel Module  $1  Tue Sep 23 10:11:16 UTC 2025" >/proc/driver/nvidia/version
}

gpu_off() {
    deployed_for cpu
    umount /sys/bus/pci/devices /proc/driver
    rm /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05
}
