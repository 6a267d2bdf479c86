#!/bin/sh
#SBATCH --job-name=@NAME@
#SBATCH --output=@ATTEMPT@/out
#SBATCH --error=@ATTEMPT@/err
#SBATCH --time=00:05:00
#SBATCH --ntasks=1
#SBATCH --comment=hpcbake:01RUN:plain:hpc-app:python
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
      python "$1"
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
# Proves: the image's Python starts on a compute node and imports each of these modules; the user's own folders, which
# the runtime mounts into the container, do not help.
apptainer exec /scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif python3 -s - json numpy.linalg >"$attempt/container.out" 2>&1 <<'END-OF-SCRIPT'
# ruff: noqa: BLE001, T201, UP031
"""Runs in the container: imports the modules that are named. Speaks every Python from 2.7 on."""

import importlib
import sys

print("hpcbake-figure python=%d.%d.%d" % tuple(sys.version_info[:3]))
missing = 0
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
    except BaseException as error:  # a module may even call sys.exit
        print("cannot import %s: %s: %s" % (name, type(error).__name__, error))
        missing += 1
    else:
        print("hpcbake-figure %s=%s" % (name, getattr(module, "__version__", "imported")))
print("%d modules cannot be imported" % missing if missing else "all modules imported")
sys.stdout.flush()
sys.exit(3 if missing else 0)
END-OF-SCRIPT
code=$?
cat "$attempt/container.out"
case $code in
0) grep -q '^all modules imported$' "$attempt/container.out" || { why=ended-before-the-last-import; exit 1; } ;;
3) why=$(sed -n 's/^cannot import \([A-Za-z0-9_.]*\):.*/cannot-import-\1/p' "$attempt/container.out" | head -n 1); exit 3 ;;
*) why=python-ended-with-"$code"; exit "$code" ;;
esac
why=ok
