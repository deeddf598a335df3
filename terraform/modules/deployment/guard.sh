#!/bin/sh
# Stands before everything else that goes with a host, and refuses while its data is protected.
set -eu
[ "${AI_PROTECTED:?}" = true ] || exit 0
# What was last applied cannot be changed where the machine itself is gone: this very run may lift it as well.
[ "${TF_VAR_ai_protect_data-}" != false ] || exit 0
printf '%s\n' "Host ${AI_NAME:?} bears data and is protected (ai_protect_data): nothing of it was destroyed." \
    "Lift that first, on purpose: TF_VAR_ai_protect_data=false terraform apply; then run the same again." >&2
exit 1
