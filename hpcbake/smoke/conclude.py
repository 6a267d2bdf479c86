"""What to conclude from what Slurm and the job's own files say. Pure: a table of states and a few rules.

The job's result file decides. Where it is missing Slurm's word is taken for failures only: nobody can vouch for a
success that left no result, so that is UNKNOWN.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hpcbake.model.artefacts import SmokeStatus

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

#: States in which the job itself is to blame.
FAILED_STATES = frozenset({"FAILED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"})

#: Slurm's exit code of a job whose output files it could not open: the script never ran.
NO_OUTPUT_CODE = "0:53"

#: Why a job is pending, in words.
PENDING_REASONS = {
    "Priority": "jobs of higher priority are before it",
    "Resources": "it waits for free nodes",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionTimeLimit": "its time limit is beyond the partition's",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows",
    "ReqNodeNotAvail": "a node it asks for is not available",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": "the job it waits for has failed",
    "JobHeldUser": "it was held by its user",
    "JobHeldAdmin": "it was held by an administrator",
    "AssocGrpCpuLimit": "the account's share of CPUs is in use",
    "QOSMaxCpuPerUserLimit": "your limit of CPUs in this quality of service is in use",
    "QOSMaxJobsPerUserLimit": "your limit of jobs in this quality of service is in use",
    "BeginTime": "its start time has not come",
    "launch failed requeued held": "starting it failed and Slurm holds it",
}


#: What a job's own word for its end means, where the word does not say it.
_RESULT_REASONS = {"time-limit": "it ran into its time limit", "died": "its script ended before its end"}


@dataclass(frozen=True)
class Observation:
    """What one poll saw of one job.

    `state` and `reason` are squeue's (empty when the job is not listed), `accounting` is sacct's `STATE|CODE|NODE`,
    `result` the text of the job's result file, `slurm_error` squeue's complaint when it did not answer.
    """

    job_id: str
    state: str = ""
    reason: str = ""
    node: str = ""
    accounting: str = ""
    result: str = ""
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


def parse_result(text: str, name_prefix: str) -> dict[str, Any]:
    """The job's result file, or an empty dict if it is not one of this attempt's."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(document, dict) or document.get("kind") != "hpcbake.smoke-result":
        return {}
    is_ours = str(document.get("name", "")).startswith(name_prefix)
    return document if is_ours and isinstance(document.get("exit_code"), int) else {}


def conclude(seen: Observation, *, name_prefix: str, grace_over: bool) -> Conclusion | None:
    """The end of a job, or None while it may still be coming.

    `grace_over` says that a shared file system has had its time to show a result file.
    """
    result = parse_result(seen.result, name_prefix)
    if result:
        return _from_result(result)
    if seen.slurm_error:
        return None
    state, code, node = _final_state(seen)
    if state in ACTIVE_STATES or not grace_over:
        return None
    if not state:
        return Conclusion(SmokeStatus.UNKNOWN, "LOST", "Slurm has forgotten the job and it left no result")
    if code == NO_OUTPUT_CODE:
        return Conclusion(SmokeStatus.UNKNOWN, state, "Slurm could not open the job's output files (0:53)", code, node)
    if state in FAILED_STATES:
        return Conclusion(SmokeStatus.FAILED, state, _failure_reason(state, code), code, node)
    why = "it left no result" if state == "COMPLETED" else f"the job ended as {state}: not the image's doing"
    return Conclusion(SmokeStatus.UNKNOWN, state, why, code, node)


def _from_result(result: dict[str, Any]) -> Conclusion:
    code, why = result["exit_code"], str(result.get("why", ""))
    started, ended = result.get("started"), result.get("ended")
    passed = code == 0 and why == "ok"
    if why == "terminated":
        status = SmokeStatus.UNKNOWN
    else:
        status = SmokeStatus.PASSED if passed else SmokeStatus.FAILED
    return Conclusion(
        status=status,
        state="COMPLETED" if passed else "FAILED",
        reason="" if passed else _RESULT_REASONS.get(why, why.replace("-", " ")),
        exit_code=str(code),
        node=str(result.get("node", "")),
        duration_s=float(ended - started) if isinstance(started, int) and isinstance(ended, int) else None,
    )


def _final_state(seen: Observation) -> tuple[str, str, str]:
    state, code, node = ([*seen.accounting.split("|"), "", "", ""])[:3]
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
