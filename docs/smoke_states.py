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
_NAME = "hpcbake-0123456789ab-0123456789abcdef.1.RUN"


def conclusion_cells(seen: Observation) -> tuple[str, str, str]:
    """What `conclude` says once the grace is over: status, reason, and the exit code that the run gets for it."""
    found = conclude(seen, name=_NAME, waited_s=RESULT_GRACE_S)
    if found is None:
        return "wait", "", ""
    return found.status.value.upper(), found.reason, _exit_text(found)


def _exit_text(found: Conclusion) -> str:
    if found.status is SmokeStatus.PASSED:
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
    ]
    from_results = [
        (str(number), code(why), *conclusion_cells(Observation("1", result=_result_text(number, why))))
        for number, why in results
    ]
    queued = [
        (code(state), *conclusion_cells(Observation("1", state=state)))
        for state in (*sorted(ACTIVE_STATES), *sorted(FAILED_STATES), *_OTHER_STATES)
    ]
    accounted = [
        (code(words), *conclusion_cells(Observation("1", accounting=words)))
        for words in (
            *("FAILED|1:0|c1", "FAILED|0:9|c1", "FAILED|0:53|c1", "TIMEOUT|0:0|c1", "OUT_OF_MEMORY|0:125|c1"),
            *("COMPLETED|0:0|c1", "CANCELLED by 1000|0:0|c1", "NODE_FAIL|1:0|c1", "RUNNING|0:0|c1", ""),
        )
    ]
    ok, foreign = _result_text(0, "ok"), _result_text(0, "ok", "hpcbake-someone-else")
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
        ("squeue says RUNNING, result file says ok", Observation("1", state="RUNNING", result=ok)),
    ]
    answers = [(text, *conclusion_cells(seen)) for text, seen in missing]
    head = ("hpcbake concludes", "reason in the report", "exit code")
    return (
        f"# How a smoke job's end is judged\n\n{NOTE}\n"
        "Every line of these tables was made by calling the function that decides, `hpcbake.smoke.conclude.conclude`.\n"
        "Why the result file decides: [decision 0006](../decisions/0006-verdict-from-the-result-file.md).\n"
        "UNKNOWN never counts as passed: nothing is promoted.\n\n"
        "## The job left its result file\n\nThen nothing else is asked.\n\n"
        + table(("`exit_code`", "`why`", *head), from_results)
        + "\n## No result file, and squeue lists the job\n\n"
        "A state that ends a job is believed 20 s after it was first seen: a shared file system may show the result\n"
        "file late. Until then, and for `wait`, hpcbake asks again. A job that waits longer than\n"
        "`slurm.queue_deadline` or runs longer than `slurm.run_deadline` is cancelled and UNKNOWN.\n\n"
        + table(("state in squeue", *head), queued)
        + "\n## No result file, and squeue does not list the job\n\nThen sacct's `State|ExitCode|NodeList` is read.\n\n"
        + table(("sacct says", *head), ((row[0] if row[0] != "``" else "nothing", *row[1:]) for row in accounted))
        + "\n## Answers that are missing or contradict each other\n\n"
        + table(("what is seen", *head), answers)
        + "\n## Why a job waits\n\nA pending job's reason is shown with its meaning:\n\n"
        + table(("Slurm's word", "shown as"), ((code(word), text) for word, text in PENDING_REASONS.items()))
    )
