"""Faults on real parts: a full disk, a registry that is gone, a scheduler that does not answer, two runs at once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.chain import SITES, Chain, kill_hard, make_chain, outcomes, stages, wait_until, write_site
from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.alone]


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


def test_a_full_disk_is_named_and_leaves_nothing(chain: Chain) -> None:
    """No room in the store: exit 42 with path, need and have; not one partial file stays."""
    chain.root = f"/tight/{chain.namespace}"
    write_site(chain, "birch", runtime={"tmpdir": "/tmp"})
    ballast = f"/tight/ballast-{chain.namespace}"
    chain.lab.ssh("birch", f"head -c 6m /dev/zero > {ballast}")
    try:
        report = chain.ship("--site", "birch")
    finally:
        chain.lab.ssh("birch", f"rm -f {ballast}")
    assert report["exit"]["code"] == 42
    error = report["errors"][0]
    assert error["kind"] == "site.space"
    assert re.search(rf"{chain.root}\S* needs \d+ kB and has \d+ kB", error["message"])
    assert [name for name in chain.files("birch") if name.endswith(".sif")] == []
    assert chain.lab.ssh("birch", f"ls {chain.root}/.hpcbake/incoming {chain.root}/.hpcbake/leases").stdout.split() == [
        f"{chain.root}/.hpcbake/incoming:",
        f"{chain.root}/.hpcbake/leases:",
    ]


def test_a_store_on_a_noexec_file_system_says_what_to_set(chain: Chain) -> None:
    """apptainer cannot unpack on a file system without execution: the message names the key that mends it."""
    chain.root = f"/tight/{chain.namespace}"
    write_site(chain, "birch")
    error = chain.ship("--site", "birch")["errors"][0]
    assert error["kind"] == "site.noexec"
    assert "runtime.tmpdir" in error["remedy"]
    write_site(chain, "birch", runtime={"tmpdir": "/tmp"})
    assert chain.ship("--site", "birch", "--until", "deliver")["exit"]["code"] == 0
    assert chain.lab.ssh("birch", "ls -d /tmp/hpcbake-* 2>/dev/null").stdout == ""


def test_a_store_that_cannot_be_written_is_named(chain: Chain) -> None:
    """A store below a folder of root's: exit 42, and the login node's own words."""
    chain.root = f"/usr/{chain.namespace}"
    write_site(chain, "alder")
    report = chain.ship("--site", "alder")
    assert report["exit"]["code"] == 42
    assert report["errors"][0]["kind"] == "site.permission"
    assert "Permission denied" in report["errors"][0]["message"]


def test_a_poisoned_cache_of_the_user_does_not_matter(chain: Chain) -> None:
    """Rubbish in ~/.apptainer/cache is never read: every pull has a cache of its own."""
    chain.lab.ssh("alder", "mkdir -p ~/.apptainer && rm -rf ~/.apptainer/cache && echo rubbish > ~/.apptainer/cache")
    try:
        assert chain.ship("--site", "alder")["exit"]["code"] == 0
    finally:
        chain.lab.ssh("alder", "rm -f ~/.apptainer/cache")


@contextmanager
def frozen_slurmctld(chain: Chain, node: str) -> Iterator[None]:
    """Stop the controller as a hung file system would: it holds its sockets and answers nothing."""
    chain.lab.exec(node, ["pkill", "-STOP", "slurmctld"])
    try:
        yield
    finally:
        chain.lab.exec(node, ["pkill", "-CONT", "slurmctld"])


def test_a_lost_answer_of_sbatch_never_makes_two_jobs(chain: Chain) -> None:
    """slurmctld hangs while the job is submitted: exit 51, nothing promoted; the next run takes up the one job."""
    reference = chain.run("build", check=True).stdout.split()[1]
    chain.run("deliver", f"{chain.image}={reference}", "--site", "alder", check=True)
    write_site(chain, "alder", slurm={"queue_deadline": "3s"})
    with frozen_slurmctld(chain, "alder"):
        report = chain.ship("--site", "alder")
    write_site(chain, "alder")
    assert report["exit"]["code"] == 51, report["errors"]
    assert chain.readlink("alder") == ""
    wait_until(lambda: chain.lab.ssh("alder", "squeue -h").returncode == 0, "Slurm answers again")
    time.sleep(3)
    assert chain.ship("--site", "alder")["exit"]["code"] == 0
    name = chain.lab.ssh("alder", f"cat {chain.root}/.hpcbake/jobs/*/*/*/attempt-*/name").stdout.split()
    assert len(name) == 1
    listed = chain.lab.ssh("alder", f"sacct -nX -o JobID --name {name[0]} -S now-1hour").stdout.split()
    assert len(listed) == 1, f"exactly one job: {listed}"


def test_a_job_that_waits_for_ever_is_cancelled_and_said(chain: Chain) -> None:
    """A partition that is down: after the queue's deadline the job is cancelled and gone; exit 51 with the reason."""
    write_site(chain, "alder", slurm={"partition": "closed", "queue_deadline": "4s"})
    report = chain.ship("--site", "alder")
    assert report["exit"]["code"] == 51
    message = report["errors"][0]["message"]
    assert "PartitionDown" in message
    assert "cancelled" in message
    job = stages(report, "alder")["smoke"]["evidence"]["jobs"][0]["id"]
    assert chain.lab.ssh("alder", f"squeue -h -j {job} -t PENDING,RUNNING").stdout == ""


def test_slurm_s_refusal_is_told_in_its_own_words(chain: Chain) -> None:
    """An account that does not exist: exit 42, Slurm's own sentence, no job."""
    write_site(chain, "alder", slurm={"account": "nosuchaccount"})
    report = chain.ship("--site", "alder")
    assert report["exit"]["code"] == 42
    assert "Invalid account" in report["errors"][0]["message"]
    assert chain.jobs("alder") == []


def test_a_cancelled_job_is_inconclusive_not_failed(chain: Chain) -> None:
    """Somebody cancels the smoke job: exit 51, nothing promoted, and the next run makes a new attempt."""
    (chain.folder / "hpcbake.yaml").write_text("smoke:\n  - name: slow\n    command: [sleep, '20']\n")
    process = chain.start("ship", "--json", "--site", "birch")
    marks = f"cat {chain.root}/.hpcbake/jobs/*/*/*/attempt-1/job 2>/dev/null"
    wait_until(lambda: bool(chain.lab.ssh("birch", marks).stdout), "the job")
    time.sleep(2)
    chain.lab.ssh("birch", f"scancel $({marks})")
    out, err = process.communicate(timeout=120)
    report = json.loads(out)
    assert report["exit"]["code"] == 51, err
    assert chain.readlink("birch") == ""


def test_two_runs_at_once_converge(chain: Chain) -> None:
    """The same command twice at the same time: both end well, one SIF, one job, one current."""
    first, second = chain.start("ship", "--json", "--site", "alder"), chain.start("ship", "--json", "--site", "alder")
    reports = [json.loads(process.communicate(timeout=300)[0]) for process in (first, second)]
    assert [report["exit"]["code"] for report in reports] == [0, 0], [report["errors"] for report in reports]
    assert len([name for name in chain.files("alder") if name.endswith(".sif")]) == 1
    assert len(chain.jobs("alder")) == 1


def test_a_registry_that_is_gone_is_temporary(chain: Chain) -> None:
    """The login nodes lose the registry after the build: exit 22, which a nightly may try again; then it works."""
    reference = chain.run("build", check=True).stdout.split()[1]
    for site in SITES:
        write_site(chain, site, runtime={"plain_http": ["localhost:5083"]})
    forward = f"TCP-LISTEN:{chain.lab.registry.split(':')[1]},bind=127.0.0.1,fork,reuseaddr"
    running = chain.lab.exec("alder", ["pgrep", "-af", forward]).stdout.splitlines()[0].split(maxsplit=1)[1]
    chain.lab.exec("alder", ["pkill", "-KILL", "-f", forward])
    try:
        report = chain.ship("--site", "alder")
    finally:
        chain.lab.docker("exec", "-d", chain.lab.container("alder"), *running.split())
    assert report["exit"]["code"] == 22, report["errors"]
    assert outcomes(report) == {"alder": "failed"}
    assert chain.readlink("alder") == ""
    assert chain.ship("--site", "alder")["exit"]["code"] == 0
    assert reference.rsplit(":", 1)[-1] in chain.readlink("alder")


def test_a_login_node_that_freezes_is_bounded(chain: Chain) -> None:
    """A login node that stops answering in the middle of a pull: exit 40 by the deadline, and the next run resumes."""
    write_site(chain, "alder", runtime={"pull_timeout": "2s"}, login={"connect_timeout": "3s"})
    process = chain.start("ship", "--json", "--site", "alder")
    wait_until(lambda: bool(chain.lab.ssh("alder", f"ls {chain.root}/.hpcbake/leases").stdout), "a lease")
    kill_hard(process)
    chain.lab.docker("pause", chain.lab.container("alder"))
    try:
        began = time.monotonic()
        report = chain.ship("--site", "alder")
        assert time.monotonic() - began < 60
        assert report["exit"]["code"] == 40
    finally:
        chain.lab.docker("unpause", chain.lab.container("alder"))
    write_site(chain, "alder", runtime={"pull_timeout": "5m"})
    assert chain.ship("--site", "alder")["exit"]["code"] == 0
