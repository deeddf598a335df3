#!/bin/sh
# Stands before everything else that goes with a host, and refuses while its data is protected.
set -eu
[ "${AI_PROTECTED:?}" = true ] || exit 0
printf '%s\n' "Host ${AI_NAME:?} bears data and is protected (ai_protect_data): nothing of it was destroyed." \
    "Lift that first, on purpose: terraform apply -var ai_protect_data=false; then run the same again." >&2
exit 1
