#!/bin/sh
# Stops the engine and takes away its bridge and its packet rules, which it leaves in the kernel until the next boot.
# Rules of others stay; so does the FORWARD policy, because nobody knows any more whose it is.
set -eu

systemctl stop docker.socket docker.service 2>/dev/null || true
if ip link show docker0 >/dev/null 2>&1; then
  ip link delete docker0
fi
for family in iptables ip6tables; do
  if command -v "$family-save" >/dev/null; then
    "$family-save" | grep -v -e DOCKER -e docker0 | "$family-restore"
  fi
done
