#!/bin/sh
# Writes what `ai deploy` is given: settings, and a token if there is one, in files that only this user can read.
set -eu
umask 077
: "${AI_FOLDER:?}" "${AI_SETTINGS:?}" # given by the resource that calls this
mkdir -p "$AI_FOLDER"
printf '%s\n' "$AI_SETTINGS" >"$AI_FOLDER/ai.json"
if [ -n "${AI_TOKEN-}" ]; then
    printf '%s\n' "$AI_TOKEN" >"$AI_FOLDER/ghcr-token"
else
    rm -f "$AI_FOLDER/ghcr-token"
fi
