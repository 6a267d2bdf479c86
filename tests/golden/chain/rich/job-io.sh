#!/bin/sh
#SBATCH --job-name=@NAME@
#SBATCH --output=@ATTEMPT@/out
#SBATCH --error=@ATTEMPT@/err
#SBATCH --time=1-02:00:00
#SBATCH --ntasks=1
#SBATCH --comment=hpcbake:01RUN:rich:hpc-app:io
#SBATCH --partition=gpu
#SBATCH --account=proj
#SBATCH --qos=short
#SBATCH --constraint=a100&ib
#SBATCH --gres=tmpdisk:1
#SBATCH --reservation=tests
#SBATCH --no-requeue
set -u
attempt=@ATTEMPT@
name=@NAME@
sif=/gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif
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
      io "$1"
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
ended_from_outside() { [ $(($(date +%s) - started)) -lt 93585 ] && why=terminated || why=time-limit; }
trap 'ended_from_outside; exit 143' TERM
trap 'why=terminated; exit 130' INT
# The site's own lines: they were not written for `set -u`.
set +u
if [ -f /etc/profile.d/modules.sh ]; then
  . /etc/profile.d/modules.sh
fi
module load apptainer
export OMP_NUM_THREADS=2
set +e -u
[ "$(sha256sum "$sif" | cut -c1-64)" = fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98 ] || { why=sif-changed; exit 43; }
began=$(uptime_s)
# Proves: each path that the site binds can be read in the container, can be written where the site says `rw` and not
# where it says `ro`; a file written in the container is there outside with the same bytes, and the other way round.
APPTAINER_BIND="${APPTAINER_BIND:+$APPTAINER_BIND,}$attempt:/hpcbake-io"
SINGULARITY_BIND=$APPTAINER_BIND
export APPTAINER_BIND SINGULARITY_BIND
printf 'written outside: %s\n' "$name" >"$attempt/io.outside"
apptainer exec --nv --bind /gpfs/proj:/gpfs/proj:rw --bind '/opt/my data:/data:ro' /gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif /bin/sh -s -- "$name" rw:/gpfs/proj ro:/data >"$attempt/container.out" 2>&1 <<'END-OF-SCRIPT'
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
END-OF-SCRIPT
code=$?
cat "$attempt/container.out"
rm -f -- /gpfs/proj/".hpcbake-io.$name"
rm -f -- '/opt/my data'/".hpcbake-io.$name"
case $code in
0) ;;
21) why=bind-not-readable; exit 21 ;;
22) why=bind-not-writable; exit 22 ;;
23) why=bind-writable-though-ro; exit 23 ;;
24) why=file-from-outside-differs; exit 24 ;;
*) why=container-did-not-run; exit "$code" ;;
esac
{ printf 'written inside: %s\n' "$name"; printf '\001\176\200\377 %s\n' bytes; } | cmp - "$attempt/io.inside" ||
  { why=file-from-inside-differs; exit 1; }
echo "hpcbake-figure binds=2"
why=ok
