#!/bin/sh
# Cancels one job and looks whether it is gone: yes, no, or unknown when Slurm does not answer. Values: job prelude
# shellcheck disable=SC2154,SC1091
prepare /dev/null
cancel_job "$job" >/dev/null 2>&1
n=0
while listing=$(queue_lines 2>/dev/null); do
  if is_over "$job" "$(printf '%s\n' "$listing" | cut -d'|' -f1,2)"; then say gone yes; exit 0; fi
  n=$((n + 1))
  [ "$n" -lt 40 ] || { say gone no; exit 0; }
  sleep 1
done
say gone unknown
