#!/bin/sh
# Sends pieces of files that anybody may read: what a reader of ELF files asked for, no more.
# wanted: lines of `offset length path`
# shellcheck disable=SC2154
printf '%s\n' "$wanted" | while read -r offset length path; do
  { tail -c "+$((offset + 1))" -- "$path" | head -c "$length"; } 2>/dev/null | say64 piece
done
