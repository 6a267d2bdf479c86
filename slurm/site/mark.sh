#!/bin/sh
# Sets or removes a mark of an image's: a pin of one release, or the hold on the image. A mark that is as wanted already
# stays untouched, and nothing is noted. Values: act (pinned, unpinned, released) image hex tag path content facts
# shellcheck disable=SC1091,SC2154
take_lease promote
check_ledger
settle_ledger
current=$(readlink "$root/$image/current" 2>/dev/null)
mark=$own/$path
if [ -n "$content" ]; then
  [ ! -s "$mark" ] || { say changed no; exit 0; }
  [ -f "$root/sif/$image/$hex.sif" ] || fail gone "$root/sif/$image/$hex.sif is not there"
  make_folder "${mark%/*}"
  printf '%s\n' "$content" | write_file "$mark" 0644 || exit 9
else
  [ -e "$mark" ] || { say changed no; exit 0; }
  rm -f "$mark" || fail permission "cannot remove $mark"
  sync_folder "${mark%/*}"
fi
add_to_ledger "$act" "$image" "$hex" "$tag" "$current" "$facts" || fail space "cannot write $book"
say changed yes
