#!/bin/sh
# What a support desk would ask about an account on a login node. Looks, and changes nothing.
# Values: root prelude program registries limit
# shellcheck disable=SC2154,SC2016  # what stands in single quotes is for the inner shell
# ask WORD COMMAND...: how it ended and what it said; `late WORD` when it did not end within $limit seconds.
hung=''
ask() {
  word=$1
  shift
  text=$(timeout -k 1 "$limit" "$@" 2>&1 </dev/null)
  code=$?
  case $code in
    124 | 137) say late "$word"; hung=$word ;;
    *) say "${word}_rc" "$code"; printf '%s\n' "$text" | head -c 4000 | say64 "$word" ;;
  esac
}
user=$(id -un)
say host "$me"
say user "$user"
ask shell getent passwd "$user"
ask charmap locale charmap
# The fields of df, whether it is mine to write to, and how it is mounted.
place='cd -- "$1" && df -PTk . | awk "NR == 2 {print \$2, \$3, \$5}" && df -Pik . | awk "NR == 2 {print \$2, \$4}" &&
  { [ -w . ] && echo mine || echo foreign; } &&
  awk -v at="$(df -Pk . | awk "NR == 2 {print \$6}")" "\$2 == at {o = \$4} END {print o}" /proc/mounts'
ask home sh -c "$place" sh "${HOME:-/}"
say tmpdir "${TMPDIR:-/tmp}"
ask tmp sh -c "$place" sh "${TMPDIR:-/tmp}"
ask store sh -c 'at=$1; while [ ! -d "$at" ]; do at=$(dirname "$at"); done; printf "%s\n" "$at"; ls -A "$at" | wc -l
  stat -f -c %T "$at"; ls "$at/.hpcbake/leases" 2>/dev/null' sh "$root"
if has quota; then ask quota quota -q; fi
if has lfs; then ask lustre_quota sh -c 'lfs quota -q -u "$1" "$2"' sh "$user" "$root"; fi
# Names alone: a value may be a secret.
say variables "$(env | sed -n 's/^\(\(APPTAINER\|SINGULARITY\)[A-Z_]*\)=.*/\1/p' | sort | tr '\n' ' ')"
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  eval "value=\${$name:-}"
  [ -z "$value" ] || say proxy "$name=$(printf '%s' "$value" | tr '\n' ' ' | sed 's#//[^@/]*@#//...@#')"
done

# The site's own shell lines run in a shell of their own first: one that waits for ever must not keep the rest.
ask prelude sh -c "set +eu
$prelude"
[ "$hung" != prelude ] || exit 0
if printf '%s\n' "$prelude" | sh -n 2>/dev/null; then prepare /dev/null; fi
if has squeue; then ask squeue squeue -h -u "$user" -o %i; fi
if has sacct; then ask sacct sacct -n -X -S now-1hours -o JobID; fi
for registry in $registries; do reach "$registry"; done
