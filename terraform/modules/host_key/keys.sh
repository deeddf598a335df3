#!/bin/sh
# Makes the first-contact key and the lasting key of a new machine, and the files of its first boot.
set -eu
umask 077
: "${AI_FOLDER:?}" "${AI_SEED:?}" # given by the resource that calls this
mkdir -p "$AI_FOLDER"
cd "$AI_FOLDER"
rm -f first first.pub lasting lasting.pub user-data seed.iso
for name in first lasting; do
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$name"
done
cd "$OLDPWD"
exec "${AI_PYTHON:-python3}" "$AI_SEED" "$AI_FOLDER"
