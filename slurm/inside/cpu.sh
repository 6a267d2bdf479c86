#!/bin/sh
# Runs in the container, with nothing but its shell: what it is, and whether its loader finds every library of its
# programs. Arguments: the commands that users see. What the image runs by itself is in the runscript that the runtime
# made of ENTRYPOINT and CMD.
say() { printf '%s %s\n' "$1" "$2"; }
loader=
for file in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 /lib/ld-musl-*.so.1; do
  if [ -x "$file" ]; then loader=$file; break; fi
done
say arch "$(uname -m 2>/dev/null)"
# shellcheck disable=SC1091
say os "$(. /etc/os-release 2>/dev/null && printf %s "${PRETTY_NAME:-${ID:-}}")"
case $loader in
'') libc='none' ;;
*musl*) libc=musl ;;
*) libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || "$loader" --version 2>/dev/null | { read -r line && printf %s "$line"; }) ;;
esac
say libc "$libc"

# interpreter_of LINE: the program of a script's first line, also behind env.
interpreter_of() {
  # shellcheck disable=SC2086  # words of the line
  set -- ${1#??}
  if [ "${1##*/}" = env ]; then
    shift
    if [ "${1:-}" = -S ]; then shift; fi
  fi
  printf %s "${1:-}"
}
# look_at WORD COMMAND: WORD is what to say of a command that is not there.
look_at() {
  found=$(command -v "$2" 2>/dev/null)
  case $found in /*) ;; *) say "$1" "$2"; return ;; esac
  first=
  IFS= read -r first <"$found" 2>/dev/null
  case $first in '#!'*) found=$(command -v "$(interpreter_of "$first")" 2>/dev/null) ;; esac
  say checked "$2"
  if [ -z "$loader" ] || [ -z "$found" ]; then return; fi
  "$loader" --list "$found" 2>&1 | while IFS= read -r line; do
    case $line in
    *'not found'* | *'No such file'* | *'cannot open shared object'* | *'Error relocating'*) say missing "$2: $line" ;;
    esac
  done
}
for command; do look_at no-command "$command"; done
# first_word NAME: the first word of a list of the runscript, such as OCI_CMD='"/bin/sh" "-c" "run"'.
first_word() {
  while IFS= read -r line; do
    case $line in "$1='"*)
      line=${line#*\'}
      line=${line#\"}
      printf %s "${line%%[\"\' ]*}"
      return ;;
    esac
  done 2>/dev/null </.singularity.d/runscript
}
own=$(first_word OCI_ENTRYPOINT)
own=${own:-$(first_word OCI_CMD)}
if [ -n "$own" ]; then look_at own-command-missing "$own"; fi
say looked yes
