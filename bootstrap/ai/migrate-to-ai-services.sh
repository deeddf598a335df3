#!/bin/sh
# Makes an existing Whisper host ours, called as ever: IP, GitHub owner, GitHub token, domain. OLLAMA_MODEL, SSH_USER and
# SSH_KEY are taken from the environment. Everything is `./ai migrate`; what stands after the four goes to it.
set -eu

here=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd -P)

if [ $# -lt 4 ]; then
    printf '%s\n' "Usage: $0 IP OWNER TOKEN DOMAIN [OPTION]..." \
        "  TOKEN may be - to read it from standard input, where it is in no list of processes." \
        "  Options are those of ./ai migrate: --dry-run, --yes, --service NAME, ..." >&2
    exit 2
fi

ip=$1 owner=$2 token=$3 domain=$4
shift 4
# A file without an end of line is read, too; nothing at all is no token.
[ "$token" != - ] || IFS= read -r token || [ -n "$token" ] || {
    printf '%s\n' "TOKEN is -, and standard input holds none." >&2
    exit 2
}

# Who logged in was this user by default, unless IP itself or SSH's own configuration names one.
case $ip in
*@* | localhost) ;;
*) export SSH_USER="${SSH_USER-deployer}" ;;
esac

# By the environment, and not as an argument: `ps` shows those to everybody.
TF_VAR_ai_ghcr_token=$token
export TF_VAR_ai_ghcr_token
exec "$here/../../ai" migrate "$ip" --owner "$owner" --domain "$domain" "$@"
