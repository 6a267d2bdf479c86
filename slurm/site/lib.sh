#!/bin/sh
# What every script on a site needs: saying, failing, the store's folders, leases, facts about a SIF.
# Sent in front of the script that uses it; all values come as variables assigned above, quoted in one place.
# shellcheck disable=SC2154  # root, run and friends are those variables
set -u
umask 022
# The one who asked may be gone before the answer: what was begun is still ended properly, its lease given back.
trap '' PIPE

# One answer per line: a word, a space, a value of one line. Longer texts travel as base64.
say() { printf '%s %s\n' "$1" "$2"; }
say64() { printf '%s %s\n' "$1" "$(base64 | tr -d '\n')"; }

# fail CLASS MESSAGE...: the class decides hpcbake's exit code.
fail() { class=$1; shift; say error "$class $(printf '%s' "$*" | tr '\n' ' ')"; exit 9; }

own=$root/.hpcbake
# What a user's environment calls by these names is not ours to remove or to kill.
lease='' scratch='' unpack='' child='' heartbeat=''
{ read -r boot_id </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot_id=unknown
me=$(uname -n)
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

make_folder() { mkdir -p "$1" 2>/dev/null || cannot_create "$1"; }
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
  [ ! -e "$1" ] || { chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"; }
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

# sif_state SIF JSON: present, absent, or changed (there, but not what was recorded when it was verified).
sif_state() {
  known=$(recorded "$2" sif_sha256)
  if [ ! -e "$1" ] || [ ${#known} -ne 64 ]; then echo absent; return; fi
  if [ "$(size_of "$1")" = "$(recorded "$2" size_bytes)" ] && [ "$(mtime_of "$1")" = "$(recorded "$2" mtime)" ]; then
    echo present
  elif [ "$(sha256_of "$1")" = "$known" ]; then echo present
  else echo changed; fi
}

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

# check_ledger N: the last N lines of the ledger must each hold the hash of the line before. Whoever changed one is
# found out before anything is done. A line that a power cut tore names nothing; the line after it vouches for its bytes.
check_ledger() {
  [ -s "$own/ledger.jsonl" ] || return 0
  before=''
  tail -n "$1" "$own/ledger.jsonl" | while IFS= read -r line; do
    held=${line#*\"prev\":\"}
    case $line in '{"prev":"'*'}') ;; *) held=$before ;; esac
    if [ -n "$before" ] && [ "${held%%\"*}" != "$before" ]; then
      fail ledger "$own/ledger.jsonl was changed: the line before $(printf %.120s "$line")… is not the one it was written after"
    fi
    before=$(printf '%s\n' "$line" | sha256sum | cut -c1-64)
  done || exit 9
}

# write_file PATH MODE <content: complete or not at all, and on disk before it has its name. Unchanged stays untouched.
write_file() {
  tmp=${1%/*}/.hpcbake-tmp.$run.$$
  cat >"$tmp" || { rm -f "$tmp"; fail space "cannot write $1: $(df -Pk "${1%/*}" | tail -n 1)"; }
  if cmp -s "$tmp" "$1"; then rm -f "$tmp"; return; fi
  { chmod "$2" "$tmp" && sync "$tmp" && mv -fT "$tmp" "$1"; } || { rm -f "$tmp"; fail permission "cannot write $1"; }
  sync "${1%/*}" 2>/dev/null || sync
}
