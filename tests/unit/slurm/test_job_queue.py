"""Smoke jobs that are submitted again, left to themselves, or run by a machine without Slurm."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.adapters.clock import SystemClock
from hpcbake.errors import SiteResourceError, SiteUnreachableError, SmokeUnknownError
from hpcbake.model.artefacts import Deployment, SmokeResult, SmokeStatus, SmokeTest
from hpcbake.model.ports import Outcome
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.smoke.collect import find_left_jobs, mark_seen
from hpcbake.smoke.submit import SmokeRequest, Submission, submit
from hpcbake.smoke.wait import wait
from tests.clocks import FastClock
from tests.site_stand import SiteStand, built_image


@pytest.fixture
def deployment(stand: SiteStand) -> Deployment:
    """A SIF that lies in the store; its bytes are what was verified."""
    stand.sif.parent.mkdir(parents=True)
    stand.sif.write_bytes(b"sif")
    return Deployment("here", built_image(), str(stand.sif), Digest.of(b"sif").hex, 3, changed=True)


def submitted(
    stand: SiteStand, deployment: Deployment, site: Site | None = None, *, detach: bool = False, run: str = "01RUN"
) -> list[Submission]:
    request = SmokeRequest(deployment, (SmokeTest("c", "command", ("hpc-app",)),), run=run, detach=detach)
    return submit(request, site or stand.site, node=stand.node, commands=SpythonCommands(), clock=FastClock())


def waited(stand: SiteStand, submissions: list[Submission], site: Site | None = None) -> SmokeResult:
    (result,) = wait(submissions, site or stand.site, node=stand.node, clock=FastClock())
    return result


# ---- a result of this job only --------------------------------------------------------------------------------------


def test_a_result_under_another_name_counts_for_nothing(stand: SiteStand, deployment: Deployment) -> None:
    """Of another run or attempt, in whatever place: not finished, not passed."""
    (first,) = submitted(stand, deployment)
    stale = {"kind": "hpcbake.smoke-result", "name": f"{first.name}X", "exit_code": 0, "why": "ok"}
    (Path(first.attempt) / "result.json").write_text(json.dumps(stale))
    (again,) = submitted(stand, deployment, run="01SECOND")
    assert (again.is_new, again.job_id, again.name) == (True, first.job_id, first.name)
    stand.job(101).joinpath("state").write_text("COMPLETED")
    assert waited(stand, [again]).status is SmokeStatus.UNKNOWN


def test_a_result_by_another_job_counts_for_nothing(stand: SiteStand, deployment: Deployment) -> None:
    """The right name and a wrong number."""
    (first,) = submitted(stand, deployment)
    forged = {"kind": "hpcbake.smoke-result", "name": first.name, "exit_code": 0, "why": "ok", "job_id": "99"}
    (Path(first.attempt) / "result.json").write_text(json.dumps(forged))
    stand.job(101).joinpath("state").write_text("COMPLETED")
    assert waited(stand, [first]).status is SmokeStatus.UNKNOWN


def test_what_a_test_is_given_is_not_filled_in(stand: SiteStand, deployment: Deployment) -> None:
    """The job's places for folder and name end with its head: a command that looks like one stays what it is."""
    request = SmokeRequest(deployment, (SmokeTest("c", "command", ("x", "@NAME@", "@ATTEMPT@")),), run="01RUN")
    (one,) = submit(request, stand.site, node=stand.node, commands=SpythonCommands(), clock=FastClock())
    script = (Path(one.attempt) / "job.sh").read_text()
    assert " x @NAME@ @ATTEMPT@ >" in script
    assert f"name={one.name}\n" in script


# ---- submitted again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "BOOT_FAIL"])
def test_the_clusters_own_failure_is_tried_once_more(stand: SiteStand, deployment: Deployment, state: str) -> None:
    """A new attempt, whose word counts; and no third."""
    submissions = submitted(stand, deployment)
    stand.job(101).joinpath("state").write_text(state)
    stand.tell("sbatch.mode", "run")
    result = waited(stand, submissions)
    assert (result.status, result.job_id) == (SmokeStatus.PASSED, "102")
    assert result.log_path.endswith("/attempt-2")


def test_there_is_no_third_try(stand: SiteStand, deployment: Deployment) -> None:
    """Two nodes that fail are inconclusive."""
    submissions = submitted(stand, deployment)
    stand.job(101).joinpath("state").write_text("NODE_FAIL")
    stand.tell("sbatch.state", "NODE_FAIL")
    result = waited(stand, submissions)
    assert (result.status, result.job_id, stand.jobs()) == (SmokeStatus.UNKNOWN, "102", ["101", "102"])


def test_a_cancelled_job_is_not_tried_again(stand: SiteStand, deployment: Deployment) -> None:
    """Somebody wanted it gone."""
    submissions = submitted(stand, deployment)
    stand.job(101).joinpath("state").write_text("CANCELLED")
    assert waited(stand, submissions).status is SmokeStatus.UNKNOWN
    assert stand.jobs() == ["101"]


def test_the_comment_finds_a_job_whose_name_was_changed(stand: SiteStand, deployment: Deployment) -> None:
    """A site's own submit rules may rename jobs."""
    (first,) = submitted(stand, deployment)
    (Path(first.attempt) / "job").unlink()
    stand.job(101).joinpath("name").write_text("renamed-by-the-site")
    stand.job(101).joinpath("comment").write_text("hpcbake:01RUN:here:app:c")
    (again,) = submitted(stand, deployment, run="01SECOND")
    assert (again.job_id, stand.jobs()) == ("101", ["101"])


def test_a_slurm_that_comes_back_is_asked_again(stand: SiteStand, deployment: Deployment) -> None:
    """Up to the queue's deadline; then nobody knows."""
    stand.tell("sleep", "0.01")
    stand.tell("sbatch.mode", "down")
    clock = ClockThatMends(stand)
    request = SmokeRequest(deployment, (SmokeTest("cpu"),), run="01RUN")
    (one,) = submit(request, stand.site, node=stand.node, commands=SpythonCommands(), clock=clock)
    assert (one.job_id, len(stand.calls("sbatch"))) == ("101", 2)
    stand.tell("sbatch.mode", "down")
    with pytest.raises(SmokeUnknownError):
        submitted(stand, deployment)


class ClockThatMends(FastClock):
    """Slurm is back after the first pause."""

    def __init__(self, stand: SiteStand) -> None:
        super().__init__()
        self._stand = stand

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        (self._stand.folder / "sbatch.mode").unlink(missing_ok=True)


class NodeThatCuts:
    """The connection ends right after the first script has done its work."""

    name = "here"

    def __init__(self, stand: SiteStand, cuts: int) -> None:
        self._node, self._left = stand.node, cuts

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        outcome = self._node.run_script(script, timeout_s=timeout_s)
        self._left -= 1
        if self._left >= 0:
            raise SiteUnreachableError("here: the connection was lost", kind="ssh.lost")
        return outcome

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        raise AssertionError

    def close(self) -> None:
        """Nothing is held open."""


def test_a_lost_connection_loses_no_job(stand: SiteStand, deployment: Deployment) -> None:
    """Looked for once more, found; when it is cut again that is the site's failure, and still one job."""
    request = SmokeRequest(deployment, (SmokeTest("cpu"),), run="01RUN")
    node = NodeThatCuts(stand, 1)
    (one,) = submit(request, stand.site, node=node, commands=SpythonCommands(), clock=FastClock())
    assert (one.job_id, stand.jobs()) == ("101", ["101"])
    with pytest.raises(SiteUnreachableError):
        submit(request, stand.site, node=NodeThatCuts(stand, 2), commands=SpythonCommands(), clock=FastClock())
    assert stand.jobs() == ["101"]


def test_a_refusal_lists_what_there_is(stand: SiteStand, deployment: Deployment) -> None:
    """Partitions by sinfo, accounts and QOS by sacctmgr."""
    stand.tell("sleep", "0.01")
    stand.tell("sbatch.mode", "refuse")
    for name, text in (("sinfo", "debug\nlong\ndebug"), ("sacctmgr", "proj|\nother|")):
        program = stand.folder / "bin" / name
        program.write_text(f"#!/bin/sh\nprintf '{text}\\n'\n")
        program.chmod(0o755)
    with pytest.raises(SiteResourceError, match="partitions: debug long; accounts: other proj") as caught:
        submitted(stand, deployment)
    assert "Invalid partition name" in caught.value.message


def test_the_memory_of_the_largest_step_is_kept(stand: SiteStand, deployment: Deployment) -> None:
    """By Slurm's accounting where there is one."""
    stand.tell("sbatch.mode", "run")
    stand.tell(
        "sacct", "101|COMPLETED|0:0|n1|3|\n101.batch|COMPLETED|0:0|n1|3|2048K\n101.0|COMPLETED|0:0|n1|3|5242880\n"
    )
    result = waited(stand, submitted(stand, deployment))
    assert (result.status, result.max_rss_kb, result.memory_by) == (SmokeStatus.PASSED, 5120, "sacct")


# ---- left to themselves ---------------------------------------------------------------------------------------------


def test_jobs_that_were_left_are_found_once(stand: SiteStand, deployment: Deployment) -> None:
    """Found by whoever collects, until somebody has seen their end."""
    submitted(stand, deployment, detach=True)
    ((digest, left),) = find_left_jobs(stand.site, node=stand.node)
    assert (digest, left.image, left.test, left.job_id) == (str(deployment.image.digest), "app", "c", "101")
    mark_seen([left], stand.site, node=stand.node)
    stand.job(101).joinpath("state").write_text("COMPLETED")
    assert find_left_jobs(stand.site, node=stand.node) == []


def test_a_job_that_a_run_waits_for_is_no_longer_left(stand: SiteStand, deployment: Deployment) -> None:
    """The next ship takes it up; while Slurm has it, whoever collects sees it all the same."""
    submitted(stand, deployment, detach=True)
    (taken,) = submitted(stand, deployment, run="01SECOND")
    assert taken.job_id == "101"
    assert [left.job_id for _, left in find_left_jobs(stand.site, node=stand.node)] == ["101"]
    stand.job(101).joinpath("state").write_text("FAILED")
    assert find_left_jobs(stand.site, node=stand.node) == []


def test_nothing_is_left_in_an_empty_store(stand: SiteStand) -> None:
    """And looking makes nothing."""
    assert find_left_jobs(stand.site, node=stand.node) == []
    assert not stand.root.exists()


# ---- without Slurm --------------------------------------------------------------------------------------------------


@pytest.fixture
def local(stand: SiteStand) -> Site:
    """The same site with nobody but itself to run jobs."""
    slurm = replace(stand.site.slurm, scheduler="local", poll_interval_s=0.2, run_deadline_s=60)
    return replace(stand.site, slurm=slurm)


def local_result(stand: SiteStand, deployment: Deployment, local: Site) -> SmokeResult:
    submissions = submitted(stand, deployment, local)
    (result,) = wait(submissions, local, node=stand.node, clock=SystemClock())
    return result


def test_a_local_job_passes(stand: SiteStand, deployment: Deployment, local: Site) -> None:
    """The same file, the same word; sbatch is never called."""
    result = local_result(stand, deployment, local)
    assert (result.status, result.job_id, result.exit_code) == (SmokeStatus.PASSED, "1", "0")
    assert stand.calls("sbatch") == []
    (again,) = submitted(stand, deployment, local, run="01SECOND")
    assert (again.is_new, again.job_id) == (False, "1")


def test_a_local_job_fails(stand: SiteStand, deployment: Deployment, local: Site) -> None:
    """With the container's code."""
    stand.tell("container.code", "7")
    result = local_result(stand, deployment, local)
    assert (result.status, result.exit_code, result.reason) == (SmokeStatus.FAILED, "7", "exit code 7")


def test_a_local_job_is_ended_at_its_time_limit(stand: SiteStand, deployment: Deployment, local: Site) -> None:
    """As Slurm would, and that is the image's failure."""
    stand.tell("container.hangs")
    local = replace(local, slurm=replace(local.slurm, time_limit="00:00:02"))
    result = local_result(stand, deployment, local)
    assert (result.status, result.reason) == (SmokeStatus.FAILED, "it ran into its time limit")


def test_a_local_job_is_cancelled_at_the_deadline(stand: SiteStand, deployment: Deployment, local: Site) -> None:
    """Nothing of it runs on."""
    stand.tell("container.hangs")
    local = replace(local, slurm=replace(local.slurm, run_deadline_s=1))
    result = local_result(stand, deployment, local)
    assert (result.status, result.reason) == (SmokeStatus.UNKNOWN, "still running after 1 s; cancelled")
    assert not Path(f"/proc/{stand.said('running').strip()}").exists()
