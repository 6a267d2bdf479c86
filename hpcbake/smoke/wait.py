"""Waits for smoke jobs with deadlines, one question to the scheduler for all of them, and says how each ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from hpcbake.errors import HpcbakeError, SiteResourceError, SiteUnreachableError
from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Clock, Node
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script
from hpcbake.smoke.conclude import (
    ACTIVE_STATES,
    QUEUED_STATES,
    SUBMIT_AGAIN_STATES,
    Conclusion,
    Observation,
    conclude,
    has_ended,
    parse_result,
    pending_reason,
)
from hpcbake.smoke.submit import SCRIPT_TIMEOUT_S, Submission, scheduler_values, submit_again

#: What a log line must begin with to become a figure of the report.
_FIGURE = "hpcbake-figure "
#: The longest pause between two questions, unless the site wants longer ones.
_LONGEST_PAUSE_S = 30.0


@dataclass
class _Waiting:
    """One job being waited for. Times are the clock's monotonic seconds."""

    submission: Submission
    since: float
    running_since: float | None = None
    ended_since: float | None = None
    last: Observation = field(default_factory=lambda: Observation(""))
    was_submitted_again: bool = False


def wait(
    submissions: Sequence[Submission],
    site: Site,
    *,
    node: Node,
    clock: Clock,
    on_progress: Callable[[Submission, str], None] = lambda _submission, _text: None,
) -> list[SmokeResult]:
    """Wait for all jobs with one question per interval, and say how each ended. Never raises for a job's own fate.

    A job that stays in the queue or runs past the site's deadlines is cancelled and UNKNOWN. One whose node failed or
    that was preempted is submitted once more, as a new attempt.
    """
    waiting = [_Waiting(submission, clock.monotonic()) for submission in submissions]
    results: dict[int, SmokeResult] = {}
    pause = site.slurm.poll_interval_s
    while True:
        for index, seen, answer in _poll(waiting, results, site, node):
            job = waiting[index]
            _note_progress(job, seen, clock.monotonic(), on_progress)
            conclusion = _conclusion(job, seen, clock.monotonic(), site, node)
            if conclusion is None:
                continue
            if _may_be_submitted_again(job, conclusion):
                conclusion, again = _submit_again(job, conclusion, site, node, clock, on_progress)
                if again is not None:
                    waiting[index] = again
                    continue
            results[index] = _to_result(job.submission, conclusion, answer, site)
        if len(results) == len(waiting):
            return [results[index] for index in range(len(waiting))]
        clock.sleep(pause)
        pause = min(pause * 1.3, max(_LONGEST_PAUSE_S, site.slurm.poll_interval_s))


def _poll(
    waiting: Sequence[_Waiting], results: dict[int, SmokeResult], site: Site, node: Node
) -> list[tuple[int, Observation, Answer]]:
    open_jobs = [(index, job.submission) for index, job in enumerate(waiting) if index not in results]
    script = render_site_script(
        "poll",
        root=site.store.root,
        run="poll",
        lock_wait=0,
        jobs="\n".join(f"{submission.job_id or 'none'} {submission.attempt}" for _, submission in open_jobs),
        **scheduler_values(site),
    )
    try:
        outcome = node.run_script(script, timeout_s=SCRIPT_TIMEOUT_S)
        answer = read_answer(outcome, site=site.name, step="poll jobs", needs=("squeue", "job"))
    except SiteUnreachableError as error:
        # The job runs on without us: look again until the deadline.
        lost = Observation("", slurm_error=error.message)
        return [(index, lost, Answer(())) for index, _ in open_jobs]
    down = answer.find("squeue")
    blocks = list(answer.blocks("job"))
    return [
        (index, _observe(block, "" if down == "ok" else down), block)
        for (index, _), block in zip(open_jobs, blocks, strict=True)
    ]


def _observe(block: Answer, slurm_error: str) -> Observation:
    _, state, reason, nodes = ([*block.find("queue").split("|"), "", "", "", ""])[:4]
    return Observation(
        job_id=block.find("job"),
        state=state,
        reason=reason,
        node=nodes,
        accounting=block.find("sacct"),
        exit_code=block.find("exit"),
        result=block.find_text("result"),
        out_bytes=_number(block.find("out_bytes")),
        err_bytes=_number(block.find("err_bytes")),
        slurm_error=slurm_error,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _note_progress(
    job: _Waiting, seen: Observation, now: float, on_progress: Callable[[Submission, str], None]
) -> None:
    if seen.state in ACTIVE_STATES - QUEUED_STATES and job.running_since is None:
        job.running_since = now
    if (seen.state, seen.reason) != (job.last.state, job.last.reason) and seen.state:
        why = f" ({pending_reason(seen.reason)})" if seen.state == "PENDING" and seen.reason != "None" else ""
        on_progress(job.submission, f"job {job.submission.job_id} {seen.state.lower()}{why}")
    job.last = seen


def _conclusion(job: _Waiting, seen: Observation, now: float, site: Site, node: Node) -> Conclusion | None:
    name = job.submission.name
    if not has_ended(seen, name):
        job.ended_since = None  # one empty answer of a busy scheduler is no end
    elif job.ended_since is None:
        job.ended_since = now
    waited_s = 0.0 if job.ended_since is None else now - job.ended_since
    conclusion = conclude(seen, name=name, waited_s=waited_s)
    if conclusion is not None or job.ended_since is not None:
        return conclusion
    if job.running_since is None and now - job.since > site.slurm.queue_deadline_s:
        why = seen.slurm_error or pending_reason(seen.reason)
        return _give_up(job, site, node, f"still queued after {site.slurm.queue_deadline_s:.0f} s: {why}")
    if job.running_since is not None and now - job.running_since > site.slurm.run_deadline_s:
        why = f": {seen.slurm_error}" if seen.slurm_error else ""
        return _give_up(job, site, node, f"still running after {site.slurm.run_deadline_s:.0f} s{why}")
    return None


def _give_up(job: _Waiting, site: Site, node: Node, why: str) -> Conclusion:
    script = render_site_script(
        "cancel",
        root=site.store.root,
        run="cancel",
        lock_wait=0,
        job=job.submission.job_id,
        **scheduler_values(site),
    )
    try:
        outcome = node.run_script(script, timeout_s=SCRIPT_TIMEOUT_S)
        gone = read_answer(outcome, site=site.name, step="cancel a job", needs=("gone",)).find("gone")
    except (SiteUnreachableError, SiteResourceError):
        gone = "unknown"
    after = {"yes": "cancelled", "no": "cancelling it did not work"}.get(gone, "could not be cancelled")
    return Conclusion(SmokeStatus.UNKNOWN, job.last.state or "UNKNOWN", f"{why}; {after}", node=job.last.node)


def _may_be_submitted_again(job: _Waiting, conclusion: Conclusion) -> bool:
    return (
        conclusion.status is SmokeStatus.UNKNOWN
        and conclusion.state in SUBMIT_AGAIN_STATES
        and not job.was_submitted_again
        and job.submission.request is not None
    )


def _submit_again(
    job: _Waiting,
    conclusion: Conclusion,
    site: Site,
    node: Node,
    clock: Clock,
    on_progress: Callable[[Submission, str], None],
) -> tuple[Conclusion, _Waiting | None]:
    """The job's second and last chance. Where it cannot be had, the first one's end stands, with why."""
    try:
        submission = submit_again(job.submission, site, node=node, clock=clock)
    except HpcbakeError as error:
        why = f"{conclusion.reason}; it could not be submitted again: {error.message}"
        return Conclusion(conclusion.status, conclusion.state, why, conclusion.exit_code, conclusion.node), None
    on_progress(submission, f"job {job.submission.job_id} ended as {conclusion.state}; again as {submission.job_id}")
    return conclusion, _Waiting(submission, clock.monotonic(), was_submitted_again=True)


def _to_result(submission: Submission, conclusion: Conclusion, answer: Answer, site: Site) -> SmokeResult:
    out, err = answer.find_text("out"), answer.find_text("err")
    result = parse_result(answer.find_text("result"), submission.name, submission.job_id)
    kept = result.get("figures")
    figures = {str(name): str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}
    by_slurm, by_job = _number(answer.find("max_rss")), result.get("max_rss_kb")
    memory_by = "sacct" if by_slurm else "job" if isinstance(by_job, int) else ""
    return SmokeResult(
        site=site.name,
        image=submission.image,
        test=submission.test,
        key=submission.key,
        status=conclusion.status,
        job_id=str(result.get("job_id") or submission.job_id),
        node=conclusion.node,
        state=conclusion.state,
        exit_code=conclusion.exit_code,
        reason=conclusion.reason,
        duration_s=conclusion.duration_s,
        figures={**figures, **parse_figures(out)},
        log_tail=tuple((out + err).splitlines()[-20:]),
        log_path=submission.attempt,
        changed=submission.is_new,
        max_rss_kb={"sacct": by_slurm, "job": by_job}.get(memory_by),
        memory_by=memory_by,
    )


def parse_figures(out: str) -> dict[str, str]:
    """Lines `hpcbake-figure name=value` of a job's output."""
    figures: dict[str, str] = {}
    for line in out.splitlines():
        if line.startswith(_FIGURE):
            name, _, value = line[len(_FIGURE) :].partition("=")
            figures[name.strip()] = value.strip()
    return figures
