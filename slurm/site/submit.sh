#!/bin/sh
# Submits one smoke job, exactly once: what an earlier run submitted or finished is taken up, never doubled.
# Values: image hex test key job_name job_script retry sbatch_grace prelude
# shellcheck disable=SC2154,SC1091
prepare /dev/null
command -v sbatch >/dev/null 2>&1 || fail runtime "no sbatch on this login node"
folder=$own/jobs/$image/$hex/$test-$key
make_folder "$folder"
take_lease "smoke-$image-$test-$key"
number=$(find "$folder" -mindepth 1 -maxdepth 1 -name 'attempt-*' 2>/dev/null | wc -l)
attempt=$folder/attempt-$number
# A new attempt: the first; one asked for after a failure; one after a job that ended without a word on the image.
is_lost() {
  [ -s "$1/job" ] && [ $(($(date +%s) - $(mtime_of "$1/job"))) -gt 30 ] || return 1
  listing=$(my_jobs) && is_over "$(cat "$1/job")" "$listing"
}
again=no
if [ "$number" -eq 0 ]; then again=yes
elif [ -s "$attempt/result.json" ]; then
  case $(sed -n 's/.*"why": "\([^"]*\)".*/\1/p' "$attempt/result.json" | head -n 1) in
    ok) ;;
    '' | terminated | sif-changed) again=yes ;;
    *) [ "$retry" != failed ] || again=yes ;;
  esac
elif is_lost "$attempt"; then again=yes
fi
if [ "$again" = yes ]; then
  number=$((number + 1))
  attempt=$folder/attempt-$number
  make_folder "$attempt"
fi
say attempt "$attempt"
finished() {
  if [ -s "$attempt/result.json" ]; then say state finished; say job "$(cat "$attempt/job" 2>/dev/null)"; exit 0; fi
}
finished
[ ! -s "$attempt/job" ] || { say state submitted; say job "$(cat "$attempt/job")"; exit 0; }

adopt() {
  printf '%s\n' "$1" | write_file "$attempt/job" 0644 || exit 9
  say state "$2"; say job "$1"
  exit 0
}
# adopt_if_there NAME: Slurm may still be chewing on it: look, wait, look again. Only an answer says that it is not there.
adopt_if_there() {
  for pause in 0 "$sbatch_grace"; do
    sleep "$pause"
    found=$(squeue -h -t all -n "$1" -o %i 2>"$attempt/squeue.err") ||
      fail slurm-down "squeue does not answer: $(tail -n 1 "$attempt/squeue.err")"
    [ -z "$found" ] || adopt "$(printf '%s\n' "$found" | head -n 1)" adopted
  done
}
# An earlier submission whose answer was lost.
if [ -s "$attempt/name" ]; then
  adopt_if_there "$(cat "$attempt/name")"
  finished
fi
# The run makes the name unique: another store on this cluster may hold the same image and test.
job_name=$job_name.$number.$run
printf "%s\n" "$job_name" | write_file "$attempt/name" 0644 || exit 9
printf '%s\n' "$job_script" | sed "s|@ATTEMPT@|$attempt|g; s|@NAME@|$job_name|g" |
  write_file "$attempt/job.sh" 0755 || exit 9
# A user's own defaults would win over what the job's script says.
unset SBATCH_ARRAY_INX SBATCH_COMMENT SBATCH_ERROR SBATCH_JOB_NAME SBATCH_OUTPUT SBATCH_REQUEUE SBATCH_TIMELIMIT SBATCH_WAIT
for option in ACCOUNT CONSTRAINT PARTITION QOS RESERVATION; do
  case $job_script in *"#SBATCH --$(printf %s "$option" | tr '[:upper:]' '[:lower:]')="*) unset "SBATCH_$option" ;; esac
done
answer=$(cd "$attempt" && sbatch --parsable "$attempt/job.sh" 2>"$attempt/sbatch.err")
code=$?
job=${answer%%;*}
case $job in
  '' | *[!0-9]*) ;;
  *) adopt "$job" submitted ;;
esac
adopt_if_there "$job_name"
refusal=$(tail -n 2 "$attempt/sbatch.err")
case $refusal in
  '' | *'timed out'* | *'Unable to contact'* | *'not responding'* | *'Zero Bytes'* | *[Mm]unge* | *authentication* | *emporarily*)
    # The job may still come: the attempt keeps its name, by which the next run looks for it.
    fail slurm-down "sbatch ended with $code: $refusal" ;;
esac
rm -rf "$attempt"  # Slurm answers, has no such job, and said no
fail slurm-refused "sbatch ended with $code: $refusal"
