#!/bin/sh
# Submits one smoke job, exactly once: what an earlier run submitted or finished is taken up, never doubled.
# Values: image hex test key job_name job_script retry sbatch_grace prelude scheduler time_limit detach
# again_after (an attempt that ended without a word on the image: make the one after it), fresh (no: submit nothing)
# shellcheck disable=SC2154,SC1091
prepare /dev/null
command -v sbatch >/dev/null 2>&1 || fail runtime "no sbatch on this login node"
folder=$own/jobs/$image/$hex/$test-$key
[ "${fresh-yes}" = yes ] || [ -d "$folder" ] || fail untested "smoke test '$test' has not run here"
make_folder "$folder"
take_lease "smoke-$image-$test-$key"
number=$(find "$folder" -mindepth 1 -maxdepth 1 -name 'attempt-*' 2>/dev/null | wc -l)
attempt=$folder/attempt-$number
# A result counts if this attempt's own job wrote it: one with another name was left by who knows whom.
has_result() { [ -s "$attempt/result.json" ] && grep -qF "\"name\": \"$(cat "$attempt/name" 2>/dev/null)\"" "$attempt/result.json"; }
# A new attempt: the first; one asked for after a failure; one after a job that ended without a word on the image.
is_lost() {
  [ -s "$1/job" ] && [ $(($(date +%s) - $(mtime_of "$1/job"))) -gt 30 ] || return 1
  listing=$(my_jobs) && is_over "$(cat "$1/job")" "$listing"
}
again=no
if [ "$number" -eq 0 ] || [ "$again_after" = "$attempt" ]; then again=yes
elif has_result; then
  case $(sed -n 's/.*"why": "\([^"]*\)".*/\1/p' "$attempt/result.json" | head -n 1) in
    ok) ;;
    '' | terminated | sif-changed) again=yes ;;
    *) [ "$retry" != failed ] || again=yes ;;
  esac
elif is_lost "$attempt"; then again=yes
fi
if [ "$again" = yes ]; then
  [ "${fresh-yes}" = yes ] || fail untested "smoke test '$test' has left no result here"
  number=$((number + 1))
  attempt=$folder/attempt-$number
  make_folder "$attempt"
fi
say attempt "$attempt"
# What a run leaves to itself is marked, until somebody has looked how it ended.
if [ "$detach" = yes ]; then : >"$attempt/detached"; else rm -f "$attempt/detached"; fi
# say_job STATE ID: and the name by which its result is known.
say_job() { say state "$1"; say job "$2"; say name "$(cat "$attempt/name" 2>/dev/null)"; exit 0; }
finished() { ! has_result || say_job finished "$(cat "$attempt/job" 2>/dev/null)"; }
finished
[ ! -s "$attempt/job" ] || say_job submitted "$(cat "$attempt/job")"

adopt() {
  printf '%s\n' "$1" | write_file "$attempt/job" 0644 || exit 9
  say_job "$2" "$1"
}
# adopt_if_there NAME GRACE: by its name or its comment, either of which a site's own rules may have changed; a job of another
# attempt is not it. Slurm may still be chewing on it: look, wait, look again. Only an answer says that it is not there.
adopt_if_there() {
  others=" $(cat "$folder"/attempt-*/job 2>/dev/null | tr '\n' ' ')"
  comment=$(sed -n 's/^#SBATCH --comment=//p' "$attempt/job.sh" 2>/dev/null | head -n 1)
  for pause in 0 $2; do
    sleep "$pause"
    listing=$(queue_lines 2>"$attempt/squeue.err") ||
      fail slurm-down "squeue does not answer: $(tail -n 1 "$attempt/squeue.err")"
    found=$(printf '%s\n' "$listing" | awk -F'|' -v name="$1" -v comment="$comment" -v others="$others" \
      '$1 ~ /^[0-9]+$/ && !index(others, " " $1 " ") && ($5 == name || (comment != "" && $6 == comment)) {print $1; exit}')
    [ -z "$found" ] || adopt "$found" adopted
  done
}
# An earlier submission whose answer was lost.
if [ -s "$attempt/name" ]; then
  adopt_if_there "$(cat "$attempt/name")" "$sbatch_grace"
  finished
fi
# The run makes the name unique: another store on this cluster may hold the same image and test.
job_name=$job_name.$number.$run
printf "%s\n" "$job_name" | write_file "$attempt/name" 0644 || exit 9
# The places to fill in end with the line of the name: what a test is given below may look like one of them.
printf '%s\n' "$job_script" | sed "1,/^name=/ { s|@ATTEMPT@|$attempt|g; s|@NAME@|$job_name|g; }" |
  write_file "$attempt/job.sh" 0755 || exit 9
# A user's own defaults would win over what the job's script says.
unset SBATCH_ARRAY_INX SBATCH_COMMENT SBATCH_ERROR SBATCH_JOB_NAME SBATCH_OUTPUT SBATCH_REQUEUE SBATCH_TIMELIMIT SBATCH_WAIT
for option in ACCOUNT CONSTRAINT GRES PARTITION QOS RESERVATION; do
  case $job_script in *"#SBATCH --$(printf %s "$option" | tr '[:upper:]' '[:lower:]')="*) unset "SBATCH_$option" ;; esac
done
answer=$(cd "$attempt" && submit_file "$attempt/job.sh" 2>"$attempt/sbatch.err")
code=$?
job=${answer%%;*}
case $job in
  '' | *[!0-9]*) ;;
  *) adopt "$job" submitted ;;
esac
refusal=$(tail -n 2 "$attempt/sbatch.err")
case $refusal in
  '' | *'timed out'* | *'Unable to contact'* | *'not responding'* | *'Zero Bytes'* | *[Mm]unge* | *authentication* | *emporarily*)
    # The job may still come: the attempt keeps its name, by which the next run looks for it.
    adopt_if_there "$job_name" "$sbatch_grace"
    fail slurm-down "sbatch ended with $code: $refusal" ;;
esac
adopt_if_there "$job_name" ''
rm -rf "$attempt"  # Slurm answers, has no such job, and said no
# what_there_is WORD TEXT: names of the site, once each, for who asked for one that is not there.
what_there_is() {
  names=$(printf '%s\n' "$2" | tr -s '|,' '\n' | sed '/^[[:space:]]*$/d' | sort -u | paste -s -d ' ' -)
  [ -z "$names" ] || printf '; %s: %s' "$1" "$names"
}
fail slurm-refused "sbatch ended with $code: $refusal$(
  what_there_is partitions "$(timeout 30 sinfo -h -o %R 2>/dev/null)"
  what_there_is accounts "$(timeout 30 sacctmgr -nP show assoc user="$(id -un)" format=account 2>/dev/null ||
    timeout 30 sshare -hUP -o Account 2>/dev/null)"
  what_there_is qos "$(timeout 30 sacctmgr -nP show assoc user="$(id -un)" format=qos 2>/dev/null)"
)"
