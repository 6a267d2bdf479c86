#!/bin/sh
#SBATCH --job-name=@NAME@
#SBATCH --output=@ATTEMPT@/out
#SBATCH --error=@ATTEMPT@/err
#SBATCH --time=00:05:00
#SBATCH --ntasks=1
#SBATCH --comment=hpcbake:01RUN:plain:hpc-app:cpu
#SBATCH --partition=debug
#SBATCH --no-requeue
set -u
attempt=@ATTEMPT@
name=@NAME@
sif=/scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif
started=$(date +%s) began='' why=died
uptime_s() { read -r seconds _ </proc/uptime && printf %s "$seconds"; }
size_of() { wc -c 2>/dev/null <"$1" || echo 0; }
figures() {
  LC_ALL=C sed -n 's/^hpcbake-figure \([A-Za-z0-9_.-]\{1,40\}\)=\(.*\)/\1=\2/p' "$attempt/out" | tail -n 40 |
    LC_ALL=C tr -cd '\012\040-\176' | sed 's/["\\]/\\&/g; s/=/": "/; s/^/"/; s/$/"/' | paste -s -d , -
}
# The verdict is this file, complete or absent: written under another name, then renamed.
write_result() {
  kill "$sampler" 2>/dev/null
  memory=$(cat "$attempt/.memory" 2>/dev/null)
  {
    printf '{"kind": "hpcbake.smoke-result", "version": 1, "name": "%s", "test": "%s", "exit_code": %s, ' "$name" \
      cpu "$1"
    printf '"why": "%s", "digest": "%s", "sif_sha256": "%s", ' "$why" sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98
    printf '"job_id": "%s", "node": "%s", ' "${SLURM_JOB_ID:-${HPCBAKE_JOB_ID:-none}}" "$(uname -n)"
    printf '"started": %s, "ended": %s, "elapsed_s": %s, "max_rss_kb": %s, ' "$started" "$(date +%s)" \
      "$(awk -v from="${began:-$(uptime_s)}" -v to="$(uptime_s)" 'BEGIN {printf "%.2f", to - from}')" \
      "${memory:-null}"
    printf '"out_bytes": %s, "err_bytes": %s, "figures": { %s }}\n' \
      "$(size_of "$attempt/out")" "$(size_of "$attempt/err")" "$(figures)"
  } >"$attempt/.result" && sync "$attempt/.result" && mv -f "$attempt/.result" "$attempt/result.json"
}
# The memory of this job's processes together, looked at twice a second; the most of it is kept.
sample_memory() {
  page_kb=$(($(getconf PAGESIZE 2>/dev/null || echo 4096) / 1024)) most=0
  while now=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v top="$1" -v kb="$page_kb" '
    {pid = $1; sub(/.*\) /, ""); parent[pid] = $2; pages[pid] = $22}
    END {for (pid in pages) {
      for (p = pid; p > 1 && p != top; p = parent[p]) if (++depth[pid] > 99) break
      if (p == top) sum += pages[pid]
    } print sum * kb}') && [ -d "/proc/$1" ]; do
    if [ "$now" -gt "$most" ]; then most=$now; echo "$most" >"$attempt/.mem" && mv "$attempt/.mem" "$attempt/.memory"; fi
    sleep 0.5
  done
}
sample_memory $$ >/dev/null 2>&1 </dev/null &
sampler=$!
trap 'write_result $?' EXIT
# Slurm ends a job with TERM when it is cancelled and when its time is up: only the clock tells which.
ended_from_outside() { [ $(($(date +%s) - started)) -lt 285 ] && why=terminated || why=time-limit; }
trap 'ended_from_outside; exit 143' TERM
trap 'why=terminated; exit 130' INT
[ "$(sha256sum "$sif" | cut -c1-64)" = fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98 ] || { why=sif-changed; exit 43; }
began=$(uptime_s)
# Proves: the container starts on a compute node, for the right architecture, on a processor of the level that the
# site's profile promises; the image's loader finds every library of what the image runs by itself and of the commands
# that users see. Prints its system and its C library.
flags=" $(sed -n 's/^flags[[:space:]]*: //p' /proc/cpuinfo | head -n 1) "
has() { for flag; do case $flags in *" $flag "*) ;; *) return 1 ;; esac; done; }
level=1
if has cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3; then level=2; fi
if [ "$level" -eq 2 ] && has abm avx avx2 bmi1 bmi2 f16c fma movbe xsave; then level=3; fi
if [ "$level" -eq 3 ] && has avx512bw avx512cd avx512dq avx512f avx512vl; then level=4; fi
echo "hpcbake-figure cpu_level=x86-64-v$level"
apptainer exec /scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif /bin/sh -s -- >"$attempt/container.out" <<'END-OF-SCRIPT'
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
END-OF-SCRIPT
code=$?
cat "$attempt/container.out"
[ "$code" -eq 0 ] || { why=container-did-not-run; exit "$code"; }
said() { sed -n "s/^$1 //p" "$attempt/container.out"; }
[ "$(said looked)" = yes ] || { why=container-did-not-run; exit 1; }
# An image without uname has started all the same: then the node's own word stands.
found=$(said arch)
[ "${found:-$(uname -m)}" = x86_64 ] || { why=wrong-architecture; exit 1; }
echo "hpcbake-figure os=$(said os)"
echo "hpcbake-figure libc=$(said libc)"
echo "hpcbake-figure looked_at=$(said checked | paste -s -d ' ' -)"
[ -z "$(said no-command)" ] || { why=command-missing; exit 1; }
[ -z "$(said missing)" ] || { why=library-not-found; exit 1; }
why=ok
