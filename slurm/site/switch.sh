#!/bin/sh
# Giving users another release of an image: what promote and rollback have in common.
# Values: image hex tag expected_current sif_sha256 module_lua module_tcl facts
# shellcheck disable=SC1091,SC2034,SC2154
sif=$root/sif/$image/$hex.sif
json=$root/sif/$image/$hex.json
target=../sif/$image/$hex.sif
modules=$root/modules/$image
hold=$own/holds/$image

# note_in_ledger ACT: one more line about this release.
note_in_ledger() { add_to_ledger "$1" "$image" "$hex" "$tag" "$current" "$facts"; }

# begin_switch: alone at this, with a ledger that nobody changed, and with the `current` that the decision rests on.
begin_switch() {
  take_lease promote
  check_ledger
  settle_ledger
  # What a run that died an hour ago or earlier was writing.
  find "$own/tmp" -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {} + 2>/dev/null
  for folder in "$root/$image" "$modules"; do make_folder "$folder"; done
  for link in "$root/$image/$tag" "$root/$image/current"; do
    if [ -e "$link" ] && [ ! -L "$link" ]; then fail permission "$link is in the way: it is not a link of hpcbake's"; fi
  done
  for file in "$modules/$tag.lua" "$modules/$tag" "$modules/.version"; do
    [ ! -e "$file" ] || grep -qs 'Written by hpcbake' "$file" ||
      fail permission "$file is in the way: it is not hpcbake's"
  done
  current=$(readlink "$root/$image/current" 2>/dev/null)
  if [ "$current" != "$expected_current" ] && [ "$current" != "$target" ]; then
    other=$(tail -n 50 "$book" 2>/dev/null | grep "\"image\":\"$image\"" | tail -n 1 |
      sed -n 's/.*"run":"\([^"]*\)".*/ (run \1)/p')
    fail changed "current is $current and was ${expected_current:-absent} when this run began$other"
  fi
}
stage_modules() {
  stage_file "$modules/$tag.lua" 0644 "$module_lua"
  stage_file "$modules/$tag" 0644 "$module_tcl"
  # `module load IMAGE` without a tag: both module programs read this file, and both take its tag.
  stage_file "$modules/.version" 0644 "#%Module1.0
# Written by hpcbake; changes are lost with the next promotion.
set ModulesVersion \"$tag\""
}
# verify_sif: every byte is read right before users get them. What is wrong is set aside as evidence, unless users
# run from it: then it stays until the next delivery replaces it, which reads every byte of a SIF without a time.
verify_sif() {
  actual=$(sha256_of "$sif")
  [ "$actual" != "$sif_sha256" ] || [ ${#actual} -ne 64 ] || return 0
  if [ "$current" != "$target" ]; then mv -fT "$sif" "$sif.bad-$(date +%Y%m%dT%H%M%S)" 2>/dev/null
  elif [ -s "$json" ]; then distrust "$json"
  fi
  fail integrity "$sif has sha256 ${actual:-none}, expected $sif_sha256"
}
point() {  # point LINK: one rename; a link that is right already stays untouched
  [ "$(readlink "$1" 2>/dev/null)" != "$target" ] || return 0
  make_folder "$own/tmp/$run.$self"
  { ln -sfn "$target" "$own/tmp/$run.$self/link" && mv -fT "$own/tmp/$run.$self/link" "$1"; } ||
    fail permission "cannot move $1"
  sync_folder "${1%/*}"
}
# switch INTENT DONE: the names move, `current` last, with a line in the ledger before and one after. From the first
# line on nothing asks this shell to stop: the rest takes a moment.
switch() {
  trap '' HUP INT TERM
  moves=yes
  # The same SIF again is no news, unless the ledger has not heard of these very bytes.
  if [ "$current" = "$target" ] && grep "\"digest\":\"sha256:$hex\"" "$book" 2>/dev/null | tail -n 1 |
    grep -q "\"sif_sha256\":\"$sif_sha256\""; then moves=no; fi
  [ "$moves" = no ] || note_in_ledger "$1" || fail space "cannot write $book: $(df -Pk "$own" | tail -n 1)"
  commit_staged
  point "$root/$image/$tag"
  point "$root/$image/current"
  after=$(readlink "$root/$image/current")
  [ "$after" = "$target" ] || fail promote "current is $after after the rename"
  if [ "$moves" = yes ]; then
    note_in_ledger "$2" >/dev/null ||
      say note "$2, but the ledger's second line could not be written; the next run adds it"
  fi
  keep_reserve
  # A catalog that cannot be written takes nothing back of what users have.
  (write_catalog) >/dev/null || say note "README.md and catalog.json could not be written; the next run does it"
  say current "$after"
  say was "$current"
}
