#!/bin/sh
# Which smoke jobs a run left to themselves, or are on their way without anybody waiting; and, for those named in
# `seen` (lines of an attempt's folder), that somebody has looked. Values: prelude seen
# shellcheck disable=SC2154,SC1091
prepare /dev/null
printf '%s\n' "$seen" | while read -r attempt; do
  case $attempt in "$own/jobs/"*/attempt-*) rm -f "$attempt/detached" ;; esac
done
say collected yes
[ -z "$seen" ] || exit 0
listing=$(my_jobs) || listing=
for marked in "$own"/jobs/*/*/*/attempt-*/name; do
  [ -s "$marked" ] || continue
  attempt=${marked%/name}
  job=$(cat "$attempt/job" 2>/dev/null)
  if [ ! -e "$attempt/detached" ]; then
    # Not a run's own that waits for it, nor one of long ago: it is on its way, or it is none of ours.
    if [ -z "$job" ] || [ -s "$attempt/result.json" ] || is_over "$job" "$listing"; then continue; fi
  fi
  say attempt "$attempt"
  say job "${job:-none}"
  say name "$(cat "$marked")"
done
