#!/bin/sh
# Removes what runs that died have left: unfinished pulls and leases of dead holders. What a live run holds stays.
# Values: tmpdir
# shellcheck disable=SC1091,SC2034,SC2154
lock_wait=0
swept=0
for folder in "$own"/incoming/*; do
  [ -d "$folder" ] || continue
  # With the lease of its digest in hand, nobody is at work there.
  if (take_lease "sif-${folder##*/}" && discard "$(unpack_folder "${folder##*/}")" && discard "$folder") >/dev/null; then swept=$((swept + 1)); fi
done
for held in "$own"/leases/*; do
  [ -d "$held" ] || continue
  if (take_lease "${held##*/}") >/dev/null; then swept=$((swept + 1)); fi
done
say swept "$swept"
