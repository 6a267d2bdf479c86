#!/bin/sh
# Every image in the store: its releases, what is current, and (verify=yes) whether the bytes are still the right ones.
# shellcheck disable=SC2154,SC1091
say root "$root"
for folder in "$root"/sif/*/; do
  [ -d "$folder" ] || continue
  image=$(basename "$folder")
  say image "$image"
  say current "$(readlink "$root/$image/current" 2>/dev/null)"
  for link in "$root/$image"/*; do
    if [ -L "$link" ] && [ "${link##*/}" != current ]; then say tag "${link##*/} $(readlink "$link")"; fi
  done
  for sif in "$folder"*.sif; do
    [ -e "$sif" ] || continue
    json=${sif%.sif}.json
    say release "$(basename "$sif" .sif)"
    if [ "$verify" = yes ]; then
      if [ "$(sha256_of "$sif")" = "$(recorded "$json" sif_sha256)" ]; then say state verified; else say state changed; fi
    else
      say state "$(sif_state "$sif" "$json")"
    fi
    if [ -s "$json" ]; then head -c 262144 "$json" | say64 provenance; fi
  done
done
say jobs "$(find "$own/jobs" -name job -type f 2>/dev/null | wc -l)"
# The last thousand lines or so; whole lines only.
if [ -s "$own/ledger.jsonl" ]; then tail -n 1000 "$own/ledger.jsonl" | say64 ledger; fi
