#!/bin/sh
# Makes one verified, smoke-tested SIF the current one. Every name moves by one rename; `current` moves last.
# Values: image hex tag expected_current sif_sha256 provenance module_lua module_tcl wrappers (lines `command base64-of-its-file`)
# shellcheck disable=SC2154,SC1091
take_lease promote
check_ledger 100
sif=$root/sif/$image/$hex.sif
json=$root/sif/$image/$hex.json
target=../sif/$image/$hex.sif
module=$root/modules/$image/$tag
make_folder "$root/$image"
make_folder "$root/modules/$image"
# Whatever is in the way is found before anything moves.
for link in "$root/$image/$tag" "$root/$image/current"; do
  if [ -e "$link" ] && [ ! -L "$link" ]; then fail permission "$link is in the way: it is not a link of hpcbake's"; fi
done
for file in "$module.lua" "$module"; do
  [ ! -e "$file" ] || grep -qs 'Written by hpcbake' "$file" || fail permission "$file is in the way: it is not hpcbake's"
done
current=$(readlink "$root/$image/current" 2>/dev/null)
if [ "$current" != "$expected_current" ] && [ "$current" != "$target" ]; then
  fail changed "current is $current and was ${expected_current:-absent} when this run began"
fi
# Re-read every byte right before users get it.
actual=$(sha256_of "$sif")
if [ "$actual" != "$sif_sha256" ] || [ ${#actual} -ne 64 ]; then
  if [ "$current" != "$target" ]; then
    mv -fT "$sif" "$sif.bad-$(date +%Y%m%dT%H%M%S)" 2>/dev/null
  elif [ -s "$json" ]; then
    # Users run from it: it stays until the next delivery replaces it, which reads every byte of a SIF without a time.
    sed 's/^  "mtime": .*/  "mtime": 0,/' "$json" | write_file "$json" 0644 || exit 9
  fi
  fail integrity "$sif has sha256 ${actual:-none}, expected $sif_sha256"
fi

# The ledger: one line before the act and one after, each holding the hash of the line before it.
ledger=$own/ledger.jsonl
was=$(printf %s "$current" | tr -d '"\\[:cntrl:]')
note_in_ledger() {
  # A line that a power cut tore stays as evidence; the next one begins a line of its own.
  [ -z "$(tail -c 1 "$ledger" 2>/dev/null)" ] || echo >>"$ledger"
  previous=$(tail -n 1 "$ledger" 2>/dev/null | sha256sum | cut -c1-64)
  printf '{"prev":"%s","time":%s,"run":"%s","act":"%s","image":"%s","digest":"sha256:%s","tag":"%s","was":"%s"}\n' \
    "$previous" "$(date +%s)" "$run" "$1" "$image" "$hex" "$tag" "$was" >>"$ledger" ||
    fail space "cannot write $ledger"
  sync "$ledger"
}
point() {  # point LINK: one rename; a link that is right already stays untouched
  [ "$(readlink "$1" 2>/dev/null)" != "$target" ] || return 0
  rm -f "$1.tmp-$run"
  { ln -s "$target" "$1.tmp-$run" && mv -fT "$1.tmp-$run" "$1"; } || fail permission "cannot move $1"
  sync "$(dirname "$1")" 2>/dev/null || sync
}
[ "$current" = "$target" ] || note_in_ledger promoting
delivered=$(recorded "$json" delivered)
printf '%s\n' "$provenance" | sed "s/@MTIME@/$(mtime_of "$sif")/; s/@DELIVERED@/$delivered/" | write_file "$json" 0644 || exit 9
if [ -n "$wrappers" ]; then
  make_folder "$root/sif/$image/$hex.bin"
  printf '%s\n' "$wrappers" | while read -r command content; do
    printf %s "$content" | base64 -d | write_file "$root/sif/$image/$hex.bin/$command" 0755 || exit 9
  done || exit 9
fi
printf '%s\n' "$module_lua" | write_file "$module.lua" 0644 || exit 9
printf '%s\n' "$module_tcl" | write_file "$module" 0644 || exit 9
point "$root/$image/$tag"
point "$root/$image/current"
after=$(readlink "$root/$image/current")
[ "$after" = "$target" ] || fail promote "current is $after after the rename"
[ "$current" = "$target" ] || note_in_ledger promoted
say current "$after"
say was "$current"
