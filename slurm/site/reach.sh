#!/bin/sh
# Can this login node reach the registry, and how much memory does it give one process? Looks, and changes nothing.
# Values: prelude url host port
# shellcheck disable=SC2154,SC1091
prepare /dev/null
# Any answer at all will do: 401 is what a registry says to strangers.
if command -v curl >/dev/null 2>&1; then
  code=$(curl -s -k -o /dev/null -m 15 -w '%{http_code}' "$url" 2>/dev/null)
  case $code in '' | 000) reach=no ;; *) reach=yes ;; esac
elif command -v wget >/dev/null 2>&1; then
  wget -q -T 15 -t 1 --no-check-certificate -O /dev/null "$url" 2>/dev/null
  # 8 is an answer that is an error, 6 asks for a login, 5 is a certificate: all of them came from there.
  case $? in 0 | 5 | 6 | 8) reach=yes ;; *) reach=no ;; esac
elif command -v bash >/dev/null 2>&1 && [ -z "${https_proxy:-}${http_proxy:-}" ]; then
  # Neither is there: an open connection is as much as bash can tell.
  # shellcheck disable=SC2016  # bash's own arguments
  if timeout 15 bash -c 'exec 3<>"/dev/tcp/$1/$2"' reach "$host" "$port" 2>/dev/null; then reach=yes; else reach=no; fi
else
  reach=unknown
fi
say reach "$reach"

# The least of what the machine has left, the login session's cgroup and the shell's own limit allow.
limits=$(
  awk '$1 == "MemAvailable:" {print $2}' /proc/meminfo 2>/dev/null
  # shellcheck disable=SC3045  # where a shell has no -v it says nothing, and nothing is counted
  ulimit -v 2>/dev/null
  own_group=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null)
  while [ -n "$own_group" ] && [ "$own_group" != / ]; do
    awk '$1 ~ /^[0-9]+$/ {print int($1 / 1024)}' "/sys/fs/cgroup$own_group/memory.max" 2>/dev/null
    own_group=${own_group%/*}
  done
  old_group=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup 2>/dev/null)
  [ -z "$old_group" ] ||
    awk '$1 < 2 ^ 60 {print int($1 / 1024)}' "/sys/fs/cgroup/memory$old_group/memory.limit_in_bytes" 2>/dev/null
)
say memory_kb "$(printf '%s\n' "$limits" | grep -E '^[0-9]+$' | sort -n | head -n 1)"
