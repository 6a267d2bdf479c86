#!/bin/sh
# Cancels one job and looks whether it is gone.
# shellcheck disable=SC2154,SC1091
prepare /dev/null
scancel "$job" 2>&1 | head -n 1
n=0
while squeue -h -j "$job" -o %T 2>/dev/null | grep -Eq 'PENDING|RUNNING|CONFIGURING|SUSPENDED'; do
  n=$((n + 1))
  [ "$n" -lt 20 ] || { say gone no; exit 0; }
  sleep 1
done
say gone yes
