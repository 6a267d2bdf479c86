#!/bin/sh
# Pulls one digest into the store: lease, room, pull to a partial name, verify, fsync, rename.
# Values: tmpdir image hex reference arch_id need_kb pull_command program prelude pull_timeout sif_mode sif_group provenance
# shellcheck disable=SC2154,SC1091
sif=$root/sif/$image/$hex.sif
json=$root/sif/$image/$hex.json
make_folder "$root/sif/$image"
look() {
  state=$(sif_state "$sif" "$json")
  # A job that saw other bytes knows more than size and time tell.
  if [ "$state" = present ] && grep -qs '"why": "sif-changed"' "$own/jobs/$image/$hex"/*/attempt-*/result.json; then
    [ "$(sha256_of "$sif")" = "$(recorded "$json" sif_sha256)" ] || state=changed
  fi
}
look
if [ "$state" != present ]; then
  take_lease "sif-$image-$hex"
  look
fi
finish() {
  say state "$1"; say path "$sif"; say sha256 "$(recorded "$json" sif_sha256)"; say size "$(size_of "$sif")"
  exit 0
}
[ "$state" != present ] || finish present
# What a dead run of this digest left is ours to sweep: we hold its lease.
scratch=$own/incoming/$image-$hex
unpack=$(unpack_folder "$image-$hex")
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

prepare "$scratch/prelude.log"
[ "$prepared" -eq 0 ] || say note "the site's prelude ended with an error"
command -v "$program" >/dev/null 2>&1 ||
  fail runtime "no $program on PATH after the prelude, which printed: $(tail -n 3 "$scratch/prelude.log" | grep . || echo nothing)"
say runtime "$("$program" --version 2>/dev/null | head -n 1)"

# A folder for temporary files and a cache of its own: a poisoned or shared cache must not matter, and /tmp may be tiny.
APPTAINER_TMPDIR=$unpack APPTAINER_CACHEDIR=$scratch/cache
SINGULARITY_TMPDIR=$unpack SINGULARITY_CACHEDIR=$scratch/cache
export APPTAINER_TMPDIR APPTAINER_CACHEDIR SINGULARITY_TMPDIR SINGULARITY_CACHEDIR
user='' password=''
if IFS= read -r user && IFS= read -r password; then
  APPTAINER_DOCKER_USERNAME=$user APPTAINER_DOCKER_PASSWORD=$password
  SINGULARITY_DOCKER_USERNAME=$user SINGULARITY_DOCKER_PASSWORD=$password
  export APPTAINER_DOCKER_USERNAME APPTAINER_DOCKER_PASSWORD SINGULARITY_DOCKER_USERNAME SINGULARITY_DOCKER_PASSWORD
fi
partial=$scratch/image.sif
began=$(date +%s)
# exec: the process that is known and ended is `timeout` itself, which ends all that it started.
eval "exec timeout -k 30 $pull_timeout $pull_command" </dev/null >"$scratch/pull.log" 2>&1 &
child=$!
wait "$child"
code=$?
child=
# 137 is `timeout` at its deadline, or somebody else's kill before it: a login node that guards its memory.
[ "$code" -ne 137 ] || [ $(($(date +%s) - began)) -ge "$pull_timeout" ] || code=-9
if [ "$code" -ne 0 ]; then
  tail -c 4000 "$scratch/pull.log" | say64 log
  say pull_exit "$code"
  fail pull "$program pull ended with $code"
fi

# Success is an artefact that was looked at. The SIF header: magic, architecture, and every part inside the file.
number() { od -An -tu8 -j "$2" -N 8 "$1" 2>/dev/null | tr -d ' \n'; }
[ "$(dd if="$partial" bs=1 skip=32 count=9 2>/dev/null)" = SIF_MAGIC ] || fail integrity "$partial is not a SIF"
size=$(size_of "$partial")
[ "$size" -ge 128 ] || fail integrity "the SIF is cut short ($size bytes)"
[ "$(dd if="$partial" bs=1 skip=45 count=2 2>/dev/null)" = "$arch_id" ] || fail architecture "the SIF is for another architecture"
offset=$(number "$partial" 112)
length=$(number "$partial" 120)
{ [ "$offset" -le "$size" ] && [ "$length" -le "$size" ] && [ $((offset + length)) -le "$size" ]; } 2>/dev/null ||
  fail integrity "the SIF is cut short ($size bytes)"
case $("$program" inspect --labels "$partial" 2>/dev/null) in
  *"$hex"*) ;;
  *) fail integrity "the SIF does not say that it was made from sha256:$hex" ;;
esac
sync "$partial"
sha256=$(sha256_of "$partial")
[ ${#sha256} -eq 64 ] || fail integrity "cannot read $partial back"

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
  sed "s/@SIF_SHA256@/$sha256/; s/@SIZE_BYTES@/$size/; s/@MTIME@/$(mtime_of "$sif")/" | write_file "$json" 0644 || exit 9
finish created
