#!/bin/sh
# Cancels one job and looks whether it is gone: yes, no, or unknown when Slurm does not answer.
# shellcheck disable=SC2154,SC1091
prepare /dev/null
scancel "$job" >/dev/null 2>&1
n=0
while listing=$(my_jobs); do
  if is_over "$job" "$listing"; then say gone yes; exit 0; fi
  n=$((n + 1))
  [ "$n" -lt 20 ] || { say gone no; exit 0; }
  sleep 1
done
say gone unknown
