"""Runs smoke tests of a delivered SIF on compute nodes: submit once, wait with deadlines, conclude."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpcbake.errors import SiteResourceError, SiteUnreachableError
from hpcbake.model.artefacts import Deployment, SmokeResult, SmokeStatus, SmokeTest
from hpcbake.model.ports import Clock, Node, RuntimeCommands
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script, store_values
from hpcbake.smoke.conclude import Conclusion, Observation, conclude, parse_result, pending_reason
from hpcbake.smoke.job import Job, render_job

#: How long after a job's end its result file may take to appear on a shared file system.
RESULT_GRACE_S = 20.0
_SCRIPT_TIMEOUT_S = 120.0
_SBATCH_GRACE_S = 10
#: What a log line must begin with to become a figure of the report.
_FIGURE = "hpcbake-figure "


@dataclass(frozen=True)
class Submission:
    """A job that Slurm has, or whose result an earlier run left."""

    deployment: Deployment
    job: Job
    job_id: str
    attempt: str
    name_prefix: str
    is_new: bool


@dataclass(frozen=True)
class SmokeRequest:
    """The tests of one delivered SIF."""

    deployment: Deployment
    tests: Sequence[SmokeTest]
    run: str
    retry_failed: bool = False
    template_folders: Sequence[Path] = ()
    lock_wait_s: int = 60


def render_jobs(request: SmokeRequest, site: Site, commands: RuntimeCommands) -> list[Job]:
    """All jobs of a request, as text. Raises ConfigError before anything is submitted."""
    image = request.deployment.image
    return [
        render_job(
            test,
            request.deployment,
            site,
            comment=f"hpcbake:{request.run}:{site.name}:{image.name}:{test.name}",
            commands=commands,
            template_folders=request.template_folders,
        )
        for test in request.tests
    ]


def submit(request: SmokeRequest, site: Site, *, node: Node, commands: RuntimeCommands) -> list[Submission]:
    """Submit every test of the request, each exactly once. Raises SiteResourceError with Slurm's words."""
    return [_submit_job(request, job, site, node) for job in render_jobs(request, site, commands)]


def _submit_job(request: SmokeRequest, job: Job, site: Site, node: Node) -> Submission:
    image = request.deployment.image
    prefix = f"hpcbake-{image.digest.short}-{job.key}"
    outcome = node.run_script(
        render_site_script(
            "submit",
            **store_values(site.store),
            run=request.run,
            lock_wait=request.lock_wait_s,
            image=image.name,
            hex=image.digest.hex,
            test=job.test.name,
            key=job.key,
            job_name=prefix,
            job_script=job.script,
            retry="failed" if request.retry_failed else "no",
            sbatch_grace=_SBATCH_GRACE_S,
            prelude=site.slurm.prelude,
        ),
        timeout_s=_SCRIPT_TIMEOUT_S + request.lock_wait_s,
    )
    step = f"submit smoke test {job.test.name} of {image.name}"
    answer = read_answer(outcome, site=site.name, step=step, needs=("attempt", "state", "job"))
    return Submission(
        deployment=request.deployment,
        job=job,
        job_id=answer.find("job"),
        attempt=answer.find("attempt"),
        name_prefix=prefix,
        is_new=answer.find("state") != "finished",
    )


@dataclass
class _Waiting:
    """One job being waited for. Times are the clock's monotonic seconds."""

    submission: Submission
    since: float
    running_since: float | None = None
    ended_since: float | None = None
    last: Observation = field(default_factory=lambda: Observation(""))


def wait(
    submissions: Sequence[Submission],
    site: Site,
    *,
    node: Node,
    clock: Clock,
    on_progress: Callable[[Submission, str], None] = lambda _submission, _text: None,
) -> list[SmokeResult]:
    """Wait for all jobs with one question per interval, and say how each ended. Never raises for a job's own fate.

    A job that stays in the queue or runs past the site's deadlines is cancelled and UNKNOWN.
    """
    waiting = [_Waiting(submission, clock.monotonic()) for submission in submissions]
    results: dict[int, SmokeResult] = {}
    pause = site.slurm.poll_interval_s
    while True:
        for index, seen, answer in _poll(waiting, results, site, node):
            job = waiting[index]
            _note_progress(job, seen, clock.monotonic(), on_progress)
            conclusion = _conclusion(job, seen, clock.monotonic(), site, node)
            if conclusion is not None:
                results[index] = _to_result(job.submission, conclusion, answer, site)
        if len(results) == len(waiting):
            return [results[index] for index in range(len(waiting))]
        clock.sleep(pause)
        pause = min(pause * 1.3, max(30.0, site.slurm.poll_interval_s))


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
        prelude=site.slurm.prelude,
    )
    try:
        outcome = node.run_script(script, timeout_s=_SCRIPT_TIMEOUT_S)
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
        result=block.find_text("result"),
        slurm_error=slurm_error,
    )


def _note_progress(
    job: _Waiting, seen: Observation, now: float, on_progress: Callable[[Submission, str], None]
) -> None:
    if seen.state == "RUNNING" and job.running_since is None:
        job.running_since = now
    if (seen.state, seen.reason) != (job.last.state, job.last.reason) and seen.state:
        why = f" ({pending_reason(seen.reason)})" if seen.state == "PENDING" and seen.reason != "None" else ""
        on_progress(job.submission, f"job {job.submission.job_id} {seen.state.lower()}{why}")
    job.last = seen


def _conclusion(job: _Waiting, seen: Observation, now: float, site: Site, node: Node) -> Conclusion | None:
    is_active = bool(seen.slurm_error) or conclude(seen, name_prefix="", grace_over=True) is None
    if is_active:
        job.ended_since = None  # one empty answer of a busy scheduler is no end
    elif job.ended_since is None:
        job.ended_since = now
    grace_over = job.ended_since is not None and now - job.ended_since >= RESULT_GRACE_S
    conclusion = conclude(seen, name_prefix=job.submission.name_prefix, grace_over=grace_over)
    if conclusion is not None or not is_active:
        return conclusion
    if job.running_since is None and now - job.since > site.slurm.queue_deadline_s:
        why = seen.slurm_error or pending_reason(seen.reason)
        return _give_up(job, site, node, f"still queued after {site.slurm.queue_deadline_s:.0f} s: {why}")
    if job.running_since is not None and now - job.running_since > site.slurm.run_deadline_s:
        return _give_up(job, site, node, f"still running after {site.slurm.run_deadline_s:.0f} s")
    return None


def _give_up(job: _Waiting, site: Site, node: Node, why: str) -> Conclusion:
    script = render_site_script(
        "cancel", root=site.store.root, run="cancel", lock_wait=0, job=job.submission.job_id, prelude=site.slurm.prelude
    )
    try:
        outcome = node.run_script(script, timeout_s=_SCRIPT_TIMEOUT_S)
        gone = read_answer(outcome, site=site.name, step="cancel a job", needs=("gone",)).find("gone")
    except (SiteUnreachableError, SiteResourceError):
        gone = "unknown"
    after = {"yes": "cancelled", "no": "cancelling it did not work"}.get(gone, "could not be cancelled")
    return Conclusion(SmokeStatus.UNKNOWN, job.last.state or "UNKNOWN", f"{why}; {after}")


def _to_result(submission: Submission, conclusion: Conclusion, answer: Answer, site: Site) -> SmokeResult:
    out, err = answer.find_text("out"), answer.find_text("err")
    result = parse_result(answer.find_text("result"), submission.name_prefix)
    return SmokeResult(
        site=site.name,
        image=submission.deployment.image.name,
        test=submission.job.test.name,
        key=submission.job.key,
        status=conclusion.status,
        job_id=str(result.get("job_id") or submission.job_id),
        node=conclusion.node,
        state=conclusion.state,
        exit_code=conclusion.exit_code,
        reason=conclusion.reason,
        duration_s=conclusion.duration_s,
        figures=parse_figures(out),
        log_tail=tuple((out + err).splitlines()[-20:]),
        log_path=submission.attempt,
        changed=submission.is_new,
    )


def parse_figures(out: str) -> dict[str, str]:
    """Lines `hpcbake-figure name=value` of a job's output."""
    figures: dict[str, str] = {}
    for line in out.splitlines():
        if line.startswith(_FIGURE):
            name, _, value = line[len(_FIGURE) :].partition("=")
            figures[name.strip()] = value.strip()
    return figures
