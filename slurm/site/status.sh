#!/bin/sh
# Every image in the store: its releases, what is current, and (verify=yes) whether the bytes are still the right ones.
# A SIF whose bytes are wrong is set aside, unless somebody may be running from it; nothing else is ever changed.
# shellcheck disable=SC1091,SC2034,SC2154
say root "$root"
# Users reach a SIF by `current` and by the tags of its image.
is_linked() {
  for link in "$root/$image"/*; do
    if [ -L "$link" ] && [ "$(readlink "$link")" = "../sif/$image/${sif##*/}" ]; then return 0; fi
  done
  return 1
}
verify() {
  known=$(recorded "$json" sif_sha256)
  [ "$(sha256_of "$sif")" != "$known" ] || { say state verified; return; }
  # Once more with its lease in hand: a delivery may have replaced it just now.
  set_aside=$(
    lock_wait=0
    take_lease "sif-$image-$(basename "$sif" .sif)" >&2
    [ "$(sha256_of "$sif")" != "$(recorded "$json" sif_sha256)" ] || { echo verified; exit; }
    # The next delivery must not take its word for it.
    if is_linked; then distrust "$json" >&2; exit; fi
    bad=$sif.bad-$(date +%Y%m%dT%H%M%S)
    mv -fT "$sif" "$bad" 2>/dev/null && sync_folder "${sif%/*}" && echo "$bad"
  ) 2>/dev/null
  case $set_aside in
    verified) say state verified ;;
    *) say state changed; [ -z "$set_aside" ] || say set_aside "$set_aside" ;;
  esac
}
for folder in "$root"/sif/*/; do
  [ -d "$folder" ] || continue
  image=$(basename "$folder")
  say image "$image"
  say current "$(readlink "$root/$image/current" 2>/dev/null)"
  if [ -s "$own/holds/$image" ]; then say hold "$(head -c 4096 "$own/holds/$image")"; fi
  for link in "$root/$image"/*; do
    if [ -L "$link" ] && [ "${link##*/}" != current ]; then say tag "${link##*/} $(readlink "$link")"; fi
  done
  for sif in "$folder"*.sif; do
    [ -e "$sif" ] || continue
    json=${sif%.sif}.json
    say release "$(basename "$sif" .sif)"
    if [ "$verify" = yes ]; then verify; else say state "$(sif_state "$sif" "$json")"; fi
    say pinned "$(ls "$own/pins/$image/$(basename "$sif" .sif)" 2>/dev/null)"
    if [ -s "$json" ]; then head -c 262144 "$json" | say64 provenance; fi
  done
done
say jobs "$(find "$own/jobs" -name job -type f 2>/dev/null | wc -l)"
say_ledger
