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
# What had to be moved out of the way because another user owns it: that user may be the one who sweeps now.
rm -rf "$own"/incoming/.dead-* 2>/dev/null
for held in "$own"/leases/*; do
  [ -d "$held" ] || continue
  name=${held##*/}
  if (
    take_lease "$name"
    # Who died in the middle of a promotion left a line in the ledger without its second.
    [ "$name" != promote ] || { check_ledger && settle_ledger; }
  ) >/dev/null; then swept=$((swept + 1)); fi
done
say swept "$swept"
