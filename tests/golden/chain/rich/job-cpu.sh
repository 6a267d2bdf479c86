#!/bin/sh
#SBATCH --job-name=@NAME@
#SBATCH --output=@ATTEMPT@/out
#SBATCH --error=@ATTEMPT@/err
#SBATCH --time=1-02:00:00
#SBATCH --ntasks=1
#SBATCH --comment=hpcbake:01RUN:rich:hpc-app:cpu
#SBATCH --partition=gpu
#SBATCH --account=proj
#SBATCH --qos=short
#SBATCH --constraint=a100&ib
#SBATCH --reservation=tests
#SBATCH --no-requeue
set -u
attempt=@ATTEMPT@
sif=/gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif
started=$(date +%s)
why=died
# The verdict is this file, complete or absent: written under another name, then renamed.
write_result() {
  printf '{"kind": "hpcbake.smoke-result", "version": 1, "name": "@NAME@", "test": "%s", "exit_code": %s, ' \
    cpu "$1" >"$attempt/.result"
  printf '"why": "%s", "digest": "%s", "sif_sha256": "%s", "job_id": "%s", "node": "%s", "started": %s, "ended": %s}\n' \
    "$why" sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98 "${SLURM_JOB_ID:-none}" "$(uname -n)" "$started" "$(date +%s)" >>"$attempt/.result"
  sync "$attempt/.result"
  mv -f "$attempt/.result" "$attempt/result.json"
}
trap 'write_result $?' EXIT
# Slurm ends a job with TERM when it is cancelled and when its time is up: only the clock tells which.
ended_from_outside() {
  why=terminated
  [ $(($(date +%s) - started)) -lt 93585 ] || why=time-limit
}
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
# Proves: the container starts on a compute node, for the right architecture, with a working dynamic loader and shell.
apptainer exec --nv --bind /gpfs/proj --bind '/opt/my data:/data:ro' /gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif /bin/sh -c 'uname -m; cat /etc/os-release; getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1' >"$attempt/container.out"
code=$?
cat "$attempt/container.out"
[ "$code" -eq 0 ] || { why=container-did-not-run; exit "$code"; }
[ "$(head -n 1 "$attempt/container.out")" = x86_64 ] || { why=wrong-architecture; exit 1; }
echo "hpcbake-figure os=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$attempt/container.out")"
echo "hpcbake-figure libc=$(tail -n 1 "$attempt/container.out")"
why=ok
