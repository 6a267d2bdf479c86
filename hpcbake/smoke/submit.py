"""Hands smoke jobs to a site's scheduler, each exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hpcbake.errors import SiteUnreachableError, SmokeUnknownError
from hpcbake.model.artefacts import Deployment, SmokeResult, SmokeStatus, SmokeTest
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Clock, Node, RuntimeCommands
from hpcbake.model.site import Site
from hpcbake.sites.scripts import read_answer, render_site_script, store_values
from hpcbake.smoke.job import Job, choose_tests, parse_slurm_time, render_job, skip_reason

SCRIPT_TIMEOUT_S = 120.0
_SBATCH_GRACE_S = 10
#: The shortest time between two attempts to reach a Slurm that is down.
_DOWN_PAUSE_S = 2.0


@dataclass(frozen=True)
class SmokeRequest:
    """The tests of one delivered SIF. `programs` are the commands of it that users see.

    With `detach` the jobs are marked as left to themselves, for whoever collects them. Without `fresh` nothing is
    submitted: the jobs of earlier runs are all there is.
    """

    deployment: Deployment
    tests: Sequence[SmokeTest]
    run: str
    retry_failed: bool = False
    template_folders: Sequence[Path] = ()
    lock_wait_s: int = 60
    programs: Sequence[str] = ()
    detach: bool = False
    fresh: bool = True


@dataclass(frozen=True)
class Submission:
    """A job that the scheduler has, or whose result an earlier run left. `name` is what its result file must say.

    `request` and `job` are what it was made of; without them (it was found at the site) it is not made again.
    """

    image: str
    test: str
    key: str
    job_id: str
    attempt: str
    name: str
    is_new: bool
    request: SmokeRequest | None = None
    job: Job | None = None


def render_jobs(request: SmokeRequest, site: Site, commands: RuntimeCommands) -> list[Job]:
    """The jobs of a request that are for this site, as text. Raises ConfigError before anything is submitted."""
    image = request.deployment.image
    return [
        render_job(
            test,
            request.deployment,
            site,
            comment=f"hpcbake:{request.run}:{site.name}:{image.name}:{test.name}",
            commands=commands,
            template_folders=request.template_folders,
            programs=request.programs,
        )
        for test in choose_tests(site, request.tests)
        if not skip_reason(test, site)
    ]


def skipped_results(request: SmokeRequest, site: Site) -> list[SmokeResult]:
    """The tests of a request that are for this site and cannot run there, with the reason."""
    skipped = [(test, skip_reason(test, site)) for test in choose_tests(site, request.tests)]
    return [
        SmokeResult(
            site=site.name,
            image=request.deployment.image.name,
            test=test.name,
            key="",
            status=SmokeStatus.SKIPPED,
            reason=reason,
            changed=False,
        )
        for test, reason in skipped
        if reason
    ]


def submit(
    request: SmokeRequest,
    site: Site,
    *,
    node: Node,
    commands: RuntimeCommands,
    clock: Clock,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> list[Submission]:
    """Submit every test of the request, each exactly once.

    While Slurm does not answer it is asked again, up to the site's queue deadline: then SmokeUnknownError. Raises
    SiteResourceError with Slurm's words and what there is instead when it refuses.
    """
    jobs = render_jobs(request, site, commands)
    return [_submit_patiently(request, job, site, node, clock, on_progress) for job in jobs]


def submit_again(submission: Submission, site: Site, *, node: Node, clock: Clock) -> Submission:
    """The same job as a new attempt, in the place of one that ended without a word on the image."""
    assert submission.request is not None
    assert submission.job is not None
    return _submit_patiently(
        submission.request, submission.job, site, node, clock, lambda _text: None, again_after=submission.attempt
    )


def _submit_patiently(
    request: SmokeRequest,
    job: Job,
    site: Site,
    node: Node,
    clock: Clock,
    on_progress: Callable[[str], None],
    again_after: str = "",
) -> Submission:
    deadline = clock.monotonic() + site.slurm.queue_deadline_s
    pause = max(site.slurm.poll_interval_s, _DOWN_PAUSE_S)
    was_cut = False
    while True:
        try:
            return _submit_job(request, job, site, node, again_after)
        except SmokeUnknownError:
            if clock.monotonic() + pause > deadline:
                raise
            on_progress(f"{job.test.name}: Slurm does not answer, asking again in {pause:.0f} s")
        except SiteUnreachableError as error:
            # The script may have submitted the job, and may still be at it: run again it finds that out.
            if was_cut or error.kind not in ("ssh.lost", "ssh.timeout"):
                raise
            was_cut = True
            on_progress(f"{job.test.name}: the connection was cut, looking for the job")
        clock.sleep(pause)
        pause = min(pause * 1.5, 60.0)


def _submit_job(request: SmokeRequest, job: Job, site: Site, node: Node, again_after: str) -> Submission:
    image = request.deployment.image
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
            job_name=f"hpcbake-{image.digest.short}-{job.key}",
            job_script=job.script,
            retry="failed" if request.retry_failed else "no",
            again_after=again_after,
            detach="yes" if request.detach else "no",
            fresh="yes" if request.fresh else "no",
            sbatch_grace=_SBATCH_GRACE_S,
            time_limit=parse_slurm_time(site.slurm.time_limit),
            **scheduler_values(site),
        ),
        timeout_s=SCRIPT_TIMEOUT_S + request.lock_wait_s,
    )
    step = f"submit smoke test {job.test.name!r} of {image.name}"
    answer = read_answer(outcome, site=site.name, step=step, needs=("attempt", "state", "job", "name"))
    return Submission(
        image=image.name,
        test=job.test.name,
        key=job.key,
        job_id=answer.find("job"),
        attempt=answer.find("attempt"),
        name=answer.find("name"),
        is_new=answer.find("state") != "finished",
        request=request,
        job=job,
    )


def scheduler_values(site: Site) -> dict[str, str]:
    """What every script that asks the scheduler must know of it."""
    return {"prelude": site.slurm.prelude, "scheduler": site.slurm.scheduler}
