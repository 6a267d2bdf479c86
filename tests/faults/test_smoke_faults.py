"""Bad days of smoke jobs on the lab's real Slurm: each ends with the word that is true, and nothing runs twice."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.chain import Chain, make_chain, wait_until, write_site
from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.alone]


@dataclass
class Bench:
    """One delivered image on both sites; every test gives it smoke tests of its own."""

    chain: Chain
    reference: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def test(self, name: str, *command: str, **keys: Any) -> None:
        """The only smoke test of the project from now on."""
        entry: dict[str, Any] = {"name": name, **({"command": list(command)} if command else {}), **keys}
        (self.chain.folder / "hpcbake.yaml").write_text(json.dumps({"smoke": [entry]}))

    def words(self, site: str, *more: str) -> list[str]:
        return ["smoke", f"{self.chain.image}={self.reference}", "--site", site, "--json", *more]

    def smoke(self, site: str, *more: str) -> dict[str, Any]:
        """Run it to its end: the report."""
        done = self.chain.run(*self.words(site, *more))
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["exit"]["code"] == done.returncode, done.stderr
        return report

    def start(self, site: str) -> subprocess.Popen[str]:
        process = self.chain.start(*self.words(site))
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(process.communicate(timeout=240)[0])
        return report

    def attempts(self, site: str, test: str) -> list[str]:
        """The folders of a test's attempts, oldest first."""
        found = self.chain.lab.ssh(site, f"ls -d {self.chain.root}/.hpcbake/jobs/*/*/{test}-*/attempt-* 2>/dev/null")
        return found.stdout.split()

    def started(self, site: str, test: str, *, number: int = 1) -> str:
        """Wait until the job of an attempt runs on its node; its id."""
        shown = f"cat {self.chain.root}/.hpcbake/jobs/*/*/{test}-*/attempt-{number}/job 2>/dev/null"

        def runs() -> bool:
            job = self.chain.lab.ssh(site, shown).stdout.strip()
            return bool(job) and self.chain.lab.ssh(site, f"squeue -h -j {job} -o %T").stdout.strip() == "RUNNING"

        wait_until(runs, f"{test} runs", pause_s=0.3)
        return self.chain.lab.ssh(site, shown).stdout.strip()

    def root(self, site: str, *argv: str) -> str:
        """Run something as root on a machine of the lab."""
        return self.chain.lab.exec(site, argv).stdout

    def jobs_named(self, site: str, attempt: str) -> list[str]:
        """Ids of the jobs that Slurm has under an attempt's name."""
        name = self.chain.lab.ssh(site, f"cat {attempt}/name").stdout.strip()
        return self.chain.lab.ssh(site, f"squeue -h -t all -n {name} -o %i").stdout.split()


def only_job(report: dict[str, Any]) -> dict[str, Any]:
    """The job of the report's smoke stage."""
    (image,) = report["sites"][0]["images"]
    stage = next(stage for stage in image["stages"] if stage["name"] == "smoke")
    job: dict[str, Any] = stage["evidence"]["jobs"][0]
    return job


def answers(bench: Bench, site: str) -> bool:
    return bench.chain.lab.ssh(site, "squeue -h").returncode == 0


@pytest.fixture(scope="module")
def bench(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Delivered once. A job that runs over its time is started at once, so that nobody need wait for its end."""
    chain = make_chain(lab, tmp_path_factory.mktemp("smoke-faults"))
    reference = chain.run("build", check=True).stdout.split()[1]
    chain.run("deliver", f"{chain.image}={reference}", check=True)
    made = Bench(chain, reference)
    write_site(chain, "alder", slurm={"time_limit": "00:01:00"})
    made.test("overtime", "sleep", "300")
    made.smoke("alder", "--detach")
    yield made
    for site in ("alder", "birch"):
        lab.ssh(site, f"scancel $(cat {chain.root}/.hpcbake/jobs/*/*/*/attempt-*/job)")
    chain.wipe()


@pytest.fixture(autouse=True)
def restored(bench: Bench) -> Iterator[None]:
    """Both sites as they were, before and after: configs, processes, nodes, controllers, jobs."""
    for site in ("alder", "birch"):
        write_site(bench.chain, site)
    yield
    for process in bench.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
    bench.processes.clear()
    for site, node in (("alder", "alder"), ("birch", "birch-c1")):
        bench.root(site, "sh", "-c", "pkill -CONT slurmctld; pgrep -x slurmctld || slurmctld")
        wait_until(lambda site=site: answers(bench, site), f"Slurm answers at {site}")  # type: ignore[misc]
        if bench.root(site, "sinfo", "-h", "-n", node, "-o", "%t").split()[:1] not in (["idle"], ["mix"], ["alloc"]):
            bench.root(site, "scontrol", "update", f"nodename={node}", "state=resume")


# ---- Slurm that does not answer -------------------------------------------------------------------------------------


@contextmanager
def frozen(bench: Bench, site: str) -> Iterator[None]:
    """The controller as a hung file system leaves it: it holds its sockets and answers nothing."""
    bench.root(site, "pkill", "-STOP", "-x", "slurmctld")
    try:
        yield
    finally:
        bench.root(site, "pkill", "-CONT", "-x", "slurmctld")


def test_a_controller_that_stops_while_a_job_is_submitted(bench: Bench) -> None:
    """sbatch fails, the job comes all the same: it is found and waited for, and there is exactly one."""
    bench.test("frozen", "true-of-sh", template="cpu")
    with frozen(bench, "alder"):
        process = bench.start("alder")
        wait_until(lambda: bool(bench.attempts("alder", "frozen")), "the attempt", pause_s=0.3)
        time.sleep(6)
    report = bench.end(process)
    assert report["exit"]["code"] == 0, report["errors"]
    (attempt,) = bench.attempts("alder", "frozen")
    assert bench.jobs_named("alder", attempt) == [only_job(report)["id"]]


def test_a_controller_that_is_down_to_the_deadline(bench: Bench) -> None:
    """Inconclusive, in Slurm's words; when it is back the next run makes the one job."""
    bench.test("down", template="cpu")
    write_site(bench.chain, "alder", slurm={"queue_deadline": "3s"})
    bench.root("alder", "pkill", "-KILL", "-x", "slurmctld")
    report = bench.smoke("alder")
    assert report["exit"]["code"] == 51, report["errors"]
    assert report["errors"][0]["kind"] == "slurm.down"
    assert re.search("Unable to contact|timed out|refused", report["errors"][0]["message"])
    bench.root("alder", "slurmctld")
    wait_until(lambda: answers(bench, "alder"), "Slurm answers")
    write_site(bench.chain, "alder")
    assert bench.smoke("alder")["exit"]["code"] == 0
    assert len(bench.attempts("alder", "down")) == 1


def test_a_controller_that_is_killed_while_the_job_runs(bench: Bench) -> None:
    """The job ends while nobody keeps the books: its own word counts."""
    bench.test("orphan", "sleep", "6")
    process = bench.start("birch")
    bench.started("birch", "orphan")
    bench.root("birch", "pkill", "-KILL", "-x", "slurmctld")
    (attempt,) = bench.attempts("birch", "orphan")
    wait_until(lambda: bool(bench.chain.lab.ssh("birch", f"cat {attempt}/result.json 2>/dev/null").stdout), "its end")
    bench.root("birch", "slurmctld")
    report = bench.end(process)
    assert report["exit"]["code"] == 0, report["errors"]
    assert only_job(report)["status"] == "passed"


def test_a_slurm_that_forgets_at_once_and_keeps_no_books(bench: Bench) -> None:
    """MinJobAge of 2 s and no accounting: a success is known by its result, a killed job is lost, not passed."""
    conf = "/etc/slurm/slurm.conf"
    bench.root("birch", "sh", "-c", f"cp {conf} {conf}.kept && echo MinJobAge=2 >>{conf} && scontrol reconfigure")
    try:
        wait_until(lambda: answers(bench, "birch"), "Slurm answers")
        write_site(bench.chain, "birch", slurm={"poll_interval": "8s"})
        bench.test("forgotten", template="cpu")
        report = bench.smoke("birch")
        assert (report["exit"]["code"], only_job(report)["status"]) == (0, "passed"), report["errors"]
    finally:
        bench.root("birch", "sh", "-c", f"mv {conf}.kept {conf} && scontrol reconfigure")


# ---- jobs that end badly --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["alder", "birch"])
def test_a_job_that_exits_7(bench: Bench, site: str) -> None:
    """Failed, with the code, the log's end and the log's place; the next run does not run it again."""
    bench.test("seven", "sh", "-c", "echo it says why >&2; exit 7")
    report = bench.smoke(site)
    job = only_job(report)
    assert (job["status"], job["exit"], job["reason"]) == ("failed", "7", "exit code 7")
    assert job["tail"][-1] == "it says why"
    assert only_job(bench.smoke(site))["id"] == job["id"]
    assert only_job(bench.smoke(site, "--retry-failed"))["id"] != job["id"]


@pytest.mark.parametrize(("site", "node"), [("alder", "alder"), ("birch", "birch-c1")])
def test_a_job_that_is_killed(bench: Bench, site: str, node: str) -> None:
    """kill -9 of the job's script: no result, 0:9 by Slurm's word, with accounting and without: failed."""
    bench.test("killed", "sleep", "100")
    process = bench.start(site)
    bench.started(site, "killed")
    (attempt,) = bench.attempts(site, "killed")
    # Slurm runs a copy of the script: it is known by its folder, which its user may see.
    find = f"for p in /proc/[0-9]*; do [ $(readlink $p/cwd) = {attempt} ] && echo ${{p#/proc/}}; done"
    bench.root(node, "runuser", "-u", "alice", "--", "sh", "-c", f"kill -9 $({find}) 2>/dev/null")
    report = bench.end(process)
    assert report["exit"]["code"] == 50, report["errors"]
    assert only_job(report)["reason"] == "it was killed by signal 9"


def test_a_job_that_an_admin_cancels(bench: Bench) -> None:
    """Not the image's doing: inconclusive, and the next run makes a new attempt."""
    bench.test("cancelled", "sh", "-c", "sleep 100")
    process = bench.start("alder")
    job = bench.started("alder", "cancelled")
    bench.root("alder", "scancel", job)
    report = bench.end(process)
    assert report["exit"]["code"] == 51, report["errors"]
    assert only_job(report)["state"] == "CANCELLED"


def test_a_job_that_cannot_write_its_output(bench: Bench) -> None:
    """Slurm starts it, cannot open its files, and says 0:53: a matter of the site, 42."""
    bench.test("mute", template="cpu")
    write_site(bench.chain, "alder", slurm={"partition": "closed"})
    job = only_job(bench.smoke("alder", "--detach"))
    bench.chain.lab.ssh("alder", f"chmod 555 {job['log']}")
    try:
        bench.root("alder", "scontrol", "update", f"jobid={job['id']}", "partition=debug")
        report = bench.smoke("alder")
    finally:
        bench.chain.lab.ssh("alder", f"chmod 755 {job['log']}")
    assert report["exit"]["code"] == 42, report["errors"]
    assert report["errors"][0]["kind"] == "slurm.output"


def test_a_folder_that_compute_nodes_do_not_see(bench: Bench) -> None:
    """The login node's own /tmp as the store: an older Slurm says 1:0, and that nothing was left tells the rest."""
    root, bench.chain.root = bench.chain.root, f"/tmp/{bench.chain.namespace}"
    try:
        write_site(bench.chain, "birch")
        bench.test("unseen", template="cpu")
        report = bench.smoke("birch")
        assert report["exit"]["code"] == 42, report["errors"]
        assert "could not open the job's output files" in report["errors"][0]["message"]
    finally:
        bench.chain.lab.ssh("birch", f"rm -rf {bench.chain.root}")
        bench.chain.root = root


# ---- jobs that do not begin -----------------------------------------------------------------------------------------


def assert_gone(bench: Bench, site: str, job: str) -> None:
    assert bench.chain.lab.ssh(site, f"squeue -h -j {job} -t PENDING,RUNNING,COMPLETING 2>/dev/null").stdout == ""


def test_a_job_that_pends_for_ever(bench: Bench) -> None:
    """More tasks than there are CPUs: taken by sbatch, never started; cancelled at the deadline, with the reason."""
    bench.test("wide", template="cpu", tasks=99)
    write_site(bench.chain, "birch", slurm={"queue_deadline": "3s"})
    report = bench.smoke("birch")
    if report["exit"]["code"] == 42:  # a Slurm that knows at once that no node has so many
        assert "node configuration is not available" in report["errors"][0]["message"]
        return
    assert report["exit"]["code"] == 51, report["errors"]
    assert re.search(r"still queued after 3 s: \w+.*cancelled", report["errors"][0]["message"])
    assert_gone(bench, "birch", only_job(report)["id"])


def test_a_job_that_is_held(bench: Bench) -> None:
    """Held by an administrator: said in words, cancelled at the deadline."""
    bench.test("held", template="cpu")
    write_site(bench.chain, "alder", slurm={"partition": "closed"})
    job = only_job(bench.smoke("alder", "--detach"))["id"]
    bench.root("alder", "scontrol", "hold", job)
    write_site(bench.chain, "alder", slurm={"partition": "closed", "queue_deadline": "3s"})
    report = bench.smoke("alder")
    assert report["exit"]["code"] == 51, report["errors"]
    assert "it was held by" in report["errors"][0]["message"]
    assert_gone(bench, "alder", job)


@pytest.mark.parametrize(
    ("section", "says", "there"),
    [
        ({"account": "nosuchaccount"}, "Invalid account", "accounts: proj; qos: normal"),
        ({"partition": "nosuchpartition"}, "Invalid partition", "partitions: closed debug"),
    ],
)
def test_what_does_not_exist_is_told_with_what_does(
    bench: Bench, section: dict[str, str], says: str, there: str
) -> None:
    """42, Slurm's own sentence, and the names that would do; no attempt is left."""
    bench.test("refused", template="cpu")
    write_site(bench.chain, "alder", slurm=section)
    report = bench.smoke("alder")
    assert report["exit"]["code"] == 42, report["errors"]
    assert says in report["errors"][0]["message"]
    assert there in report["errors"][0]["message"]
    assert bench.attempts("alder", "refused") == []


# ---- nodes, connections, results of others --------------------------------------------------------------------------


def test_a_node_that_fails_is_given_one_more_try(bench: Bench) -> None:
    """The node goes down under the job: NODE_FAIL is not the image's doing; one new attempt, which passes."""
    bench.test("fallen", "sleep", "5")
    process = bench.start("birch")
    first = bench.started("birch", "fallen")
    bench.root("birch", "scontrol", "update", "nodename=birch-c1", "state=down", "reason=test")
    wait_until(lambda: len(bench.attempts("birch", "fallen")) == 2, "the second attempt", pause_s=0.5)
    bench.root("birch", "scontrol", "update", "nodename=birch-c1", "state=resume")
    report = bench.end(process)
    assert report["exit"]["code"] == 0, report["errors"]
    assert only_job(report)["id"] != first
    assert only_job(report)["log"].endswith("/attempt-2")


def test_a_result_of_another_run_is_never_believed(bench: Bench) -> None:
    """Somebody's `ok` lies where the job will write: it counts for nothing."""
    bench.test("stale", template="cpu")
    write_site(bench.chain, "alder", slurm={"partition": "closed"})
    job = only_job(bench.smoke("alder", "--detach"))
    stale = {"kind": "hpcbake.smoke-result", "name": "hpcbake-0.1.01OLD", "exit_code": 0, "why": "ok", "node": "n"}
    bench.chain.lab.ssh("alder", f"cat > {job['log']}/result.json", input=json.dumps(stale))
    write_site(bench.chain, "alder", slurm={"partition": "closed", "queue_deadline": "3s"})
    report = bench.smoke("alder")
    assert report["exit"]["code"] == 51, report["errors"]
    assert only_job(report)["status"] == "unknown"


class CuttingProxy:
    """A way to a server's port that can be cut under whoever uses it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def cut(self) -> None:
        """End every connection of now."""
        while self._sockets:
            end = self._sockets.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._server.close()
        self.cut()


def test_a_connection_that_is_cut_just_after_the_submission(bench: Bench, tmp_path: Path) -> None:
    """Whoever asked is gone before the answer: looked for through a new connection, found, exactly one job."""
    text = (bench.chain.lab.state / "ssh_config").read_text()
    match = re.search(r"Host alder\n\s+HostName 127\.0\.0\.1\n\s+Port (\d+)", text)
    assert match is not None
    proxy = CuttingProxy(int(match[1]))
    config = tmp_path / "ssh_config"
    config.write_text(text.replace(match[0], match[0].replace(f"Port {match[1]}", f"Port {proxy.port}")))
    write_site(bench.chain, "alder", login={"ssh_config": str(config)})
    bench.test("cut", "sh", "-c", "sleep 3")
    try:
        process = bench.start("alder")
        names = f"cat {bench.chain.root}/.hpcbake/jobs/*/*/cut-*/attempt-1/name 2>/dev/null"
        wait_until(lambda: bool(bench.chain.lab.ssh("alder", names).stdout), "the submission")
        proxy.cut()
        report = bench.end(process)
    finally:
        proxy.close()
    assert report["exit"]["code"] == 0, report["errors"]
    (attempt,) = bench.attempts("alder", "cut")
    assert bench.jobs_named("alder", attempt) == [only_job(report)["id"]]


def test_a_job_that_ran_over_its_time(bench: Bench) -> None:
    """Started before all others: ended by Slurm at its limit, and that is the image's failure."""
    collected = bench.chain.run(
        "smoke", "--collect", bench.chain.image + "=" + bench.reference, "--site", "alder", "--json"
    )
    report = json.loads(collected.stdout)
    jobs = [job for stage in report["sites"][0]["images"][0]["stages"] for job in stage["evidence"]["jobs"]]
    (job,) = (job for job in jobs if job["test"] == "overtime")
    assert (job["status"], job["reason"]) == ("failed", "it ran into its time limit")
