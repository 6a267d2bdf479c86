"""Smoke jobs as they run on a compute node: each end has its own word in the result file, and none is missed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.model.artefacts import Deployment, SmokeStatus, SmokeTest
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.smoke.conclude import Observation, conclude
from hpcbake.smoke.job import Job, render_job
from tests.site_stand import SiteStand, built_image

SIF = b"the sif of the tests"
RUNS = "arch x86_64\nos Rocky Linux 8.10 (Green Obsidian)\nlibc glibc 2.28\nchecked hpc-app\nlooked yes\n"


class JobStand:
    """One job's folder on a compute node."""

    def __init__(self, stand: SiteStand) -> None:
        self.stand = stand
        self.attempt = stand.folder.parent / "attempt-1"
        self.attempt.mkdir()
        self.sif = stand.folder.parent / "x.sif"
        self.sif.write_bytes(SIF)

    def deployment(self) -> Deployment:
        """The SIF of this node."""
        return Deployment("here", built_image(), str(self.sif), Digest.of(SIF).hex, len(SIF), changed=True)

    def write_job(self, job: Job) -> Path:
        """The job's file, as the site fills it in."""
        path = self.attempt / "job.sh"
        path.write_text(job.script.replace("@ATTEMPT@", str(self.attempt)).replace("@NAME@", "hpcbake-x.1.01RUN"))
        return path

    def script(self, test: SmokeTest, site: Site | None = None) -> Path:
        chosen = site or self.stand.site
        return self.write_job(render_job(test, self.deployment(), chosen, comment="c", commands=SpythonCommands()))

    def run_job(self, job: Job) -> str:
        """Run a job as Slurm would; its output."""
        self._run(self.write_job(job))
        return (self.attempt / "out").read_text()

    def run(self, test: SmokeTest, site: Site | None = None) -> tuple[int, dict[str, Any], str]:
        """Exit code, result file and output of the job."""
        code = self._run(self.script(test, site))
        return code, self.result(), (self.attempt / "out").read_text()

    def _run(self, script: Path) -> int:
        (self.attempt / "result.json").unlink(missing_ok=True)
        environment = {**os.environ, "SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n1"}
        with (self.attempt / "out").open("wb") as out, (self.attempt / "err").open("wb") as err:
            argv = ["/bin/sh", str(script)]
            return subprocess.run(
                argv, stdout=out, stderr=err, env=environment, cwd=self.attempt, check=False
            ).returncode

    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.attempt / "result.json").read_text())
        return document

    def status(self) -> SmokeStatus:
        """What a run concludes from the result."""
        seen = Observation("17", result=(self.attempt / "result.json").read_text())
        found = conclude(seen, name="hpcbake-x.1.01RUN", waited_s=20.0)
        assert found is not None
        return found.status


@pytest.fixture
def node(stand: SiteStand) -> JobStand:
    return JobStand(stand)


def test_a_container_that_starts_passes(node: JobStand) -> None:
    """With figures for the report."""
    node.stand.tell("container.out", RUNS)
    code, result, out = node.run(SmokeTest("cpu"))
    assert (code, result["exit_code"], result["why"], node.status()) == (0, 0, "ok", SmokeStatus.PASSED)
    assert (result["name"], result["job_id"], result["node"]) == ("hpcbake-x.1.01RUN", "17", os.uname().nodename)
    assert "hpcbake-figure os=Rocky Linux 8.10 (Green Obsidian)\nhpcbake-figure libc=glibc 2.28" in out
    assert result["elapsed_s"] >= 0
    assert result["max_rss_kb"] > 0


@pytest.mark.parametrize(
    ("out", "container_code", "why"),
    [
        ("", 255, "container-did-not-run"),
        (RUNS.replace("x86_64", "aarch64"), 0, "wrong-architecture"),
        ("", 0, "container-did-not-run"),
        ("arch x86_64\n", 0, "container-did-not-run"),
        (f"no-command hpc-app\n{RUNS}", 0, "command-missing"),
        (f"missing hpc-app: libx.so.1 => not found\n{RUNS}", 0, "library-not-found"),
        ("exec format error\n", 1, "container-did-not-run"),
    ],
)
def test_a_container_that_does_not_start_fails(node: JobStand, out: str, container_code: int, why: str) -> None:
    """Each with its own word."""
    node.stand.tell("container.out", out)
    node.stand.tell("container.code", str(container_code))
    code, result, _ = node.run(SmokeTest("cpu"))
    assert (code != 0, result["why"], node.status()) == (True, why, SmokeStatus.FAILED)


COMMAND = SmokeTest("c", "command", ("hpc-app", "--x"), expect_stdout="it's $(fine)")


@pytest.mark.parametrize(
    ("test", "out", "container_code", "why"),
    [
        (COMMAND, "yes: it's $(fine)\n", 0, "ok"),
        (COMMAND, "it is fine\n", 0, "output-differs"),
        (COMMAND, "it's $(fine)\n", 3, "exit-code-3"),
        (replace(COMMAND, expect_exit=3), "it's $(fine)\n", 3, "ok"),
        (replace(COMMAND, expect_exit=3), "it's $(fine)\n", 0, "exit-code-0"),
        (replace(COMMAND, expect_stdout=""), "", 0, "ok"),
        (replace(COMMAND, expect_stdout="-e"), "x -e y\n", 0, "ok"),
        (replace(COMMAND, expect_stdout="a.c"), "abc\n", 0, "output-differs"),
    ],
)
def test_a_command_ends_as_it_should(node: JobStand, test: SmokeTest, out: str, container_code: int, why: str) -> None:
    """Its exit code and its output, both literally."""
    node.stand.tell("container.out", out)
    node.stand.tell("container.code", str(container_code))
    code, result, printed = node.run(test)
    assert (result["why"], code == 0, node.status() is SmokeStatus.PASSED) == (why, why == "ok", why == "ok")
    assert out in printed


def test_a_sif_that_changed_is_not_run(node: JobStand) -> None:
    """Every byte is read on the node before the container starts."""
    script = node.script(SmokeTest("cpu"))
    node.sif.write_bytes(b"tampered")
    subprocess.run(["/bin/sh", str(script)], capture_output=True, check=False)
    assert (node.result()["why"], node.result()["exit_code"]) == ("sif-changed", 43)
    assert node.stand.calls("apptainer") == []


@pytest.mark.parametrize("line", ['[ -n "$NEVER_SET_ANYWHERE" ] || true', "set -e", "false"])
def test_a_prelude_need_not_be_written_for_us(node: JobStand, line: str) -> None:
    """As on the login node."""
    node.stand.tell("container.out", RUNS)
    site = replace(node.stand.site, slurm=replace(node.stand.site.slurm, prelude=f"{node.stand.prelude}\n{line}"))
    assert node.run(SmokeTest("cpu"), site)[1]["why"] == "ok"


@pytest.mark.parametrize(("line", "code"), [("exit 0", 0), ("exit 5", 5)])
def test_a_prelude_that_ends_the_job_is_no_success(node: JobStand, line: str, code: int) -> None:
    """Exit code 0 without the script's own word is a failure."""
    site = replace(node.stand.site, slurm=replace(node.stand.site.slurm, prelude=line))
    ended, result, _ = node.run(SmokeTest("cpu"), site)
    assert (ended, result["why"], node.status()) == (code, "died", SmokeStatus.FAILED)


@pytest.mark.parametrize(
    ("time_limit", "why", "status"),
    [("00:05:00", "terminated", SmokeStatus.UNKNOWN), ("00:00:10", "time-limit", SmokeStatus.FAILED)],
)
def test_a_job_that_is_ended_says_by_whom(node: JobStand, time_limit: str, why: str, status: SmokeStatus) -> None:
    """TERM before the time limit is somebody else's doing; at the limit it is the image's."""
    node.stand.tell("container.hangs")
    site = replace(node.stand.site, slurm=replace(node.stand.site.slurm, time_limit=time_limit))
    job = subprocess.Popen(["/bin/sh", str(node.script(SmokeTest("cpu"), site))], start_new_session=True)
    for _ in range(1000):
        if (node.stand.folder / "running").exists():
            break
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGTERM)
    job.wait(timeout=20)
    assert (node.result()["why"], node.status()) == (why, status)


def test_a_killed_job_leaves_no_result(node: JobStand) -> None:
    """kill -9 leaves nothing, and nothing half."""
    node.stand.tell("container.hangs")
    job = subprocess.Popen(["/bin/sh", str(node.script(SmokeTest("cpu")))], start_new_session=True)
    for _ in range(1000):
        if (node.stand.folder / "running").exists():
            break
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert not (node.attempt / "result.json").exists()
