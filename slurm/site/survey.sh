#!/bin/sh
# What is on the site for each wanted image: looks, and changes nothing.
# wanted: lines of `image digest-hex tag`
# shellcheck disable=SC2154,SC1091
check_ledger 10
printf '%s\n' "$wanted" | while read -r image hex tag; do
  say image "$image"
  sif=$root/sif/$image/$hex.sif
  say sif "$(sif_state "$sif" "${sif%.sif}.json")"
  say current "$(readlink "$root/$image/current" 2>/dev/null)"
  say tag "$(readlink "$root/$image/$tag" 2>/dev/null)"
  if [ -s "$own/holds/$image" ]; then say hold "$(head -c 4096 "$own/holds/$image")"; fi
  current=$(readlink -f "$root/$image/current" 2>/dev/null)
  say current_sha256 "$(recorded "${current%.sif}.json" sif_sha256)"
  if [ -n "$current" ] && [ -s "${current%.sif}.json" ]; then head -c 262144 "${current%.sif}.json" | say64 promoted; fi
  if [ -s "${sif%.sif}.json" ]; then head -c 262144 "${sif%.sif}.json" | say64 provenance; fi
done
# What runs that died have left; whoever acts here next sweeps it.
say left "$(find "$own/incoming" "$own/leases" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l | tr -d ' ')"
say clock "$(date +%s)"
say host "$me"
