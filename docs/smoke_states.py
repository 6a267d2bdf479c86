"""The page of smoke job states, made by asking `hpcbake.smoke.conclude.conclude` about each."""

from __future__ import annotations

import json

from tables import NOTE, code, table

from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.ship.evidence import smoke_error
from hpcbake.smoke.conclude import (
    ACTIVE_STATES,
    FAILED_STATES,
    PENDING_REASONS,
    QUEUED_STATES,
    RESULT_GRACE_S,
    Conclusion,
    Observation,
    conclude,
)

#: The remaining words of Slurm's own list of job states.
_OTHER_STATES = (
    *("COMPLETED", "CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL"),
    *("LAUNCH_FAILED", "RECONFIG_FAIL", "REVOKED", "A_WORD_OF_THE_FUTURE"),
)
#: Why a state means what it does.
_WHY = {
    **dict.fromkeys(QUEUED_STATES, "it has not begun; the queue's deadline holds"),
    **dict.fromkeys(ACTIVE_STATES - QUEUED_STATES, "it may still speak; the run's deadline holds"),
    "DEADLINE": "it could not end by its own deadline",
    "FAILED": "its script ended with a code or a signal, and could not say so itself",
    "OUT_OF_MEMORY": "it took more memory than a job of this site gets",
    "TIMEOUT": "it took longer than a job of this site gets",
    "COMPLETED": "exit code 0 alone proves nothing: a prelude may have ended the script",
    "CANCELLED": "somebody ended it; the next run makes a new attempt",
    "NODE_FAIL": "the node's doing; submitted once more, as a new attempt",
    "PREEMPTED": "another job's doing; submitted once more, as a new attempt",
    "BOOT_FAIL": "the node's doing; submitted once more, as a new attempt",
    "LAUNCH_FAILED": "the node's doing",
    "RECONFIG_FAIL": "the node's doing",
    "REVOKED": "a sibling in another cluster ran instead",
    "A_WORD_OF_THE_FUTURE": "no word that is not known is a verdict",
}

#: What sbatch may do when a job is handed over, and what follows.
_SUBMITTING = [
    ("it gives a number", "submitted", "the number is written down before anything else"),
    ("it fails, and squeue shows a job of that name or comment", "adopted", "the answer was lost, not the job"),
    (
        "it fails, and squeue does not answer",
        "asked again up to the queue's deadline, then 51",
        "the job may still come",
    ),
    ("it says a time-out or no controller, and squeue shows no such job", "asked again, looking first", "as above"),
    ("it refuses: account, partition, node count", "42, with the names that there are", "no later run would do better"),
    ("the connection ends before the answer", "looked for through a new connection", "the script there goes on"),
    ("a result with another job's name lies there", "not believed", "only this attempt's own job may speak for it"),
]

_NAME = "hpcbake-0123456789ab-0123456789abcdef.1.RUN"


def conclusion_cells(seen: Observation) -> tuple[str, str, str]:
    """What `conclude` says once the grace is over: status, reason, and the exit code that the run gets for it."""
    found = conclude(seen, name=_NAME, waited_s=RESULT_GRACE_S)
    if found is None:
        return "wait", "", ""
    return found.status.value.upper(), found.reason, _exit_text(found)


def _exit_text(found: Conclusion) -> str:
    if found.status in (SmokeStatus.PASSED, SmokeStatus.SKIPPED):
        return "0"
    result = SmokeResult("", "", "", "", found.status, reason=found.reason, exit_code=found.exit_code)
    failure = smoke_error(result, "")
    return f"{int(failure.exit_code)} {failure.exit_code.name}"


def _result_text(exit_code: object, why: str, name: str = _NAME) -> str:
    return json.dumps({"kind": "hpcbake.smoke-result", "name": name, "exit_code": exit_code, "why": why})


def render_smoke_states() -> str:
    results = [(0, "ok"), (0, "died"), (3, "exit-code-3"), (1, "output-differs"), (1, "wrong-architecture")]
    results += [
        (127, "died"),
        (255, "container-did-not-run"),
        (43, "sif-changed"),
        (143, "time-limit"),
        (143, "terminated"),
        (0, "skipped-no-gpu-on-the-node"),
    ]
    from_results = [
        (str(number), code(why), *conclusion_cells(Observation("1", result=_result_text(number, why))))
        for number, why in results
    ]
    queued = [
        (code(state), *conclusion_cells(Observation("1", state=state, out_bytes=0)), _WHY[state])
        for state in (*sorted(ACTIVE_STATES), *sorted(FAILED_STATES), *_OTHER_STATES)
    ]
    accounted = [
        (code(words), *conclusion_cells(Observation("1", accounting=words, out_bytes=0)))
        for words in (
            *("FAILED|1:0|c1", "FAILED|0:9|c1", "FAILED|0:53|c1", "TIMEOUT|0:0|c1", "OUT_OF_MEMORY|0:125|c1"),
            *("COMPLETED|0:0|c1", "CANCELLED by 1000|0:0|c1", "NODE_FAIL|1:0|c1", "RUNNING|0:0|c1", ""),
        )
    ]
    ok, bad, foreign = (
        _result_text(0, "ok"),
        _result_text(3, "exit-code-3"),
        _result_text(0, "ok", "hpcbake-someone-else"),
    )
    missing = [
        ("squeue does not answer, no result file", Observation("1", slurm_error="down Unable to contact slurm")),
        ("squeue does not answer, result file says ok", Observation("1", slurm_error="down", result=ok)),
        ("not in squeue, nothing in sacct, no result file", Observation("1")),
        ("not in squeue, sacct says COMPLETED, no result file", Observation("1", accounting="COMPLETED|0:0|c1")),
        ("squeue says COMPLETED, no result file", Observation("1", state="COMPLETED")),
        ("squeue says COMPLETED, result file of another job", Observation("1", state="COMPLETED", result=foreign)),
        ("squeue says COMPLETED, result file cut off", Observation("1", state="COMPLETED", result=ok[:40])),
        ("squeue says COMPLETED, result file empty", Observation("1", state="COMPLETED", result=" ")),
        ("squeue says FAILED, result file says ok", Observation("1", state="FAILED", result=ok)),
        ("squeue says NODE_FAIL, result file says ok", Observation("1", state="NODE_FAIL", result=ok)),
        (
            "sacct says OUT_OF_MEMORY, result file says ok",
            Observation("1", accounting="OUT_OF_MEMORY|0:125|", result=ok),
        ),
        (
            "sacct says CANCELLED, result file says a failure",
            Observation("1", accounting="CANCELLED|0:15|", result=bad),
        ),
        ("squeue says FAILED, result file says a failure", Observation("1", state="FAILED", result=bad)),
        ("squeue says FAILED, scontrol 0:9, no result file", Observation("1", state="FAILED", exit_code="0:9")),
        ("squeue says FAILED, scontrol 0:53", Observation("1", state="FAILED", exit_code="0:53")),
        ("FAILED 1:0, neither output nor result file", Observation("1", state="FAILED", exit_code="1:0")),
        ("squeue says RUNNING, result file says ok", Observation("1", state="RUNNING", result=ok)),
    ]
    answers = [(text, *conclusion_cells(seen)) for text, seen in missing]
    head = ("hpcbake concludes", "reason in the report", "exit code")
    return (
        f"# How a smoke job's end is judged\n\n{NOTE}\n"
        "Every line of these tables was made by calling the function that decides, `hpcbake.smoke.conclude.conclude`.\n"
        "Why the result file decides: [decision 0006](../decisions/0006-verdict-from-the-result-file.md).\n"
        "UNKNOWN never counts as passed: nothing is promoted.\n\n"
        "A job that does not run at all: [below](#while-a-job-is-submitted).\n\n"
        "## The job left its result file\n\n"
        "It counts if it has this attempt's name, by this job. Slurm has 5 s to see the job's end, the output 20 s to\n"
        "appear in full. Then it stands, unless Slurm contradicts it: see the table of contradictions below.\n\n"
        + table(("`exit_code`", "`why`", *head), from_results)
        + "\n## No result file, and squeue lists the job\n\n"
        "A state that ends a job is believed 20 s after it was first seen: a shared file system may show the result\n"
        "file late. Until then, and for `wait`, hpcbake asks again. A job that waits longer than\n"
        "`slurm.queue_deadline` or runs longer than `slurm.run_deadline` is cancelled and UNKNOWN.\n\n"
        + table(("state in squeue", *head, "why"), queued)
        + "\n## No result file, and squeue does not list the job\n\nThen sacct's `State|ExitCode|NodeList` is read.\n\n"
        + table(("sacct says", *head), ((row[0] if row[0] != "``" else "nothing", *row[1:]) for row in accounted))
        + "\n## Answers that are missing or contradict each other\n\n"
        + table(("what is seen", *head), answers)
        + "\n## While a job is submitted\n\n"
        + table(("what sbatch does", "what follows", "why"), _SUBMITTING)
        + "\n## Why a job waits\n\nA pending job's reason is shown with its meaning:\n\n"
        + table(("Slurm's word", "shown as"), ((code(word), text) for word, text in PENDING_REASONS.items()))
    )
