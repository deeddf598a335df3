#!/bin/sh
# What a host consists of, as far as a role could change it: to be compared before and after.
# Left out: what changes by itself, and what apt keeps about archives it has seen.
set -eu

dpkg-query --show --showformat='package ${Package} ${db:Status-Abbrev}\n' | sort
apt-mark showmanual | sed 's/^/manual /' | sort
systemctl list-unit-files --no-legend --type=service,timer,socket,path | awk '{print "unit", $1, $2}' | sort
systemctl list-units --no-legend --plain --state=failed | awk '{print "failed", $1}'
ip -brief link | awk '{print "link", $1}' | sed 's/@.*//' | sort
find /etc /opt /usr/local /root /srv /usr/share/keyrings /var/lib/ai-services -xdev -type f \
  -not -path '/etc/ssl/certs/*' -not -path '*/__pycache__/*' \
  -not -path '/root/.ansible/*' -not -path '/root/.cache/*' \
  -not -name '*.lock' -not -name '*-' -not -name 'ld.so.cache' -not -name '.updated' \
  -printf 'file %p %m %u ' -exec sha256sum {} \; 2>/dev/null | awk '{print $1, $2, $3, $4, $5}' | sort
find /opt /usr/local /var/lib/ai-services -xdev -type d 2>/dev/null | sed 's/^/directory /' | sort
