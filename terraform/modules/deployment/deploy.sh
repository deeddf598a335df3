#!/bin/sh
# Deploys as a person would by hand: `ai deploy USER@ADDRESS --host-key … --config …`.
set -eu
token=$AI_FOLDER/ghcr-token
# The token is for this run only, however it ends.
trap 'rm -f "$token"' EXIT
trap 'exit 130' INT TERM

set -- deploy "$AI_LOGIN" --host-key "$AI_HOST_KEY" --config "$AI_FOLDER/ai.json" --wait-s "$AI_WAIT_S"
[ -z "${AI_KEY_FILE-}" ] || set -- "$@" --key "$AI_KEY_FILE"
[ ! -e "$token" ] || set -- "$@" --set "ai_ghcr_token_file=$(cd "$AI_FOLDER" && pwd)/ghcr-token"
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
