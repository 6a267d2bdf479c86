"""Smoke jobs as the site's scripts handle them: submitted once, found again, told apart from those that are gone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.errors import HpcbakeError, SiteResourceError, SmokeUnknownError
from hpcbake.model.artefacts import Deployment, SmokeResult, SmokeStatus, SmokeTest
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, parse_answer_lines
from hpcbake.smoke.submit import SmokeRequest, Submission, submit
from hpcbake.smoke.wait import wait
from tests.clocks import FastClock
from tests.site_stand import SiteStand, built_image

KEY = "0123456789abcdef"


def submit_script(
    stand: SiteStand, *, run: str = "01RUN", retry: str = "no", prelude: str = "", again_after: str = ""
) -> Answer:
    """Submit one job of a script that only leaves its name, and give the answer, also that of a failure."""
    outcome = stand.run(
        "submit",
        run=run,
        image="app",
        hex="ab" * 32,
        test="cpu",
        key=KEY,
        job_name="hpcbake-ab",
        retry=retry,
        job_script="#!/bin/sh\n#SBATCH --job-name=@NAME@\n#SBATCH --partition=debug\necho @ATTEMPT@",
        sbatch_grace=0,
        again_after=again_after,
        detach="no",
        scheduler="slurm",
        time_limit=300,
        prelude=f"{stand.prelude}\n{prelude}",
    )
    return parse_answer_lines(outcome.stdout)


def attempt_folder(stand: SiteStand, number: int = 1) -> Path:
    return stand.root / f".hpcbake/jobs/app/{'ab' * 32}/cpu-{KEY}/attempt-{number}"


def leave_result(stand: SiteStand, why: str, *, number: int = 1, code: int = 0) -> None:
    """What a job leaves at its end."""
    document = {"kind": "hpcbake.smoke-result", "name": "hpcbake-ab.1.01RUN", "exit_code": code, "why": why}
    (attempt_folder(stand, number) / "result.json").write_text(json.dumps(document))


def grow_old(path: Path) -> None:
    os.utime(path, (path.stat().st_mtime - 60,) * 2)


# ---- submitted exactly once -----------------------------------------------------------------------------------------


def test_a_job_is_submitted_under_a_name_of_its_own(stand: SiteStand) -> None:
    """The name holds image, test, attempt and run; the script knows its folder."""
    answer = submit_script(stand)
    assert (answer.find("state"), answer.find("job")) == ("submitted", "101")
    assert stand.job(101).joinpath("name").read_text() == "hpcbake-ab.1.01RUN\n"
    assert f"echo {attempt_folder(stand)}" in (attempt_folder(stand) / "job.sh").read_text()
    assert stand.job(101).joinpath("folder").read_text().strip() == str(attempt_folder(stand))


def test_a_job_that_is_on_its_way_is_not_doubled(stand: SiteStand) -> None:
    """The next run takes up the job that it finds."""
    submit_script(stand)
    answer = submit_script(stand, run="01SECOND")
    assert (answer.find("state"), answer.find("job")) == ("submitted", "101")
    assert stand.jobs() == ["101"]


def test_a_job_whose_answer_was_lost_is_adopted_at_once(stand: SiteStand) -> None:
    """sbatch said no and Slurm has the job all the same: it is found by its name."""
    stand.tell("sbatch.mode", "answer-lost")
    answer = submit_script(stand)
    assert (answer.find("state"), answer.find("job")) == ("adopted", "101")
    assert stand.jobs() == ["101"]


def test_a_job_whose_answer_was_lost_is_adopted_by_the_next_run(stand: SiteStand) -> None:
    """A run that died between the submission and the writing of the job's number doubles nothing."""
    submit_script(stand)
    (attempt_folder(stand) / "job").unlink()
    answer = submit_script(stand, run="01SECOND")
    assert (answer.find("state"), answer.find("job")) == ("adopted", "101")
    assert stand.jobs() == ["101"]


def test_a_submission_that_never_arrived_is_made_again(stand: SiteStand) -> None:
    """Slurm answers and knows no job of that name: the next run may submit."""
    stand.tell("sbatch.mode", "lost")
    assert submit_script(stand).find("error").startswith("slurm-down")
    stand.untell("sbatch.mode")
    assert submit_script(stand, run="01SECOND").find("job") == "101"


@pytest.mark.parametrize("mode", ["lost", "down"])
def test_a_job_that_may_still_come_is_looked_for_by_the_next_run(stand: SiteStand, mode: str) -> None:
    """A timeout is no refusal: a job that arrives after it is adopted, not doubled."""
    stand.tell("sbatch.mode", mode)
    assert submit_script(stand).find("error").startswith("slurm-down")
    late = stand.job(77)
    late.mkdir()
    late.joinpath("name").write_text((attempt_folder(stand) / "name").read_text())
    late.joinpath("state").write_text("PENDING")
    assert submit_script(stand, run="01SECOND").find("job") == "77"
    assert stand.jobs() == ["77"]


def test_nothing_is_submitted_while_slurm_cannot_say_what_it_has(stand: SiteStand) -> None:
    """An earlier submission without an answer, and a scheduler that is silent: nobody knows, so nothing is done."""
    submit_script(stand)
    (attempt_folder(stand) / "job").unlink()
    stand.tell("squeue.down")
    assert submit_script(stand).find("error").startswith("slurm-down")
    assert len(stand.calls("sbatch")) == 1


def test_a_refusal_is_told_in_slurms_words_and_leaves_no_attempt(stand: SiteStand) -> None:
    """A partition that does not exist is the site config's mistake; mended, the same run goes on."""
    stand.tell("sbatch.mode", "refuse")
    error = submit_script(stand).find("error")
    assert error.startswith("slurm-refused")
    assert "Invalid partition name" in error
    stand.untell("sbatch.mode")
    assert submit_script(stand).find("attempt") == str(attempt_folder(stand, 1))


# ---- what was finished is used again ---------------------------------------------------------------------------------


def test_a_finished_result_is_used_again(stand: SiteStand) -> None:
    """The same test of the same SIF does not run twice."""
    submit_script(stand)
    leave_result(stand, "ok")
    answer = submit_script(stand, run="01SECOND")
    assert (answer.find("state"), answer.find("job"), stand.jobs()) == ("finished", "101", ["101"])


@pytest.mark.parametrize(
    ("why", "code", "retry", "attempts"),
    [
        ("ok", 0, "no", 1),
        ("ok", 0, "failed", 1),
        ("exit-code-3", 3, "no", 1),
        ("exit-code-3", 3, "failed", 2),
        ("died", 0, "failed", 2),
        ("time-limit", 143, "no", 1),
        ("terminated", 143, "no", 2),
        ("sif-changed", 43, "no", 2),
        ("", 0, "no", 2),
    ],
)
def test_a_result_decides_whether_the_test_runs_again(
    stand: SiteStand, why: str, code: int, retry: str, attempts: int
) -> None:
    """A verdict on the image stands unless a retry is asked for; a job that was ended from outside gave none."""
    submit_script(stand)
    leave_result(stand, why, code=code)
    answer = submit_script(stand, run="01SECOND", retry=retry)
    assert answer.find("attempt") == str(attempt_folder(stand, attempts))
    assert len(stand.jobs()) == attempts


@pytest.mark.parametrize("state", ["CANCELLED", "NODE_FAIL", "COMPLETED", "PREEMPTED"])
def test_a_job_that_ended_without_a_result_is_lost(stand: SiteStand, state: str) -> None:
    """Slurm says that it is over and nothing was left: the next run makes a new attempt."""
    submit_script(stand)
    stand.job(101).joinpath("state").write_text(state)
    grow_old(attempt_folder(stand) / "job")
    assert submit_script(stand, run="01SECOND").find("job") == "102"


def test_a_job_that_slurm_forgot_is_lost(stand: SiteStand) -> None:
    """Records go after a few minutes; a job without record and without result is not waited for."""
    submit_script(stand)
    stand.job(101).rename(stand.folder / "forgotten")
    grow_old(attempt_folder(stand) / "job")
    assert submit_script(stand, run="01SECOND").find("job") == "102"


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "REQUEUED", "A_STATE_OF_THE_FUTURE"])
def test_a_job_that_may_still_speak_is_not_lost(stand: SiteStand, state: str) -> None:
    """However old a job is, while Slurm has it the next run waits for it."""
    submit_script(stand)
    stand.job(101).joinpath("state").write_text(state)
    grow_old(attempt_folder(stand) / "job")
    assert submit_script(stand, run="01SECOND").find("job") == "101"


def test_a_young_job_is_not_lost(stand: SiteStand) -> None:
    """A scheduler may need a moment to show what it took."""
    submit_script(stand)
    stand.job(101).rename(stand.folder / "not-yet-shown")
    assert submit_script(stand, run="01SECOND").find("job") == "101"


def test_a_silent_scheduler_loses_no_job(stand: SiteStand) -> None:
    """No answer proves nothing: the job is waited for, not doubled."""
    submit_script(stand)
    grow_old(attempt_folder(stand) / "job")
    stand.tell("squeue.down")
    assert submit_script(stand, run="01SECOND").find("job") == "101"


def test_what_a_user_likes_to_see_hides_no_job(stand: SiteStand) -> None:
    """SQUEUE_* of the user's environment change what squeue shows, and must not make a job look lost."""
    submit_script(stand)
    grow_old(attempt_folder(stand) / "job")
    likes = "export SQUEUE_FORMAT2=name SQUEUE_PARTITION=other SQUEUE_STATES=RUNNING"
    assert submit_script(stand, run="01SECOND", prelude=likes).find("job") == "101"


def test_a_users_defaults_do_not_win_over_the_job(stand: SiteStand) -> None:
    """SBATCH_* of the user's environment would override the job's lines: what the site config sets is not theirs."""
    submit_script(stand, prelude="export SBATCH_PARTITION=theirs SBATCH_WAIT=1 SBATCH_ACCOUNT=theirs")
    given = stand.said("sbatch.environment").split()
    assert given == ["SBATCH_ACCOUNT=theirs"]


def test_a_login_node_without_slurm_is_told(stand: SiteStand) -> None:
    """A missing sbatch is a matter of the site config, not of Slurm being down."""
    assert submit_script(stand, prelude="PATH=/usr/bin:/bin").find("error").startswith("runtime no sbatch")


# ---- waiting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def deployment(stand: SiteStand) -> Deployment:
    """A SIF that lies in the store; what it holds does not matter to a stand-in."""
    stand.sif.parent.mkdir(parents=True)
    stand.sif.write_bytes(b"sif")
    return Deployment("here", built_image(), str(stand.sif), "0" * 64, 3, changed=True)


def submitted(stand: SiteStand, deployment: Deployment, *tests: SmokeTest) -> list[Submission]:
    request = SmokeRequest(deployment, tests or (SmokeTest("cpu"),), run="01RUN")
    return submit(request, stand.site, node=stand.node, commands=SpythonCommands(), clock=FastClock())


def waited(stand: SiteStand, submissions: Sequence[Submission], site: Site | None = None) -> list[SmokeResult]:
    return wait(submissions, site or stand.site, node=stand.node, clock=FastClock())


def test_the_job_itself_decides(stand: SiteStand, deployment: Deployment) -> None:
    """A job whose SIF is not the one that was verified says so, and that is its end."""
    stand.tell("sbatch.mode", "run")
    (result,) = waited(stand, submitted(stand, deployment))
    assert (result.status, result.reason, result.exit_code) == (SmokeStatus.FAILED, "sif changed", "43")
    assert result.job_id == "101"


def test_a_job_that_left_nothing_is_unknown(stand: SiteStand, deployment: Deployment) -> None:
    """Slurm's COMPLETED alone is no success."""
    submissions = submitted(stand, deployment)
    stand.job(101).joinpath("state").write_text("COMPLETED")
    (result,) = waited(stand, submissions)
    assert result.status is SmokeStatus.UNKNOWN


@pytest.mark.parametrize(
    ("accounting", "status"),
    [
        ("FAILED|1:0|n1", SmokeStatus.FAILED),
        ("TIMEOUT|0:0|n1", SmokeStatus.FAILED),
        ("CANCELLED by 1000|0:0|n1", SmokeStatus.UNKNOWN),
        ("NODE_FAIL|1:0|n1", SmokeStatus.UNKNOWN),
        ("COMPLETED|0:0|n1", SmokeStatus.UNKNOWN),
        ("FAILED|0:53|n1", SmokeStatus.FAILED),
        ("", SmokeStatus.UNKNOWN),
    ],
)
def test_accounting_is_asked_when_slurm_forgot(
    stand: SiteStand, deployment: Deployment, accounting: str, status: SmokeStatus
) -> None:
    """A job that is gone and left nothing ended as sacct says: failed where it says so, never passed."""
    submissions = submitted(stand, deployment)
    stand.job(101).rename(stand.folder / "forgotten")
    stand.tell("sacct", f"101|{accounting}|1|\n101.batch|{accounting}|1|2048K" if accounting else "")
    (result,) = waited(stand, submissions)
    assert result.status is status


def test_a_job_that_waits_for_ever_is_cancelled(stand: SiteStand, deployment: Deployment) -> None:
    """At the queue's deadline the job is cancelled, and Slurm's reason is told."""
    submissions = submitted(stand, deployment)
    stand.job(101).joinpath("reason").write_text("PartitionDown")
    (result,) = waited(stand, submissions)
    assert result.status is SmokeStatus.UNKNOWN
    assert "the partition is down" in result.reason
    assert result.reason.endswith("cancelled")
    assert stand.job(101).joinpath("state").read_text().strip() == "CANCELLED"


def test_a_job_that_runs_for_ever_is_cancelled(stand: SiteStand, deployment: Deployment) -> None:
    """At the run's deadline too."""
    submissions = submitted(stand, deployment)
    stand.job(101).joinpath("state").write_text("RUNNING")
    (result,) = waited(stand, submissions)
    assert "still running after 30 s; cancelled" in result.reason


def test_a_cancelled_job_is_looked_at(stand: SiteStand, deployment: Deployment) -> None:
    """scancel's own exit code says nothing: what Slurm still runs is not called gone."""
    stand.tell("sleep", "0.01")
    stand.tell("scancel.deaf")
    (result,) = waited(stand, submitted(stand, deployment))
    assert result.reason.endswith("cancelling it did not work")


def test_a_silent_scheduler_is_unknown_not_gone(stand: SiteStand, deployment: Deployment) -> None:
    """While Slurm is down a job is neither failed, nor lost, nor cancelled."""
    submissions = submitted(stand, deployment)
    stand.tell("squeue.down")
    (result,) = waited(stand, submissions)
    assert result.status is SmokeStatus.UNKNOWN
    assert "Unable to contact slurm controller" in result.reason
    assert result.reason.endswith("could not be cancelled")


def test_jobs_of_many_tests_are_asked_for_together(stand: SiteStand, deployment: Deployment) -> None:
    """One question to Slurm per round, however many jobs there are."""
    stand.tell("sbatch.mode", "run")
    submissions = submitted(stand, deployment, SmokeTest("one"), SmokeTest("two"), SmokeTest("three"))
    before = len(stand.calls("squeue"))
    results = waited(stand, submissions)
    assert [result.test for result in results] == ["one", "two", "three"]
    assert len(stand.calls("squeue")) == before + 1


def test_a_refused_job_is_a_matter_of_the_site_config(stand: SiteStand, deployment: Deployment) -> None:
    """Slurm's refusal is raised with its words."""
    stand.tell("sleep", "0.01")
    stand.tell("sbatch.mode", "refuse")
    with pytest.raises(SiteResourceError, match="Invalid partition name") as caught:
        submitted(stand, deployment)
    assert caught.value.kind == "slurm.refused"


def test_a_silent_scheduler_is_not_a_refusal(stand: SiteStand, deployment: Deployment) -> None:
    """Nobody knows whether the job will come."""
    stand.tell("sleep", "0.01")
    stand.tell("sbatch.mode", "down")
    stand.tell("squeue.down")
    with pytest.raises(SmokeUnknownError):
        submitted(stand, deployment)


@pytest.mark.parametrize("line", ["exit 0", "exec true"])
def test_a_prelude_that_ends_the_shell_has_told_nothing(stand: SiteStand, deployment: Deployment, line: str) -> None:
    """A script that ended well without its answer is a failure that names the prelude."""
    site = replace(stand.site, slurm=replace(stand.site.slurm, prelude=line))
    request = SmokeRequest(deployment, (SmokeTest("cpu"),), run="01RUN")
    with pytest.raises(HpcbakeError, match="ended without saying") as caught:
        submit(request, site, node=stand.node, commands=SpythonCommands(), clock=FastClock())
    assert caught.value.kind == "site.answer"
