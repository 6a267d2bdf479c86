#!/bin/sh
#SBATCH --job-name=@NAME@
#SBATCH --output=@ATTEMPT@/out
#SBATCH --error=@ATTEMPT@/err
#SBATCH --time=00:05:00
#SBATCH --ntasks=2
#SBATCH --comment=hpcbake:01RUN:plain:hpc-app:command
#SBATCH --partition=debug
#SBATCH --no-requeue
set -u
attempt=@ATTEMPT@
sif=/scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif
started=$(date +%s)
why=died
# The verdict is this file, complete or absent: written under another name, then renamed.
write_result() {
  printf '{"kind": "hpcbake.smoke-result", "version": 1, "name": "@NAME@", "test": "%s", "exit_code": %s, ' \
    command "$1" >"$attempt/.result"
  printf '"why": "%s", "digest": "%s", "sif_sha256": "%s", "job_id": "%s", "node": "%s", "started": %s, "ended": %s}\n' \
    "$why" sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98 "${SLURM_JOB_ID:-none}" "$(uname -n)" "$started" "$(date +%s)" >>"$attempt/.result"
  sync "$attempt/.result"
  mv -f "$attempt/.result" "$attempt/result.json"
}
trap 'write_result $?' EXIT
# Slurm ends a job with TERM when it is cancelled and when its time is up: only the clock tells which.
ended_from_outside() {
  why=terminated
  [ $(($(date +%s) - started)) -lt 285 ] || why=time-limit
}
trap 'ended_from_outside; exit 143' TERM
trap 'why=terminated; exit 130' INT
[ "$(sha256sum "$sif" | cut -c1-64)" = fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98 ] || { why=sif-changed; exit 43; }
# Proves: this command ends in the container with the exit code and the output that were asked for.
apptainer exec /scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif hpc-app --title 'it'"'"'s $HOME; `id`' '' >"$attempt/container.out"
code=$?
cat "$attempt/container.out"
[ "$code" -eq 3 ] || { why=exit-code-"$code"; [ "$code" -ne 0 ] || code=1; exit "$code"; }
grep -qF -e 'error: '"'"'none'"'"' of "them" $(x)' "$attempt/container.out" || { why=output-differs; exit 1; }
why=ok
exit 0
