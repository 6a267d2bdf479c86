#!/bin/sh
#SBATCH --job-name=@NAME@
#SBATCH --output=@ATTEMPT@/out
#SBATCH --error=@ATTEMPT@/err
#SBATCH --time=1-02:00:00
#SBATCH --ntasks=1
#SBATCH --comment=hpcbake:01RUN:rich:hpc-app:gpu
#SBATCH --partition=gpu-long
#SBATCH --account=proj
#SBATCH --qos=short
#SBATCH --constraint=a100&ib
#SBATCH --gres=gpu:a100:2
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
      gpu "$1"
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
# Proves: the node's GPU driver is visible in the container, the libraries that the runtime injects load with the
# image's own C library, and the driver initialises. Skipped, with the reason, on a node without a GPU.
set -- /dev/nvidia[0-9]*
[ -e "$1" ] || { echo "no $1 on $(uname -n)"; why=skipped-no-gpu-on-the-node; exit 0; }
apptainer exec --nv --bind /gpfs/proj:/gpfs/proj:rw --bind '/opt/my data:/data:ro' /gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif /bin/sh -s -- nv >"$attempt/container.out" 2>&1 <<'END-OF-SCRIPT'
#!/bin/sh
# Runs in the container: do the injected libraries load, is the driver there, does it initialise. Argument: the mode.
mode=$1
loader=
for file in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 /lib/ld-musl-*.so.1; do
  if [ -x "$file" ]; then loader=$file; break; fi
done
bad=0
for library in /.singularity.d/libs/*.so*; do
  if [ ! -e "$library" ] || [ -z "$loader" ]; then continue; fi
  said=$("$loader" --list "$library" 2>&1) || true
  case $said in
  *'not found'* | *'Error relocating'* | *'Error loading'*)
    printf '%s does not load:\n%s\n' "$library" "$said"
    bad=1 ;;
  esac
done
[ "$bad" -eq 0 ] || exit 11
if [ "$mode" = rocm ]; then
  [ -e /dev/kfd ] || { echo 'no /dev/kfd in the container'; exit 12; }
else
  [ -e /proc/driver/nvidia/version ] && [ -e /dev/nvidiactl ] || { echo 'no NVIDIA driver in the container'; exit 12; }
fi
python=$(command -v python3)
if [ "$mode" != rocm ] && [ -n "$python" ]; then
  # cuInit is what every CUDA program calls first.
  "$python" -s -c 'import ctypes, sys
code = ctypes.CDLL("libcuda.so.1").cuInit(0)
print("hpcbake-figure cuInit=%d" % code)
sys.exit(0 if code == 0 else 1)' || exit 13
  exit 0
fi
for tool in nvidia-smi rocminfo rocm-smi; do
  if command -v "$tool" >/dev/null 2>&1; then
    "$tool" || exit 13
    echo "hpcbake-figure tried_with=$tool"
    exit 0
  fi
done
exit 14
END-OF-SCRIPT
code=$?
cat "$attempt/container.out"
case $code in
0) ;;
11) why=injected-library-does-not-load; exit 11 ;;
12) why=driver-not-visible; exit 12 ;;
13) why=driver-does-not-initialise; exit 13 ;;
14)
  ;;
*) why=container-did-not-run; exit "$code" ;;
esac
apptainer exec --nv --bind /gpfs/proj:/gpfs/proj:rw --bind '/opt/my data:/data:ro' /gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif hpc-app --gpu >"$attempt/command.out"
code=$?
cat "$attempt/command.out"
[ "$code" -eq 0 ] || { why=exit-code-"$code"; [ "$code" -ne 0 ] || code=1; exit "$code"; }
grep -qF -e 'it'"'"'s fine' "$attempt/command.out" || { why=output-differs; exit 1; }
why=ok
