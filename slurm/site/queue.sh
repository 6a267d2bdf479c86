#!/bin/sh
# Who runs smoke jobs: Slurm, or on a machine without it the node itself, in the background. Value: scheduler
# Either way: queue_lines (`id|state|reason|node|name|comment` of this user's jobs; fails when nobody answers),
# submit_file FILE (prints the job's id), cancel_job ID, accounting IDS (sacct's lines, if there is accounting).
# shellcheck disable=SC2154
queue_lines() { squeue -h -t all -u "$(id -un)" -o '%i|%T|%r|%N|%j|%k'; }
submit_file() { sbatch --parsable "$1"; }
cancel_job() { scancel "$1"; }
accounting() { timeout 60 sacct -nP --noconvert -j "$1" -o JobIDRaw,State,ExitCode,NodeList,ElapsedRaw,MaxRSS 2>/dev/null; }
if [ "$scheduler" = local ]; then
  sbatch() { :; }
  # A job is a folder jobs/ID with `process` (host, boot id, number and start time of its first process) and `name`.
  local_jobs=$own/local
  # runs_here FOLDER: sets $state. What runs on another login node is not ours to judge: its result file tells.
  local_state() {
    read -r l_host l_boot l_process l_start <"$1/process" 2>/dev/null || { state=PENDING; return; }
    if [ "$l_host" != "$me" ]; then state=RUNNING
    elif [ "$l_boot" = "$boot_id" ] && [ "$(start_of "$l_process")" = "$l_start" ]; then state=RUNNING
    elif [ -e "$1/over" ]; then read -r state <"$1/over"
    else state=NODE_FAIL; fi
  }
  queue_lines() {
    for job_folder in "$local_jobs"/*/; do
      [ -d "$job_folder" ] || continue
      local_state "${job_folder%/}"
      job_folder=${job_folder%/}
      printf '%s|%s|None|%s|%s|\n' "${job_folder##*/}" "$state" "$me" "$(cat "$job_folder/name" 2>/dev/null)"
    done
  }
  # The time limit is kept by `timeout`, as Slurm would: TERM, and KILL half a minute later.
  submit_file() {
    make_folder "$local_jobs"
    number=1
    until mkdir "$local_jobs/$number" 2>/dev/null; do
      [ -d "$local_jobs/$number" ] || cannot_create "$local_jobs/$number"
      number=$((number + 1))
    done
    sed -n 's/^#SBATCH --job-name=//p' "$1" | head -n 1 >"$local_jobs/$number/name"
    # shellcheck disable=SC2016  # for the shell that runs the job
    HPCBAKE_JOB_ID=$number setsid sh -c '
      start=$(sed "s/.*) //" /proc/$$/stat | cut -d" " -f20)
      echo "$1 $2 $$ $start" >"$3/process.new" && mv "$3/process.new" "$3/process"
      begin=$(date +%s)
      timeout -k 30 "$5" sh "$4" >"${4%/*}/out" 2>"${4%/*}/err"
      case $? in 0) over=COMPLETED ;; *) over=FAILED ;; esac
      [ $(($(date +%s) - begin)) -lt "$5" ] || over=TIMEOUT
      [ ! -e "$3/cancelled" ] || over=CANCELLED
      echo "$over" >"$3/over"' job "$me" "$boot_id" "$local_jobs/$number" "$1" "$time_limit" \
      >/dev/null 2>&1 </dev/null &
    waited=0
    until [ -s "$local_jobs/$number/process" ]; do
      [ "$waited" -lt 20 ] || { echo "the job did not start" >&2; return 1; }
      waited=$((waited + 1))
      sleep 0.5
    done
    echo "$number"
  }
  # The job's whole session: TERM first, so that it can write its end.
  cancel_job() {
    local_state "$local_jobs/$1"
    [ "$state" = RUNNING ] && [ "$l_host" = "$me" ] || return 0
    : >"$local_jobs/$1/cancelled"
    for signal in TERM KILL; do
      for process in $(session_of "$l_process"); do
        [ "$process" = "$l_process" ] || kill "-$signal" "$process" 2>/dev/null
      done
      waited=0
      while local_state "$local_jobs/$1"; [ "$state" = RUNNING ]; do
        [ "$waited" -lt 10 ] || break
        waited=$((waited + 1))
        sleep 1
      done
    done
  }
  session_of() { cat /proc/[0-9]*/stat 2>/dev/null | awk -v top="$1" '{pid = $1; sub(/.*\) /, ""); if ($4 == top) print pid}'; }
  accounting() { :; }
fi
# What Slurm knows of this user's jobs, by whoever asks: `id|state`.
my_jobs() { lines_of_queue=$(queue_lines 2>/dev/null) && printf '%s\n' "$lines_of_queue" | cut -d'|' -f1,2; }
