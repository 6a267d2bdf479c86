#!/bin/sh
# Brings one digest into the store: lease, room, fetch to a partial name, verify, fsync, rename.
# Values: way tmpdir image hex arch_id need_kb pull_command pull_timeout sbatch_command poll_interval program prelude
# expected_sha256 expected_content signed_by sif_mode sif_group provenance
# Ways docker and job convert the image here; oras and stream bring a SIF that the build host has verified, whose sum
# is expected_sha256. The way stream has the SIF's bytes on standard input, the others user and password, if any.
# shellcheck disable=SC2154,SC1091
sif=$root/sif/$image/$hex.sif
json=$root/sif/$image/$hex.json
make_folder "$root/sif/$image"
state=$(sif_state "$sif" "$json")
if [ "$state" != present ]; then
  take_lease "sif-$image-$hex"
  state=$(sif_state "$sif" "$json")
fi
finish() {
  say state "$1"; say path "$sif"; say sha256 "$(recorded "$json" sif_sha256)"; say size "$(size_of "$sif")"
  say way "$(recorded "$json" way)"; say content "$(recorded "$json" content)"
  exit 0
}
[ "$state" != present ] || finish present

# ---- what a dead run of this digest left is ours to sweep: we hold its lease ---------------------------------------
scratch=$own/incoming/$image-$hex
unpack=$(unpack_folder "$image-$hex")
pull_job=''
my_pulls() { squeue -h -n "$pull_job" -u "$(id -un)" -o %i 2>/dev/null; }
# A job that pulls must be gone before its folder is anybody else's.
end_pull_job() {
  [ -n "$pull_job" ] || return 0
  scancel -n "$pull_job" -u "$(id -un)" 2>/dev/null
  waited=0
  until running=$(my_pulls) && [ -z "$running" ]; do
    waited=$((waited + 1))
    [ "$waited" -lt 60 ] || return 1
    sleep 1
  done
  pull_job=''
}
if [ -s "$scratch/pull-job" ]; then
  prepare /dev/null
  pull_job=$(cat "$scratch/pull-job")
  end_pull_job || fail busy "the job $pull_job of an earlier run still pulls into $scratch, or Slurm does not answer"
fi
discard "$unpack"
discard "$scratch"
make_folder "$scratch/cache"
make_folder "$unpack"
for place in "$scratch" "$unpack"; do
  have_kb=$(room_in "$place")
  [ "${have_kb:-$need_kb}" -ge "$need_kb" ] || fail space "$place needs $need_kb kB and has $have_kb kB"
done
have_inodes=$(room_in "$scratch" i)
[ "${have_inodes:-64}" -ge 64 ] || fail space "$scratch has $have_inodes inodes left"
partial=$scratch/image.sif

# ---- fetching --------------------------------------------------------------------------------------------------------
find_runtime() {
  prepare "$scratch/prelude.log"
  [ "$prepared" -eq 0 ] || say note "the site's prelude ended with an error"
  command -v "$program" >/dev/null 2>&1 ||
    fail runtime "no $program on PATH after the prelude, which printed: $(tail -n 3 "$scratch/prelude.log" | grep . || echo nothing)"
  say runtime "$("$program" --version 2>/dev/null | head -n 1)"
}
# A folder for temporary files and a cache of its own: a poisoned or shared cache must not matter, and /tmp may be tiny.
private_folders() {
  APPTAINER_TMPDIR=$unpack APPTAINER_CACHEDIR=$scratch/cache
  SINGULARITY_TMPDIR=$unpack SINGULARITY_CACHEDIR=$scratch/cache
  export APPTAINER_TMPDIR APPTAINER_CACHEDIR SINGULARITY_TMPDIR SINGULARITY_CACHEDIR
}
take_login() {  # from standard input: two lines, or nothing
  user='' password=''
  if IFS= read -r user && IFS= read -r password; then
    APPTAINER_DOCKER_USERNAME=$user APPTAINER_DOCKER_PASSWORD=$password
    SINGULARITY_DOCKER_USERNAME=$user SINGULARITY_DOCKER_PASSWORD=$password
    export APPTAINER_DOCKER_USERNAME APPTAINER_DOCKER_PASSWORD SINGULARITY_DOCKER_USERNAME SINGULARITY_DOCKER_PASSWORD
  fi
}
pull_failed() {
  tail -c 4000 "$scratch/pull.log" 2>/dev/null | say64 log
  say pull_exit "$1"
  fail pull "$program pull ended with $1"
}
pull_here() {
  take_login
  private_folders
  began=$(date +%s)
  # exec: the process that is known and ended is `timeout` itself, which ends all that it started.
  eval "exec timeout -k 30 $pull_timeout $pull_command" </dev/null >"$scratch/pull.log" 2>&1 &
  child=$!
  wait "$child"
  code=$?
  child=
  # 137 is `timeout` at its deadline, or somebody else's kill before it: a login node that guards its memory.
  [ "$code" -ne 137 ] || [ $(($(date +%s) - began)) -ge "$pull_timeout" ] || code=-9
  [ "$code" -eq 0 ] || pull_failed "$code"
}
# The same pull in a job. This script keeps the lease and waits: if it dies, whoever comes next ends the job first.
pull_by_job() {
  (umask 077 && cat >"$scratch/login") || fail space "cannot write $scratch/login"
  {
    printf '#!/bin/sh\nscratch=%s unpack=%s\n' "$scratch" "$unpack"
    cat <<'JOB'
cd "$scratch" && mkdir -p "$unpack" || exit 1
{ IFS= read -r user && IFS= read -r password; } <login &&
  export APPTAINER_DOCKER_USERNAME="$user" APPTAINER_DOCKER_PASSWORD="$password" \
    SINGULARITY_DOCKER_USERNAME="$user" SINGULARITY_DOCKER_PASSWORD="$password"
rm -f login
export APPTAINER_TMPDIR="$unpack" APPTAINER_CACHEDIR="$scratch/cache"
export SINGULARITY_TMPDIR="$unpack" SINGULARITY_CACHEDIR="$scratch/cache"
JOB
    printf '%s\n' "$prelude"
    printf 'timeout -k 30 %s %s </dev/null >pull.log 2>&1\n' "$pull_timeout" "$pull_command"
    printf 'echo "$?" >ended.part && mv -f ended.part ended\n'
  } >"$scratch/pull.sh" || fail space "cannot write $scratch/pull.sh"
  pull_job=hpcbake-pull-$(printf %.12s "$hex").$run
  trap 'end_pull_job; release_lease' EXIT
  printf '%s\n' "$pull_job" | write_file "$scratch/pull-job" 0600 || exit 9
  submitted=$(eval "$sbatch_command --job-name=\"\$pull_job\" --chdir=\"\$scratch\" --output=\"\$scratch/job.log\" \"\$scratch/pull.sh\"" \
    </dev/null 2>"$scratch/sbatch.err")
  code=$?
  if [ "$code" -ne 0 ]; then
    # Slurm may have taken the job and lost the answer: it is looked for by its name, never submitted twice.
    sleep "$poll_interval"
    submitted=$(my_pulls) || fail slurm-down "sbatch ended with $code: $(tail -n 2 "$scratch/sbatch.err")"
    [ -n "$submitted" ] || fail slurm-refused "sbatch ended with $code: $(tail -n 2 "$scratch/sbatch.err")"
  fi
  job=${submitted%%;*}
  say note "pulled by job $job"
  deadline=$(($(date +%s) + pull_timeout)) gone_since=''
  until [ -s "$scratch/ended" ]; do
    sleep "$poll_interval"
    ls "$scratch" >/dev/null 2>&1  # makes an NFS client look again
    now=$(date +%s) is_gone=no
    if queue=$(squeue -h -j "$job" -o '%T %r' 2>&1); then
      case $queue in '' | COMPL* | FAIL* | CANCEL* | TIMEOUT* | NODE_F* | OUT_OF* | PREEM* | BOOT_F*) is_gone=yes ;; esac
    else
      case $queue in *'Invalid job id'*) is_gone=yes ;; esac
    fi
    # Gone without a word, and its file had the time that a shared file system needs to show it.
    if [ "$is_gone" = no ]; then gone_since=''
    elif [ $((now - ${gone_since:=$now})) -gt 60 ] && [ ! -s "$scratch/ended" ]; then
      tail -n 5 "$scratch/job.log" >>"$scratch/pull.log" 2>/dev/null
      say note "job $job ended without a word: $queue"
      pull_failed -9
    fi
    [ "$now" -lt "$deadline" ] || { say note "job $job had not ended: $queue"; pull_failed 124; }
  done
  pull_job=''
  code=$(cat "$scratch/ended")
  [ "$code" -eq 0 ] || pull_failed "$code"
}
case $way in
  docker | oras) find_runtime; pull_here ;;
  job) find_runtime; pull_by_job ;;
  stream) cat >"$partial" || fail space "cannot write $partial: $(df -Pk "$scratch" | tail -n 1)" ;;
esac

# ---- success is an artefact that was looked at. The SIF header: magic, architecture, and every part inside the file ---
number() { od -An -t"$1" -j "$3" -N "$4" "$2" 2>/dev/null | tr -d ' \n'; }
if [ "$way" = stream ]; then cut=transfer; else cut=integrity; fi
[ "$(dd if="$partial" bs=1 skip=32 count=9 2>/dev/null)" = SIF_MAGIC ] || fail "$cut" "$partial is not a SIF"
size=$(size_of "$partial")
[ "$size" -ge 128 ] || fail "$cut" "the SIF is cut short ($size bytes)"
[ "$(dd if="$partial" bs=1 skip=45 count=2 2>/dev/null)" = "$arch_id" ] || fail architecture "the SIF is for another architecture"
offset=$(number u8 "$partial" 112 8)
length=$(number u8 "$partial" 120 8)
{ [ "$offset" -le "$size" ] && [ "$length" -le "$size" ] && [ $((offset + length)) -le "$size" ]; } 2>/dev/null ||
  fail "$cut" "the SIF is cut short ($size bytes)"

# content: build-host (equal to a SIF that was compared there), files (compared here), runtime (its word and label only).
compare_here() {
  PATH=$PATH:/usr/sbin:/sbin
  command -v unsquashfs >/dev/null 2>&1 || { say note "no unsquashfs there: the SIF's files were not compared with the image's"; return; }
  # The primary partition: descriptors of 585 bytes; type 0x4004, then offset and size, role 2 behind the name.
  table=$(number u8 "$partial" 96 8) at=0
  until [ "$(number d4 "$partial" $((table + at)) 4)" = 16388 ] && [ "$(number d4 "$partial" $((table + at + 205)) 4)" = 2 ]; do
    at=$((at + 585))
    [ "$at" -lt 28080 ] || fail integrity "the SIF has no primary partition"
  done
  offset=$(number u8 "$partial" $((table + at + 17)) 8)
  length=$(number u8 "$partial" $((table + at + 25)) 8)
  tail -c "+$((offset + 1))" "$partial" | head -c "$length" >"$unpack/content.squashfs"
  # Devices cannot be made by an ordinary user, which it complains of: the files that came out decide.
  unsquashfs -n -d "$unpack/content" "$unpack/content.squashfs" >"$scratch/unsquashfs.log" 2>&1
  rm -f "$unpack/content.squashfs"
  [ -d "$unpack/content" ] || fail integrity "the SIF cannot be unpacked: $(tail -n 1 "$scratch/unsquashfs.log")"
  found=$(
    cd "$unpack/content" || exit
    # What the runtime itself puts there is no content of the image.
    ours() { find . \( -path ./.singularity.d -o -path ./dev -o -path ./singularity -o -path ./environment -o -path ./.exec \
      -o -path ./.run -o -path ./.shell -o -path ./.test -o -path ./etc/hosts -o -path ./etc/resolv.conf \) -prune -o "$@"; }
    { ours -type f -print0 | sort -z | xargs -0 -r sha256sum -z; ours -type l -printf '%p -> %l\0' | sort -z; } |
      sha256sum | cut -c1-64
  )
  discard "$unpack/content"
  [ "$found" = "$expected_content" ] || fail content "the SIF's files are not the image's ($found, expected $expected_content)"
  content=files
}
if [ -n "$expected_sha256" ]; then content=build-host
else
  content=runtime
  case $("$program" inspect --labels "$partial" 2>/dev/null) in
    *"$hex"*) ;;
    *) fail integrity "the SIF does not say that it was made from sha256:$hex" ;;
  esac
  [ -z "$expected_content" ] || compare_here
fi
sync "$partial"
sha256=$(sha256_of "$partial")
[ ${#sha256} -eq 64 ] || fail integrity "cannot read $partial back"
[ -z "$expected_sha256" ] || [ "$sha256" = "$expected_sha256" ] ||
  fail "$cut" "sha256 $expected_sha256 expected, $sha256 received ($size bytes)"
if [ -n "$signed_by" ]; then
  [ "$way" != stream ] || find_runtime
  # --local: no key server is asked whom to trust. The exit code says that every signature holds, the list whose they are.
  signers=$("$program" verify --local "$partial" 2>"$scratch/verify.log") ||
    fail signature "the SIF is not signed as it must be: $(tail -n 1 "$scratch/verify.log")"
  case $signers in *"$signed_by"*) ;; *) fail signature "the SIF is signed, but not by $signed_by" ;; esac
fi

if [ -n "$sif_group" ]; then chgrp "$sif_group" "$partial" 2>/dev/null || fail permission "cannot give the SIF to group $sif_group"; fi
chmod "$sif_mode" "$partial" || fail permission "cannot set mode $sif_mode"
if [ "$state" = changed ]; then
  # The wrong bytes are kept as evidence; users of `current` have them until the very rename that brings the right ones.
  bad=$sif.bad-$(date +%Y%m%dT%H%M%S)
  { ln "$sif" "$bad" 2>/dev/null || cp "$sif" "$bad"; } && say note "$sif was not what was verified; kept as ${bad##*/}"
fi
mv -fT "$partial" "$sif" || fail permission "cannot move the SIF to $sif"
sync "$root/sif/$image" 2>/dev/null || sync
printf '%s\n' "$provenance" |
  sed "s/@SIF_SHA256@/$sha256/; s/@SIZE_BYTES@/$size/; s/@MTIME@/$(mtime_of "$sif")/; s/@CONTENT@/$content/; s/@WAY@/$way/" |
  write_file "$json" 0644 || exit 9
finish created
