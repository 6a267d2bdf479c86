#!/bin/sh
# Runs in the container, with nothing but its shell: reads and writes what the site binds.
# Arguments: the job's name, then `mode:path` of each bind; mode is ro, rw or - (the site says nothing of writing).
name=$1
shift
worst=0
for bind; do
  mode=${bind%%:*} path=${bind#*:}
  if [ -d "$path" ]; then
    # A folder that cannot be listed shows as the pattern itself; an empty one, too, and can be entered.
    if ! (cd "$path") 2>/dev/null || [ ! -r "$path" ]; then echo "$path cannot be read"; worst=21; continue; fi
    probe=$path/.hpcbake-io.$name
    can_write() { (: >"$probe") 2>/dev/null; }
  else
    if [ ! -r "$path" ]; then echo "$path cannot be read"; worst=21; continue; fi
    can_write() { [ -w "$path" ]; }
  fi
  case $mode in
  rw) can_write || { echo "$path cannot be written, and the site says rw"; worst=22; continue; } ;;
  ro) ! can_write || { echo "$path can be written, and the site says ro"; worst=23; continue; } ;;
  esac
  echo "$path is as the site says ($mode)"
done
[ "$worst" -eq 0 ] || exit "$worst"
IFS= read -r line </hpcbake-io/io.outside
[ "$line" = "written outside: $name" ] || { echo "what was written outside reads: $line"; exit 24; }
{ printf 'written inside: %s\n' "$name"; printf '\001\176\200\377 %s\n' bytes; } >/hpcbake-io/io.inside
