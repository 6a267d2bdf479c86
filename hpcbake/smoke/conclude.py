"""What to conclude from what Slurm and the job's own files say. Pure: a table of states and a few rules.

The job's result file decides, as long as Slurm does not contradict it. Where it is missing Slurm's word is taken for
failures only: nobody can vouch for a success that left no result, so that is UNKNOWN.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hpcbake.model.artefacts import SmokeStatus
from hpcbake.model.late import dataclass

#: States in which a job is on its way or running.
ACTIVE_STATES = frozenset(
    {
        "PENDING",
        "RUNNING",
        "CONFIGURING",
        "COMPLETING",
        "SUSPENDED",
        "STAGE_OUT",
        "RESIZING",
        "SIGNALING",
        "STOPPED",
        "REQUEUED",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "SPECIAL_EXIT",
        "RESV_DEL_HOLD",
    }
)

#: Those of them in which it has not begun.
QUEUED_STATES = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)

#: Ends that are the cluster's doing and may well not come a second time.
SUBMIT_AGAIN_STATES = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL"})

#: States in which the job itself is to blame.
FAILED_STATES = frozenset({"FAILED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"})

#: Slurm's exit code of a job whose output files it could not open: the script never ran. Before 21.08 it was 1:0.
NO_OUTPUT_CODE = "0:53"
NO_OUTPUT_REASON = "Slurm could not open the job's output files, so the script never ran"

#: How long after a job's end its files may take to appear on a shared file system.
RESULT_GRACE_S = 20.0
#: How long Slurm may take to see the end of a job that has left its result.
AGREE_GRACE_S = 5.0

#: Why a job is pending, in words.
PENDING_REASONS = {
    "Priority": "jobs of higher priority are before it",
    "Resources": "it waits for free nodes",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionTimeLimit": "its time limit is beyond the partition's",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows",
    "ReqNodeNotAvail": "a node it asks for is not available",
    "QOSNotAllowed": "the partition does not allow this quality of service",
    "AccountNotAllowed": "the partition does not allow this account",
    "InvalidAccount": "the account is not valid",
    "InvalidQOS": "the quality of service is not valid",
    "BadConstraints": "no node can do what it asks for",
    "PartitionConfig": "the partition cannot give what it asks for",
    "Reservation": "it waits for its reservation",
    "ReservationDeleted": "its reservation is gone",
    "Licenses": "it waits for a licence",
    "NodeDown": "a node it needs is down",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": "the job it waits for has failed",
    "JobHeldUser": "it was held by its user",
    "JobHeldAdmin": "it was held by an administrator",
    "AssocGrpCpuLimit": "the account's share of CPUs is in use",
    "QOSMaxCpuPerUserLimit": "your limit of CPUs in this quality of service is in use",
    "AssocGrpCPUMinutesLimit": "the account's CPU time is used up",
    "AssocGrpBillingMinutes": "the account's budget is used up",
    "AssocGrpGRES": "the account's share of GPUs and the like is in use",
    "AssocGrpMemLimit": "the account's share of memory is in use",
    "AssocGrpNodeLimit": "the account's share of nodes is in use",
    "AssocGrpJobsLimit": "the account's limit of running jobs is reached",
    "AssocMaxJobsLimit": "your limit of running jobs is reached",
    "AssocMaxCpuPerJobLimit": "one job of this account may not have so many CPUs",
    "AssocMaxWallDurationPerJobLimit": "one job of this account may not run so long",
    "QOSGrpCpuLimit": "all CPUs of this quality of service are in use",
    "QOSGrpNodeLimit": "all nodes of this quality of service are in use",
    "QOSMaxGRESPerUser": "your limit of GPUs and the like in this quality of service is in use",
    "QOSMaxNodePerUserLimit": "your limit of nodes in this quality of service is in use",
    "QOSMaxWallDurationPerJobLimit": "a job of this quality of service may not run so long",
    "QOSMaxJobsPerUserLimit": "your limit of jobs in this quality of service is in use",
    "BeginTime": "its start time has not come",
    "launch failed requeued held": "starting it failed and Slurm holds it",
}

#: What a job's own word for its end means, where the word does not say it.
_RESULT_REASONS = {
    "time-limit": "it ran into its time limit",
    "died": "its script ended before its end",
    "terminated": "it was ended from outside before its time",
}
#: How the word of a test begins that could not be done on this node.
_SKIPPED = "skipped-"


@dataclass(frozen=True)
class Observation:
    """What one poll saw of one job.

    `state` and `reason` are squeue's (empty when the job is not listed), `accounting` is sacct's `STATE|CODE|NODE`,
    `exit_code` scontrol's for a site without accounting, `result` the text of the job's result file, `slurm_error`
    squeue's complaint when it did not answer. `out_bytes` and `err_bytes` are the sizes of its output as the login
    node sees them, None where there is no such file.
    """

    job_id: str
    state: str = ""
    reason: str = ""
    node: str = ""
    accounting: str = ""
    exit_code: str = ""
    result: str = ""
    out_bytes: int | None = None
    err_bytes: int | None = None
    slurm_error: str = ""


@dataclass(frozen=True)
class Conclusion:
    """How a job ended. `exit_code` is the container's, or Slurm's `a:b` where only that is known."""

    status: SmokeStatus
    state: str
    reason: str
    exit_code: str = ""
    node: str = ""
    duration_s: float | None = None


def parse_result(text: str, name: str, job_id: str = "") -> dict[str, Any]:
    """The job's result file, or an empty dict if it is not of this attempt: of that name, and by that job."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("kind") != "hpcbake.smoke-result":
        return {}
    exit_code = document.get("exit_code")
    if document.get("name") != name or not isinstance(exit_code, int) or isinstance(exit_code, bool):
        return {}
    wrote = str(document.get("job_id", ""))
    is_anothers = wrote.isdigit() and job_id.isdigit() and wrote != job_id
    return {} if is_anothers else document


def has_ended(seen: Observation, name: str) -> bool:
    """Is there a sign of the job's end: its result, or Slurm's word? Where Slurm is silent there is none."""
    if parse_result(seen.result, name, seen.job_id):
        return True
    return not seen.slurm_error and _final_state(seen)[0] not in ACTIVE_STATES


def conclude(seen: Observation, *, name: str, waited_s: float) -> Conclusion | None:
    """The end of a job, or None while more may still come. `waited_s` is how long ago the first sign of it was seen."""
    result = parse_result(seen.result, name, seen.job_id)
    if result:
        return _from_result(result, seen, waited_s)
    if seen.slurm_error:
        return None
    state, code, node = _final_state(seen)
    if state in ACTIVE_STATES or waited_s < RESULT_GRACE_S:
        return None
    if not state:
        return Conclusion(SmokeStatus.UNKNOWN, "LOST", "Slurm has forgotten the job and it left no result")
    if state == "FAILED" and _never_ran(code, seen):
        return Conclusion(SmokeStatus.FAILED, state, NO_OUTPUT_REASON, code, node)
    if state in FAILED_STATES:
        return Conclusion(SmokeStatus.FAILED, state, _failure_reason(state, code), code, node)
    why = "it left no result" if state == "COMPLETED" else f"the job ended as {state}: not the image's doing"
    return Conclusion(SmokeStatus.UNKNOWN, state, why, code, node)


def _never_ran(code: str, seen: Observation) -> bool:
    """Slurm's own code for it; or an end without a signal that left neither output nor a result."""
    if code == NO_OUTPUT_CODE:
        return True
    return bool(code) and code.endswith(":0") and seen.out_bytes is None


def _from_result(result: dict[str, Any], seen: Observation, waited_s: float) -> Conclusion | None:
    """The job's own word, once Slurm has had the time to agree and the output to appear."""
    if waited_s < RESULT_GRACE_S and not _is_output_complete(result, seen):
        return None
    state, code, _ = ("", "", "") if seen.slurm_error else _final_state(seen)
    if state in ACTIVE_STATES and waited_s < AGREE_GRACE_S:
        return None
    own = _own_word(result)
    if state in ("", "COMPLETED") or state in ACTIVE_STATES:
        return own
    said = f"{state} {code}".strip()
    if own.status in (SmokeStatus.PASSED, SmokeStatus.SKIPPED):
        return replace(
            own, status=SmokeStatus.UNKNOWN, state=state, reason=f"its own word is a success, and Slurm says {said}"
        )
    if state in FAILED_STATES:
        return own
    return replace(own, status=SmokeStatus.UNKNOWN, state=state, reason=f"{own.reason}; Slurm says {said}")


def _is_output_complete(result: dict[str, Any], seen: Observation) -> bool:
    """Does the login node see as much of the output as the job has written?"""
    for key, size in (("out_bytes", seen.out_bytes), ("err_bytes", seen.err_bytes)):
        written = result.get(key)
        if isinstance(written, int) and written > (size or 0):
            return False
    return True


def _own_word(result: dict[str, Any]) -> Conclusion:
    code, why = result["exit_code"], str(result.get("why", ""))
    status, state = SmokeStatus.FAILED, "FAILED"
    reason = _RESULT_REASONS.get(why, why.replace("-", " "))
    if why == "terminated":
        status = SmokeStatus.UNKNOWN
    elif code == 0 and why == "ok":
        status, state, reason = SmokeStatus.PASSED, "COMPLETED", ""
    elif code == 0 and why.startswith(_SKIPPED):
        status, state, reason = SmokeStatus.SKIPPED, "COMPLETED", why.removeprefix(_SKIPPED).replace("-", " ")
    return Conclusion(
        status=status,
        state=state,
        reason=reason,
        exit_code=str(code),
        node=str(result.get("node", "")),
        duration_s=_duration(result),
    )


def _duration(result: dict[str, Any]) -> float | None:
    """What the test took by the node's own clock, without the reading of the SIF before it where that is known."""
    elapsed, started, ended = result.get("elapsed_s"), result.get("started"), result.get("ended")
    if isinstance(elapsed, int | float):
        return float(elapsed)
    return float(ended - started) if isinstance(started, int) and isinstance(ended, int) else None


def _final_state(seen: Observation) -> tuple[str, str, str]:
    state, code, node = ([*seen.accounting.split("|"), "", "", ""])[:3]
    code = code or seen.exit_code
    if seen.state:
        return seen.state, code, seen.node or node
    return state.split(" ")[0], code, node  # `CANCELLED by 1000`


def _failure_reason(state: str, code: str) -> str:
    if state == "TIMEOUT":
        return "it ran into its time limit"
    if state == "OUT_OF_MEMORY":
        return "it ran out of memory"
    if code.startswith("0:") and code != "0:0":
        return f"it was killed by signal {code[2:]}"
    return f"the job ended as {state} {code}".strip()


def pending_reason(reason: str) -> str:
    """Slurm's word for why a job waits, and what it means."""
    meaning = PENDING_REASONS.get(reason.split(",")[0].strip("()"), "")
    return f"{reason}: {meaning}" if meaning else reason
