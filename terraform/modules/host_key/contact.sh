#!/bin/sh
# First contact with a new machine: waits until it shows the first-contact key, and gives it its lasting one.
# Whoever stands in between has neither key: ssh refuses before it says who it is.
set -eu
: "${AI_FOLDER:?}" "${AI_ADDRESS:?}" "${AI_USER:?}" "${AI_WAIT_S:?}" # given by the resource that calls this
deadline=$(($(date +%s) + AI_WAIT_S))
cd "$AI_FOLDER"

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# The machine has its lasting key since a former run, or the files for it are here.
[ -r lasting.pub ] || fail "The keys of this machine are not in $AI_FOLDER: they were made elsewhere." \
    "Go on there, or have keys and machine made anew: terraform apply -replace='${AI_KEYS:?}'"

log_in() {
    printf 'new-host %s\n' "$(cat "$1.pub")" >"known_hosts.$1"
    shift_key=$1
    shift
    ssh -T -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=yes -o HostKeyAlias=new-host \
        -o HostKeyAlgorithms=ssh-ed25519 -o UserKnownHostsFile="known_hosts.$shift_key" -o GlobalKnownHostsFile=/dev/null \
        -o UpdateHostKeys=no ${AI_KEY_FILE:+-o IdentitiesOnly=yes -i "$AI_KEY_FILE"} \
        -l "$AI_USER" -- "$AI_ADDRESS" "$@" 2>said
}

until log_in lasting true </dev/null; do
    if [ -r lasting ] && log_in first true </dev/null; then
        echo "The machine shows its first-contact key; it gets its lasting one."
        # cloud-init first comes to its end: it would otherwise still be at work on the same files.
        # shellcheck disable=SC2016
        log_in first 'sudo -n sh -c '\''
            set -eu; umask 077
            cloud-init status --wait >/dev/null 2>&1 || true
            cat >/etc/ssh/ai_lasting
            ssh-keygen -y -f /etc/ssh/ai_lasting >/etc/ssh/ai_lasting.pub
            rm -f /etc/ssh/ssh_host_*
            mv /etc/ssh/ai_lasting /etc/ssh/ssh_host_ed25519_key
            mv /etc/ssh/ai_lasting.pub /etc/ssh/ssh_host_ed25519_key.pub
            chmod 644 /etc/ssh/ssh_host_ed25519_key.pub
            systemctl reload ssh 2>/dev/null || systemctl reload sshd 2>/dev/null || service ssh reload
        '\' <lasting || true
    elif [ ! -r lasting ] && grep -q -e 'ost key verification failed' -e 'IDENTIFICATION HAS CHANGED' said; then
        fail "$AI_ADDRESS shows another key than the machine had: it was made anew, and its keys were used up by its first contact." \
            "Have both made anew: terraform apply -replace='${AI_KEYS:?}'" \
            "If nobody made it anew, somebody stands in between: do not go on before you know."
    elif [ "$(date +%s)" -ge "$deadline" ]; then
        why=$(tail -n 3 said)
        case $why in
        *"ost key verification failed"* | *"IDENTIFICATION HAS CHANGED"*)
            fail "$AI_ADDRESS answers, and shows another key than the machine that was just made." \
                "Another machine has this address, or somebody stands in between. Do not go on before you know which."
            ;;
        *"ermission denied"*)
            fail "$AI_ADDRESS is the new machine, and does not let $AI_USER in." \
                "Give the private key that belongs to ai_ssh_public_key_file: ai_ssh_key_file, or ssh-add." "$why"
            ;;
        *)
            fail "$AI_ADDRESS did not answer on SSH within $AI_WAIT_S s." \
                "Look at its console; a longer wait: ai_ssh_wait_s. Then run the same again." "$why"
            ;;
        esac
    else
        sleep 2
    fi
done

# What the machine has now was nowhere else, and what it had is worth nothing any more.
rm -f first lasting user-data seed.iso said known_hosts.first known_hosts.lasting
echo "The machine shows its lasting key: $(ssh-keygen -lf lasting.pub)"
