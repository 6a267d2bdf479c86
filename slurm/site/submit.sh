#!/bin/sh
# Submits one smoke job, exactly once: what an earlier run submitted or finished is taken up, never doubled.
# Values: image hex test key job_name job_script retry sbatch_grace prelude
# shellcheck disable=SC2154,SC1091
prepare /dev/null
command -v sbatch >/dev/null 2>&1 || fail runtime "no sbatch on this login node"
folder=$own/jobs/$image/$hex/$test-$key
make_folder "$folder"
chmod 0755 "$folder"
take_lease "smoke-$image-$test-$key"
number=$(find "$folder" -mindepth 1 -maxdepth 1 -name 'attempt-*' 2>/dev/null | wc -l)
attempt=$folder/attempt-$number
# A new attempt: the first; one asked for after a failure; one after a job that ended without leaving a result.
is_lost() {
  [ -s "$1/job" ] && [ ! -s "$1/result.json" ] && [ $(($(date +%s) - $(mtime_of "$1/job"))) -gt 30 ] || return 1
  squeue -h >/dev/null 2>&1 || return 1  # a scheduler that does not answer proves nothing
  # An id that Slurm has forgotten gives an error or an empty answer, by version.
  state=$(squeue -h -t all -j "$(cat "$1/job")" -o %T 2>/dev/null | head -n 1)
  case $state in
    '' | BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | REVOKED | TIMEOUT) ;;
    *) return 1 ;;
  esac
}
if [ "$number" -eq 0 ]; then again=yes
elif [ -s "$attempt/result.json" ]; then
  again=no
  if [ "$retry" = failed ] && ! grep -q '"exit_code": 0,' "$attempt/result.json"; then again=yes; fi
elif is_lost "$attempt"; then again=yes
else again=no; fi
if [ "$again" = yes ]; then
  number=$((number + 1))
  attempt=$folder/attempt-$number
  make_folder "$attempt"
fi
say attempt "$attempt"
[ ! -s "$attempt/result.json" ] || { say state finished; say job "$(cat "$attempt/job" 2>/dev/null)"; exit 0; }
[ ! -s "$attempt/job" ] || { say state submitted; say job "$(cat "$attempt/job")"; exit 0; }

find_job() { squeue -h -t all -n "$1" -o %i 2>/dev/null | head -n 1; }
adopt() {
  printf '%s\n' "$1" | write_file "$attempt/job" 0644
  say state "$2"; say job "$1"
  exit 0
}
if [ -s "$attempt/name" ]; then
  # An earlier submission whose answer was lost. Slurm may still be chewing on it: look, wait, look again.
  name=$(cat "$attempt/name")
  squeue -h -n "$name" >/dev/null 2>&1 || fail slurm-down "squeue does not answer: $(squeue -h -n "$name" 2>&1 | tail -n 1)"
  found=$(find_job "$name")
  [ -n "$found" ] || { sleep "$sbatch_grace"; found=$(find_job "$name"); }
  [ -z "$found" ] || adopt "$found" adopted
  [ ! -s "$attempt/result.json" ] || { say state finished; exit 0; }
fi
# The run makes the name unique: another store on this cluster may hold the same image and test.
job_name=$job_name.$number.$run
printf "%s\n" "$job_name" | write_file "$attempt/name" 0644
printf '%s\n' "$job_script" | sed "s|@ATTEMPT@|$attempt|g; s|@NAME@|$job_name|g" | write_file "$attempt/job.sh" 0755
answer=$(cd "$attempt" && sbatch --parsable "$attempt/job.sh" 2>"$attempt/sbatch.err")
code=$?
job=${answer%%;*}
case $job in
  '' | *[!0-9]*)
    found=$(find_job "$job_name")
    [ -n "$found" ] || { sleep "$sbatch_grace"; found=$(find_job "$job_name"); }
    [ -z "$found" ] || adopt "$found" adopted
    squeue -h -n "$job_name" >/dev/null 2>&1 || fail slurm-down "$(tail -n 1 "$attempt/sbatch.err")"
    refusal=$(tail -n 2 "$attempt/sbatch.err")
    rm -rf "$attempt"  # Slurm answers, and has no such job: it refused
    fail slurm-refused "sbatch ended with $code: $refusal"
    ;;
esac
adopt "$job" submitted
