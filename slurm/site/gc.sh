#!/bin/sh
# Clears the store. mode=look tells what is there and what speaks for keeping it; mode=remove takes away what the
# controller decided on, after looking once more at everything that may have changed since.
# Values: those of used.sh and catalog.sh, mode days tmpdir
# victims: lines `release IMAGE HEX`, `bad IMAGE FILE`, `jobs IMAGE HEX` or `rest IMAGE FILE`; expected_ledger (a sha256)
# shellcheck disable=SC1091,SC2034,SC2154
real=$(cd -P "$root" 2>/dev/null && pwd -P) || { say root absent; exit 0; }
check_ledger
ledger_now=$(sha256_of "$book")

# enter FOLDER: goes there, unless a link on the way leads elsewhere. From then on every name is one of this folder.
enter() { cd -P "$real/$1" 2>/dev/null && [ "$(pwd -P)" = "$real/$1" ]; }
is_plain_image() { case $1 in '' | *[!A-Za-z0-9_-]*) return 1 ;; esac; }
is_hex() { case $1 in *[!0-9a-f]*) return 1 ;; esac; [ ${#1} -eq 64 ]; }
is_old() { [ "$days" -eq 0 ] || [ -n "$(find "./$1" -maxdepth 0 -mmin "+$((days * 1440))" 2>/dev/null)" ]; }
age_days() { echo $((($(date +%s) - $(mtime_of "$1")) / 86400)); }
# why_live IMAGE HEX: what may have begun since, or is at work this moment. Empty: nothing.
why_live() {
  if ! is_plain_image "$1" || ! is_hex "$2"; then echo "its name is not one of ours"; return; fi
  link=$(readlink "$root/$1/current" 2>/dev/null)
  if [ "${link##*/}" = "$2.sif" ]; then echo "is current"; return; fi
  [ ! -e "$own/pins/$1/$2" ] || { echo "is pinned"; return; }
  [ ! -d "$own/leases/sif-$1-$2" ] || holder_is_dead "$own/leases/sif-$1-$2" ||
    { echo "is being delivered: $(cat "$own/leases/sif-$1-$2/holder" 2>/dev/null)"; return; }
  for lease_of_test in "$own/leases/smoke-$1-"*; do
    [ ! -d "$lease_of_test" ] || holder_is_dead "$lease_of_test" || { echo "a smoke test of $1 is being submitted"; return; }
  done
  for file in "$own/jobs/$1/$2"/*/attempt-*/job; do
    [ -s "$file" ] || continue
    job=$(cat "$file")
    if printf '%s\n' "$queue" | grep -q "^$job|"; then echo "smoke job $job is queued or runs"; return; fi
  done
  if is_used "$1" "$2"; then echo "$use"; fi
}

look() {
  find_uses
  [ -z "$doubt" ] || say doubt "$doubt"
  say ledger_sha256 "$ledger_now"
  for folder in "$real"/sif/*; do
    image=$(basename "$folder")
    [ -e "$folder" ] || continue
    if ! is_plain_image "$image" || [ -L "$folder" ] || ! enter "sif/$image"; then
      say foreign "sif/$(printf '%s' "$image" | tr '\n' '?')"
      continue
    fi
    say image "$image"
    say current "$(readlink "$root/$image/current" 2>/dev/null)"
    for file in ./* ./.trash-*; do
      name=${file#./}
      [ -e "$file" ] || [ -L "$file" ] || continue
      stem=${name%.*}
      if [ -L "$file" ]; then say foreign "sif/$image/$name"
      elif is_hex "$stem" && [ -f "$file" ] && [ "$name" = "$stem.sif" ]; then
        say release "$stem"
        say size "$(size_of "$file")"
        say age_days "$(age_days "$file")"
        # The papers are as new as the delivery or promotion; a SIF has the time that its bytes were made.
        if [ -e "./$stem.json" ] && ! is_old "$stem.json"; then say young yes
        elif ! is_old "$name"; then say young yes
        fi
        if [ -z "$doubt" ]; then say live "$(why_live "$image" "$stem")"; fi
        if [ -s "./$stem.json" ]; then say promoted "$(recorded "./$stem.json" promoted)"; say tag "$(recorded "./$stem.json" tag)"; fi
      elif [ "${name#.trash-}" != "$name" ]; then say rest "$name"; say size "$(size_of "$file")"
      elif is_hex "${name%%.sif.bad-*}" && [ -f "$file" ]; then
        say bad "$name"
        say size "$(size_of "$file")"
        say age_days "$(age_days "$file")"
        if ! is_old "$name"; then say young yes; fi
      elif is_hex "$stem" && [ ! -e "./$stem.sif" ] && { [ "$name" = "$stem.json" ] || [ "$name" = "$stem.bin" ]; }; then
        if is_old "$name"; then say rest "$name"; say size "$(size_of "$file")"; fi
      elif ! { is_hex "$stem" && { [ "$name" = "$stem.json" ] || [ "$name" = "$stem.bin" ]; }; }; then
        say foreign "sif/$image/$(printf '%s' "$name" | tr '\n' '?')"
      fi
    done
  done
  for folder in "$own"/jobs/*/*/; do
    [ -d "$folder" ] || continue
    hex=$(basename "$folder") image=$(basename "$(dirname "$folder")")
    is_plain_image "$image" && is_hex "$hex" && [ ! -f "$root/sif/$image/$hex.sif" ] || continue
    say jobs "$image $hex"
    say size "$(find "$folder" -type f -printf '%s\n' 2>/dev/null | awk '{n += $1} END {print n + 0}')"
    [ -z "$(find "$folder" -newermt "-$days days" -print 2>/dev/null | head -n 1)" ] || say young yes
    if [ -z "$doubt" ]; then say live "$(why_live "$image" "$hex")"; fi
  done
}

# take NAME: out of sight by a rename, then gone. What is cut off in between is trash, and the next gc takes it.
take() {
  [ -e "./$1" ] || [ -L "./$1" ] || return 0
  case $1 in .trash-*) trash=$1 ;; *) trash=.trash-$run-$1; mv -fT "./$1" "./$trash" 2>/dev/null || return 1 ;; esac
  chmod -R u+rwX "./$trash" 2>/dev/null
  rm -rf "./$trash" 2>/dev/null
  [ ! -e "./$trash" ]
}
remove_release() {
  image=$1 hex=$2
  enter "sif/$image" || { say kept "$image $hex its folder cannot be entered"; return; }
  if [ -L "./$hex.sif" ] || [ ! -f "./$hex.sif" ]; then say kept "$image $hex it is no file"; return; fi
  if [ -L "$root/$image" ] || [ -L "$root/modules/$image" ]; then
    say kept "$image $hex a link stands where its folder of links or modules should be"
    return
  fi
  tag=$(recorded "./$hex.json" tag)
  for link in "$root/$image"/*; do
    [ -L "$link" ] && [ "$(readlink "$link")" = "../sif/$image/$hex.sif" ] || continue
    name=${link##*/}
    for module in "$root/modules/$image/$name.lua" "$root/modules/$image/$name"; do
      if [ -f "$module" ] && [ ! -L "$module" ] && grep -qs 'Written by hpcbake' "$module" && grep -qs "$hex" "$module"; then
        rm -f "$module"
      fi
    done
    rm -f "$link"
  done
  freed=$(size_of "./$hex.sif")
  if take "$hex.sif" && take "$hex.json" && take "$hex.bin"; then
    sync_folder .
    say removed "$image $hex $freed"
    removed="$removed$image $hex ${tag:-none}
"
  else say stuck "$image $hex $real/sif/$image: $(rm -rf "./$hex.sif" "./.trash-$run-$hex.sif" 2>&1 | tail -n 1)"
  fi
}
remove() {
  [ "$ledger_now" = "$expected_ledger" ] || fail changed "something was promoted, rolled back or pinned meanwhile"
  find_uses
  [ -z "$doubt" ] || fail slurm-down "$doubt"
  removed=''
  # Three words each: what, image, and digest or file name. All are of plain characters, and looked at once more below.
  # shellcheck disable=SC2086
  set -- $victims
  while [ $# -ge 3 ]; do
    kind=$1 image=$2 name=$3
    shift 3
    case $kind in
      release | jobs)
        why=$(why_live "$image" "$name")
        if [ -n "$why" ]; then say kept "$image $name $why"; continue; fi ;;
    esac
    case $kind in
      release)
        # With its lease in hand, nobody delivers it at this moment.
        if mkdir "$own/leases/sif-$image-$name" 2>/dev/null; then
          cp "$own/leases/promote/holder" "$own/leases/sif-$image-$name/holder" 2>/dev/null
          remove_release "$image" "$name"
          rm -rf "$own/leases/sif-$image-$name"
        else say kept "$image $name its lease is held, or was left by a run that died"
        fi ;;
      bad | rest)
        if ! is_plain_image "$image" || ! enter "sif/$image"; then continue; fi
        case $name in */* | .. | .) continue ;; .trash-* | *.sif.bad-* | *.json | *.bin) ;; *) continue ;; esac
        freed=$(size_of "./$name")
        if [ ! -L "./$name" ] && take "$name"; then say removed "$image $name ${freed:-0}"
        else say stuck "$image $name $real/sif/$image: it cannot be removed"
        fi ;;
      jobs)
        if ! is_plain_image "$image" || ! is_hex "$name" || ! enter ".hpcbake/jobs/$image"; then continue; fi
        if [ ! -L "./$name" ] && take "$name"; then say removed "$image $name 0"; else say stuck "$image $name its job folder"; fi ;;
    esac
  done
  cd "$real" || exit 9
  printf '%s' "$removed" | while read -r image hex tag; do
    [ "$tag" != none ] || tag=''
    add_to_ledger removed "$image" "$hex" "$tag" "" "$facts" >/dev/null || { say note "the ledger could not be written"; break; }
  done
  [ -z "$removed" ] || write_catalog >/dev/null || say note "README.md and catalog.json could not be written; the next run does it"
}

if [ "$mode" = look ]; then look; exit 0; fi
# A full disk may refuse even a new folder: what was kept in reserve for this moment is given up.
mkdir -p "$own/leases" 2>/dev/null
{ mkdir "$own/leases/.probe" && echo probe >"$own/leases/.probe/holder"; } 2>/dev/null || rm -rf "$own/reserve"
rm -rf "$own/leases/.probe"
take_lease promote
check_ledger
remove
keep_reserve
