#!/bin/sh
# What became of smoke jobs: one question to Slurm for all of them, one to its accounting for those that are over, and
# the files that the jobs wrote. Values: prelude jobs (lines of `job-id attempt-folder`)
# shellcheck disable=SC2154,SC1091
prepare /dev/null
if queue=$(queue_lines 2>&1); then
  say squeue ok
else
  say squeue "down $(printf '%s' "$queue" | tail -n 1)"
  queue=
fi
listing=$(printf '%s\n' "$queue" | cut -d'|' -f1,2)
over=$(printf '%s\n' "$jobs" | while read -r job _; do
  if [ "$job" != none ] && is_over "$job" "$listing"; then printf ',%s' "$job"; fi
done)
accounts=
[ -z "$over" ] || accounts=$(accounting "${over#,}")
printf '%s\n' "$jobs" | while read -r job attempt; do
  say job "$job"
  # The result is read after Slurm was asked: a job that is gone from the queue had its chance to write it.
  line=$(printf '%s\n' "$queue" | grep "^$job|" | head -n 1)
  say queue "$line"
  # Listing the folder makes an NFS client look again.
  ls "$attempt" >/dev/null 2>&1
  if [ -s "$attempt/result.json" ]; then head -c 65536 "$attempt/result.json" | say64 result; fi
  account=$(printf '%s\n' "$accounts" | sed -n "s/^$job|//p" | head -n 1)
  say sacct "$account"
  # Of the job's steps the one with the most memory counts; what has a letter was rounded.
  say max_rss "$(printf '%s\n' "$accounts" | awk -F'|' -v job="$job." '
    index($1, job) == 1 && $6 != "" {
      kb = $6 / 1024
      if ($6 ~ /K$/) kb = $6 + 0
      if ($6 ~ /M$/) kb = $6 * 1024
      if ($6 ~ /G$/) kb = $6 * 1048576
      if (kb > most) most = kb
    } END {if (most) printf "%d", most}')"
  # Without accounting squeue tells no exit code.
  if [ -z "$account" ] && [ "${line#*|FAILED|}" != "$line" ] && [ "$scheduler" != local ]; then
    say exit "$(scontrol -o show job "$job" 2>/dev/null | sed -n 's/.* ExitCode=\([0-9]*:[0-9]*\).*/\1/p')"
  fi
  for stream in out err; do
    say "${stream}_bytes" "$(size_of "$attempt/$stream")"
    if [ -s "$attempt/$stream" ]; then tail -c 16384 "$attempt/$stream" | say64 "$stream"; fi
  done
done
