#!/bin/sh
# Calls `ai` as a person would by hand: `ai.sh deploy` or `ai.sh destroy`, with what Terraform knows of the host.
set -eu
: "${AI_COMMAND:?}" "${AI_FOLDER:?}" "${AI_LOGIN:?}" "${AI_HOST_KEY:?}" # given by the resource that calls this
verb=$1
config=$AI_FOLDER/ai.json token=$AI_FOLDER/ghcr-token
# The token is for this run only, however it ends.
trap 'rm -f "$token"' EXIT
trap 'exit 130' INT TERM

set -- "$verb" "$AI_LOGIN" --host-key "$AI_HOST_KEY" --config "$config"
if [ "$verb" = deploy ]; then
    set -- "$@" --wait-s "${AI_WAIT_S:?}"
    [ ! -e "$token" ] || set -- "$@" --set "ai_ghcr_token_file=$(cd "$AI_FOLDER" && pwd)/ghcr-token"
    [ -z "${AI_KEY_FILE-}" ] || set -- "$@" --key "$AI_KEY_FILE"
else
    set -- "$@" --yes
    (umask 077 && mkdir -p "$AI_FOLDER" && printf '%s\n' "${AI_SETTINGS:?}" >"$config")
    # Whoever destroys may be another operator than the one who deployed, with another key.
    [ -z "${AI_KEY_FILE-}" ] || [ ! -r "$AI_KEY_FILE" ] || set -- "$@" --key "$AI_KEY_FILE"
fi
command=$AI_COMMAND

# Terraform has decided what this host gets. Variables of the environment would win over the file, and would be the
# same for every host.
for name in $(env | sed -n 's/^\(TF_VAR_ai_[a-z0-9_]*\)=.*/\1/p; s/^\(AI_[A-Z0-9_]*\)=.*/\1/p'); do
    case $name in
    # Where this program keeps its own things, which Python it runs on, and whom it trusts.
    AI_HOME | AI_PYTHON | AI_EXTRA_CA_FILE) ;;
    *) unset "$name" ;;
    esac
done
"$command" "$@"
