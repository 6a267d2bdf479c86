#!/bin/sh
# What may be running from a SIF right now: as Slurm tells of every job that is queued or runs, whoever's it is, and as
# this login node tells of its processes. No answer is a doubt, and a doubt is said. Values: prelude scheduler
# shellcheck disable=SC1091,SC2034,SC2154

# find_uses: fills $uses with all that jobs and processes say: commands, names, comments, folders, and the scripts that
# can be read here. Where there is no Slurm, processes and our own jobs are all there is. A script that another user
# keeps private cannot be read: its job tells its command alone.
find_uses() {
  doubt=''
  prepare /dev/null
  if [ "$scheduler" = local ]; then queue=$(queue_lines)
  else
    queue=$(timeout 60 squeue -h -t all -o '%i|%T|%u|%j|%k|%Z|%o' 2>&1) || {
      doubt="squeue does not answer: $(printf '%s' "$queue" | tail -n 1)"
      return 0
    }
  fi
  # What is over uses nothing. A state that nobody here knows is not over.
  queue=$(printf '%s\n' "$queue" | awk -F'|' '
    $2 !~ /^(BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|REVOKED|TIMEOUT)$/')
  commands=$(printf '%s\n' "$queue" | sed 's/.*|//' | grep '^/' | sort -u)
  scripts=$(printf '%s\n' "$commands" | while IFS= read -r command; do
    # A path with a blank in it, or a path and what it is given.
    for file in "$command" "${command%% *}"; do
      if [ -f "$file" ] && [ -r "$file" ]; then head -c 262144 "$file" 2>/dev/null; break; fi
    done
    echo
  done | tr -d '\000')
  mine=$(printf '%s\n' "$queue" | awk -F'|' -v me="$(id -un)" '$3 == me {print $1}' | head -n 200 | while read -r job; do
    # Slurm's own copy is what runs, whatever became of the file.
    timeout 20 scontrol write batch_script "${job%%[_+]*}" - 2>/dev/null | head -c 262144
  done | tr -d '\000')
  # Processes here name the store by its path; words alone may be anybody's.
  real_root=$(readlink -f "$root")
  processes=$(grep -aslF -e "$root/" -e "$real_root/" /proc/[0-9]*/cmdline 2>/dev/null | while read -r file; do
    tr '\000\n' '  ' <"$file" 2>/dev/null
    echo
  done
    find /proc/[0-9]*/fd -lname "$real_root/*" -printf '%l\n' 2>/dev/null)
  uses=$(printf '%s\n' "$queue" "$scripts" "$mine" "$processes")
}
# is_used IMAGE HEX: something names this release, or the image without saying which release. The reason is in $use.
is_used() {
  if printf '%s\n' "$uses" | grep -q "$2"; then use="a job or process names it"; return 0; fi
  rest=$(printf '%s\n' "$uses" | sed "s,/sif/$1/[0-9a-f]\\{64\\}\\.[a-z]*,,g")
  variable=$(printf '%s' "$1" | tr '[:lower:]' '[:upper:]' | tr -cs '[:alnum:]' '_' | sed 's/^_//; s/_$//')_SIF
  names=current
  for link in "$root/$1"/*; do [ ! -L "$link" ] || names="$names|${link##*/}"; done
  if printf '%s\n' "$rest" |
    grep -qE "/sif/$1/|/$1/($names)([^A-Za-z0-9_.-]|\$)|hpcbake:[^:]*:[^:]*:$1:|[^A-Za-z0-9_]$variable([^A-Za-z0-9_]|\$)"; then
    use="a job or process uses $1 without saying which release"
    return 0
  fi
  # Not every `module load` begins a line, and its short form is ml.
  if printf '%s\n' "$rest" | grep -E '(^|[^A-Za-z0-9_])(module|ml)[[:space:]]' |
    grep -qE "[[:space:]]$1(/|[[:space:]]|[;&|\"')]|\$)"; then
    use="a job loads the module $1"
    return 0
  fi
  return 1
}
