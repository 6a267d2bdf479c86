#!/bin/sh
# What became of smoke jobs: one question to Slurm for all of them, then the files that the jobs wrote.
# jobs: lines of `job-id attempt-folder`
# shellcheck disable=SC2154,SC1091
prepare /dev/null
if queue=$(squeue -h -t all -u "$(id -un)" -o '%i|%T|%r|%N' 2>&1); then
  say squeue ok
else
  say squeue "down $(printf '%s' "$queue" | tail -n 1)"
  queue=
fi
printf '%s\n' "$jobs" | while read -r job attempt; do
  say job "$job"
  # The result is read after squeue was asked: a job that is gone from the queue had its chance to write it.
  line=$(printf '%s\n' "$queue" | grep "^$job|" | head -n 1)
  say queue "$line"
  # Listing the folder makes an NFS client look again.
  ls "$attempt" >/dev/null 2>&1
  if [ -s "$attempt/result.json" ]; then
    head -c 65536 "$attempt/result.json" | say64 result
  elif [ -z "$line" ] || [ "${line#*|COMPLET}" != "$line" ] || [ "${line#*|FAIL}" != "$line" ]; then
    say sacct "$(sacct -nPX -j "$job" -o State,ExitCode,NodeList 2>/dev/null | head -n 1)"
  fi
  for stream in out err; do
    if [ -s "$attempt/$stream" ]; then tail -c 16384 "$attempt/$stream" | say64 "$stream"; fi
  done
done
