#!/bin/sh
# What every script on a site needs: saying, failing, the store's folders, leases, facts about a SIF.
# Sent in front of the script that uses it; all values come as variables assigned above, quoted in one place.
# shellcheck disable=SC2154  # root, run and friends are those variables
set -u
# What is made here gets the modes that the site asks for, whatever the user's own umask is.
mask=$((0777 & ~0$folder_mode))
umask "$((mask / 64))$((mask / 8 % 8))$((mask % 8))"
# The one who asked may be gone before the answer: what was begun is still ended properly, its lease given back.
trap '' PIPE

# One answer per line: a word, a space, a value of one line. Longer texts travel as base64.
say() { printf '%s %s\n' "$1" "$2"; }
say64() { printf '%s %s\n' "$1" "$(base64 | tr -d '\n')"; }

# fail CLASS MESSAGE...: the class decides hpcbake's exit code.
fail() { class=$1; shift; say error "$class $(printf '%s' "$*" | tr '\n' ' ')"; exit 9; }

own=$root/.hpcbake
# What a user's environment calls by these names is not ours to remove or to kill.
lease='' scratch='' unpack='' child='' heartbeat='' staged='' is_open=''
{ read -r boot_id </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot_id=unknown
{ read -r me </proc/sys/kernel/hostname; } 2>/dev/null || me=$(uname -n)
# This very process: $$ is the shell that the script was sent to, which may die and leave the script running.
read -r self _ </proc/self/stat

# prepare LOG: runs the site's own shell lines. They were not written for `set -u`, must not read the script's input,
# and what they print goes to LOG. What they return is in $prepared.
prepare() {
  complaint=$(printf '%s\n' "$prelude" | sh -n 2>&1) ||
    fail runtime "the site's prelude is not valid shell: $(printf '%s' "$complaint" | tail -n 1)"
  set +u
  eval "$prelude" >"$1" 2>&1 </dev/null
  # shellcheck disable=SC2034  # for the script that asked
  prepared=$?
  set +e -u
  # What a user likes squeue to show must not hide a job from us: -o and SQUEUE_FORMAT2 together are even refused.
  unset SQUEUE_ACCOUNT SQUEUE_FORMAT SQUEUE_FORMAT2 SQUEUE_LICENSES SQUEUE_NAMES SQUEUE_PARTITION SQUEUE_QOS \
    SQUEUE_SORT SQUEUE_STATES SQUEUE_USERS
}

# make_folder FOLDER: with the group and mode of the store where it is a part of it, and on disk under its name.
make_folder() {
  [ -n "$is_open" ] || open_store
  [ ! -d "$1" ] || return 0
  case $1 in
    "$root"/*) make_folder "${1%/*}" ;;
    *) mkdir -p "$1" 2>/dev/null || cannot_create "$1"; return ;;
  esac
  # Whoever is at work beside us may be the one who makes it.
  mkdir "$1" 2>/dev/null || [ -d "$1" ] || cannot_create "$1"
  sync_folder "${1%/*}"
}
# open_store: the root with the site's group and mode. What is made below it inherits the group by the setgid bit.
open_store() {
  is_open=yes
  [ -d "$root" ] || mkdir -p "$root" 2>/dev/null || cannot_create "$root"
  [ -n "$store_group" ] || return 0
  wanted_mode=$(printf '%o' "0$folder_mode")
  is_right() { [ "$(stat -c '%G %a' "$root")" = "$store_group $wanted_mode" ]; }
  is_right && return 0
  chgrp "$store_group" "$root" 2>/dev/null && chmod "$folder_mode" "$root" 2>/dev/null
  is_right || fail permission "$root has group and mode $(stat -c '%G %a' "$root"), and the site wants" \
    "$store_group $wanted_mode: its owner can set that, as a member of the group"
}
# keep_reserve: a little room and a few inodes, to be given up when a full disk refuses even the lease of a clean-up.
keep_reserve() {
  [ ! -d "$own/reserve" ] || return 0
  mkdir "$own/reserve" 2>/dev/null || return 0
  for part in 1 2 3 4; do head -c 65536 /dev/zero >"$own/reserve/$part" 2>/dev/null || break; done
}
sync_folder() { sync "$1" 2>/dev/null || sync; }
cannot_create() {
  df -Pk "$(nearest "$1")" 2>/dev/null | awk 'NR == 2 && $2 > 0 && $4 < 64 {exit 1}' || fail space "no room to create $1"
  fail permission "cannot create $1: $(mkdir -p "$1" 2>&1 | tail -n 1)"
}
nearest() { p=$1; while [ ! -d "$p" ]; do p=$(dirname "$p"); done; printf '%s' "$p"; }

# The start time of a process, so that a reused process number is not taken for the old holder. A zombie has none.
start_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 !~ /[ZX]/ {print $20}'; }

# ---- leases: mkdir is the one operation that is atomic on NFS, Lustre and GPFS alike -------------------------
# A lease folder holds `holder`: host, boot id, process, its start time, user, run. The holder touches it every
# 20 s. It is dead if its host was rebooted, its process is gone, or it has not been touched for 5 minutes.
holder_is_dead() {
  if [ ! -s "$1/holder" ]; then [ -n "$(find "$1" -maxdepth 0 -mmin +1 2>/dev/null)" ]; return; fi
  read -r h_host h_boot h_pid h_start h_uid _ <"$1/holder" || return 1
  if [ "$h_host" = "$me" ] && [ "$h_uid" = "$(id -u)" ]; then
    [ "$h_boot" = "$boot_id" ] && [ "$(start_of "$h_pid")" = "$h_start" ] && return 1
    return 0
  fi
  [ -n "$(find "$1/holder" -mmin +5 2>/dev/null)" ]
}
take_over() {  # of many who see a dead holder one wins, by a mkdir beside the lease: one inside would make it young
  mkdir "$1.takeover" 2>/dev/null || {
    [ -n "$(find "$1.takeover" -maxdepth 0 -mmin +1 2>/dev/null)" ] && rmdir "$1.takeover" 2>/dev/null
    return 1
  }
  over=1
  if holder_is_dead "$1"; then
    say note "took over the lease of a dead holder: $(cat "$1/holder" 2>/dev/null)"
    mv "$1" "$1.dead.$self" && rm -rf "$1.dead.$self"
    over=$?
  fi
  rmdir "$1.takeover" 2>/dev/null
  return "$over"
}
take_lease() {  # take_lease NAME: waits up to $lock_wait seconds
  make_folder "$own/leases"
  lease=$own/leases/$1
  waited=0 missed=0
  until mkdir "$lease" 2>/dev/null; do
    if [ -d "$lease" ]; then
      if holder_is_dead "$lease" && take_over "$lease"; then continue; fi
      [ "$waited" -lt "$lock_wait" ] || fail busy "$lease is held by: $(cat "$lease/holder" 2>/dev/null)"
      waited=$((waited + 1)) missed=0
    else  # it was given back this instant, or it cannot be made at all
      missed=$((missed + 1))
      [ "$missed" -lt 3 ] || cannot_create "$lease"
    fi
    sleep 1
  done
  trap 'release_lease' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  printf '%s %s %s %s %s %s\n' "$me" "$boot_id" "$self" "$(start_of "$self")" "$(id -u)" "$run" >"$lease/holder"
  # The heartbeat ends with this shell, however that ends.
  { while sleep 20 && [ -d "/proc/$self" ]; do touch -c "$lease/holder"; done; } >/dev/null 2>&1 </dev/null &
  heartbeat=$!
}
discard() {  # an unpacked image may hold folders that even their owner cannot write
  [ -e "$1" ] || return 0
  chmod -R u+rwX "$1" 2>/dev/null
  # What another user of the group has left there and only they can remove must at least not keep its name.
  rm -rf "$1" 2>/dev/null || mv -T "$1" "${1%/*}/.dead-${1##*/}-$run" 2>/dev/null
}
# unpack_folder NAME: where apptainer unpacks for the pull of this name. Elsewhere it is named after the store, too.
unpack_folder() {
  if [ -z "$tmpdir" ]; then printf '%s' "$own/incoming/$1/tmp"
  else printf '%s' "$tmpdir/hpcbake-$(id -u)-$(printf '%s' "$root" | cksum | cut -d' ' -f1)-$1"; fi
}
release_lease() {
  # What still writes below the scratch folder must have ended before that is removed.
  if [ -n "$child" ] && kill "$child" 2>/dev/null; then wait "$child"; fi
  [ -z "$heartbeat" ] || kill "$heartbeat" 2>/dev/null
  [ -z "$unpack" ] || discard "$unpack"
  [ -z "$scratch" ] || discard "$scratch"
  [ ! -d "$own/tmp/$run.$self" ] || rm -rf "$own/tmp/$run.$self"
  [ -z "$lease" ] || rm -rf "$lease"
  lease=
}

# room_in FOLDER [i]: free kilobytes, or inodes; nothing where the file system counts none (btrfs has no inodes).
room_in() { df "-P${2:-k}" "$1" 2>/dev/null | awk 'NR == 2 && $2 + 0 > 0 {print $4}'; }

# ---- facts -------------------------------------------------------------------------------------------------
# recorded FILE KEY: a string or number of the provenance file, which hpcbake writes one `"key": value` per line.
recorded() {
  sed -n "/^  \"$2\": /{ s/^[^:]*: \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p; q; }" "$1" 2>/dev/null
}
size_of() { stat -c %s -- "$1" 2>/dev/null; }
mtime_of() { stat -c %Y -- "$1" 2>/dev/null; }
sha256_of() { sha256sum -- "$1" 2>/dev/null | cut -c1-64; }

# doubted_by_a_job SIF: a smoke job has seen other bytes since it was delivered. It knows more than size and time tell.
doubted_by_a_job() {
  release=${1#"$root/sif/"}
  for word in "$own/jobs/${release%.sif}"/*/attempt-*/result.json; do
    [ "$word" -nt "$1" ] && grep -qs '"why": "sif-changed"' "$word" && return
  done
  return 1
}

# sif_state SIF JSON: present, absent, or changed (there, but not what was recorded when it was verified).
sif_state() {
  known=$(recorded "$2" sif_sha256)
  if [ ! -e "$1" ] || [ ${#known} -ne 64 ]; then echo absent; return; fi
  if [ "$(size_of "$1")" = "$(recorded "$2" size_bytes)" ] && [ "$(mtime_of "$1")" = "$(recorded "$2" mtime)" ] &&
    ! doubted_by_a_job "$1"; then
    echo present
  elif [ "$(sha256_of "$1")" = "$known" ]; then echo present
  else echo changed; fi
}

# distrust JSON: whoever looks next reads every byte of its SIF.
distrust() { sed 's/^  "mtime": .*/  "mtime": 0,/' "$1" | write_file "$1" 0644 || exit 9; }

# ---- Slurm -------------------------------------------------------------------------------------------------
# my_jobs: `id|state` of every job of this user that Slurm knows. Fails when Slurm does not answer, which proves nothing.
my_jobs() { squeue -h -t all -u "$(id -un)" -o '%i|%T' 2>/dev/null; }
# is_over JOB LISTING: the job has ended, or Slurm has forgotten it.
is_over() {
  case $(printf '%s\n' "$2" | sed -n "s/^$1|//p" | head -n 1) in
    '' | BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | REVOKED | TIMEOUT) ;;
    *) return 1 ;;
  esac
}

# ---- files -------------------------------------------------------------------------------------------------
# write_file PATH MODE <content: complete or not at all, and on disk before it has its name. Unchanged stays untouched.
# Until then it lies under .hpcbake/tmp, where nobody takes it for anything.
write_file() {
  make_folder "$own/tmp"
  tmp=$own/tmp/$run.$$.file
  cat >"$tmp" || { rm -f "$tmp"; fail space "cannot write $1: $(df -Pk "$own" | tail -n 1)"; }
  if cmp -s "$tmp" "$1"; then rm -f "$tmp"; return; fi
  { chmod "$2" "$tmp" && sync "$tmp" && mv -fT "$tmp" "$1"; } || { rm -f "$tmp"; fail permission "cannot write $1"; }
  sync_folder "${1%/*}"
}
# stage_file PATH MODE CONTENT: on disk under another name; commit_staged then moves all of them, one rename each.
# What has no room is found out before anything moves. A file that is right already is left alone.
stage_file() {
  ! printf '%s\n' "$3" | cmp -s - "$1" || return 0
  make_folder "$own/tmp/$run.$self"
  make_folder "${1%/*}"
  tmp=$own/tmp/$run.$self/$(($(printf '%s' "$staged" | wc -l) + 1))
  { printf '%s\n' "$3" >"$tmp" && chmod "$2" "$tmp" && sync "$tmp"; } 2>/dev/null ||
    fail space "cannot write $1: $(df -Pk "$own" | tail -n 1)"
  staged="$staged$tmp:$1
"
}
commit_staged() {
  # No blank, colon or pattern can be in it: the root, images, tags and commands have names of plain characters.
  for pair in $staged; do
    mv -fT "${pair%%:*}" "${pair#*:}" || fail permission "cannot write ${pair#*:}"
    sync_folder "$(dirname "${pair#*:}")"
  done
}

# ---- the ledger: what users have been given and what was taken away, each line holding the hash of the one before ---
book=$own/ledger.jsonl
# Beside it lies ledger.head: how many lines and bytes it had after the last act, and their sha256. Whoever edits or
# cuts off a line, also the last one, is found out by one look. A line that a power cut tore names nothing; the line
# after it vouches for its bytes.
check_ledger() {
  ledger_is_whole && return 0
  # A shared file system may show the new head before the new line.
  sleep 1
  ledger_is_whole || fail ledger "$(find_changed_line)"
}
ledger_is_whole() {
  known_lines='' known_bytes=0 known_hash=''
  read -r known_lines known_bytes known_hash 2>/dev/null <"$own/ledger.head"
  if [ ! -s "$book" ]; then [ -z "$known_hash" ]; return; fi
  # What is no number there proves nothing.
  case $known_lines$known_bytes in '' | *[!0-9]*) known_hash=damaged ;; esac
  [ "$known_hash" != damaged ] || return 1
  # Mostly nothing has come after the last act: then one sum tells all.
  whole=$(sha256sum <"$book" 2>/dev/null)
  if [ -n "$known_hash" ] && [ "${whole%% *}" = "$known_hash" ]; then return 0; fi
  if [ -z "$known_hash" ]; then
    # Only the very first line may lie there without a head: a run that died right after writing it.
    case $(sed -n 2p "$book") in *'"seq":'*) return 1 ;; esac
    chain_holds 1
  else
    [ "$(head -c "$known_bytes" "$book" | sha256sum | cut -c1-64)" = "$known_hash" ] && chain_holds "$known_lines"
  fi
}
# chain_holds FROM: every line after line FROM names the hash of the line before it.
chain_holds() { [ -z "$(changed_lines "$1" | head -n 1)" ]; }
changed_lines() {
  number=$(($1 - 1)) before=''
  tail -n "+$1" "$book" | while IFS= read -r line; do
    number=$((number + 1))
    held=${line#*\"prev\":\"}
    case $line in '{"prev":"'*'}') ;; *) held=$before ;; esac
    if [ -n "$before" ] && [ "${held%%\"*}" != "$before" ]; then
      echo "$book:$((number - 1)): was changed: its sha256 is $before, line $number was written after ${held%%\"*}"
    fi
    before=$(printf '%s\n' "$line" | sha256sum | cut -c1-64)
  done
}
find_changed_line() {
  lines=0
  [ ! -e "$book" ] || lines=$(wc -l <"$book")
  from=$((lines - 2000))
  found=$(changed_lines "$((from > 1 ? from : 1))" | head -n 1)
  if [ -n "$found" ]; then echo "$found"
  elif [ ${#known_hash} -ne 64 ]; then echo "$book:$lines: cannot be checked: $own/ledger.head is gone or damaged"
  elif [ "$lines" -lt "$known_lines" ]; then
    echo "$book:$((lines + 1)): has $lines lines, expected $known_lines (sha256 $known_hash, actual $(sha256_of "$book"))"
  else
    actual=$(head -c "$known_bytes" "$book" | sha256sum | cut -c1-64)
    echo "$book:$known_lines: was changed: the sha256 up to its end is $actual, expected $known_hash"
  fi
}
# say_ledger: its last twenty thousand lines, the number of the first of them, and what is wrong with it.
say_ledger() {
  [ -e "$book" ] || [ -e "$own/ledger.head" ] || return 0
  if ! ledger_is_whole; then
    sleep 1
    ledger_is_whole || say ledger_broken "$(find_changed_line)"
  fi
  lines=$(wc -l <"$book" 2>/dev/null)
  first=$((${lines:-0} - 19999))
  [ "$first" -gt 1 ] || first=1
  say ledger_first "$first"
  tail -n "+$first" "$book" 2>/dev/null | say64 ledger
}
# add_to_ledger ACT IMAGE HEX TAG WAS FACTS: one more line, on disk when this returns.
add_to_ledger() {
  make_folder "$own"
  # A line that a power cut tore stays as evidence; the next one begins a line of its own.
  { [ -z "$(tail -c 1 "$book" 2>/dev/null)" ] || echo >>"$book"; } 2>/dev/null || return 1
  previous=$(tail -n 1 "$book" 2>/dev/null | sha256sum | cut -c1-64)
  lines=0
  [ ! -e "$book" ] || lines=$(wc -l <"$book")
  printf '{"prev":"%s","seq":%s,"time":%s,"run":"%s","act":"%s","image":"%s","digest":"sha256:%s","tag":"%s","was":"%s"%s}\n' \
    "$previous" "$((lines + 1))" "$(date +%s)" "$run" "$1" "$2" "$3" "$4" "$(printf %s "$5" | tr -d '"\\[:cntrl:]')" \
    "${6:+,$6}" 2>/dev/null >>"$book" || return 1
  sync "$book"
  [ "$lines" -gt 0 ] || sync_folder "$own"
  printf '%s %s %s\n' "$(wc -l <"$book")" "$(size_of "$book")" "$(sha256_of "$book")" | write_file "$own/ledger.head" 0644
}
# settle_ledger: a run that died between its two lines is told as what `current` says: it moved, or it did not.
settle_ledger() {
  last=$(tail -n 4 "$book" 2>/dev/null | grep '^{"prev":.*"act":"[^"]*".*}$' | tail -n 1)
  case $last in
    *'"act":"promoting"'*) ended=promoted ;;
    *'"act":"rolling-back"'*) ended=rolled-back ;;
    *) return 0 ;;
  esac
  member() { printf '%s\n' "$last" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
  its_image=$(member image) its_digest=$(member digest)
  case $its_image in *[!A-Za-z0-9_-]* | '') return 0 ;; esac
  its_hex=${its_digest#sha256:}
  [ "$(readlink "$root/$its_image/current" 2>/dev/null)" = "../sif/$its_image/$its_hex.sif" ] || ended=abandoned
  say note "a run died before it could note what it did to $its_image: $ended"
  add_to_ledger "$ended" "$its_image" "$its_hex" "$(member tag)" "$(member was)" \
    "$(printf '%s\n' "$last" | sed -n 's/.*"was":"[^"]*",\(.*\)}$/\1/p')" || fail space "cannot write $book"
}
