#!/bin/sh
# How a promotion or a rollback ended whose answer was lost. Waits a while for it, then says what is there; changes
# nothing. Values: image run lock_wait
# shellcheck disable=SC1091,SC2154
waited=0
while grep -qs " $run\$" "$own/leases/promote/holder" && ! holder_is_dead "$own/leases/promote" &&
  [ "$waited" -lt "$lock_wait" ]; do
  waited=$((waited + 1))
  sleep 1
done
say current "$(readlink "$root/$image/current" 2>/dev/null)"
grep "\"run\":\"$run\",.*\"image\":\"$image\"" "$book" 2>/dev/null | tail -n 1 | while IFS= read -r line; do
  act=${line#*\"act\":\"}
  was=${line#*\"was\":\"}
  say act "${act%%\"*}"
  say was "${was%%\"*}"
done
