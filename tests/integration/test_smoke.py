"""Smoke tests on the lab's two clusters, with and without accounting: each template, and jobs left to themselves."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.chain import Chain, make_chain, stages, wait_until, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab

#: The base as it is: with Python. Its own command is a file whose library is not there.
WITH_PYTHON = """\
    ARG BASE
    FROM ${BASE}
    RUN printf 'broken = 1\\nraise SystemExit(3)\\n' > /usr/lib/python3/dist-packages/leaves.py
    CMD ["python3"]
"""

ALL_TESTS = """\
smoke:
  - name: cpu
  - name: io
  - name: gpu
  - name: mpi
  - name: only-birch
    sites: [birch]
    command: [sh, -c, 'echo "rank 0 of 1"; echo "hpcbake-figure seen=here"']
    expect_stdout: rank 0
  - name: not-here
    sites: [elsewhere]
    command: ["false"]
expose:
  - commands: [sh, uname]
"""


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


def jobs_of(report: dict[str, Any], site: str) -> dict[str, dict[str, Any]]:
    """The jobs of the smoke stage at one site, by test."""
    return {job["test"]: job for job in stages(report, site)["smoke"]["evidence"]["jobs"]}


def project(chain: Chain, text: str) -> None:
    (chain.folder / "hpcbake.yaml").write_text(textwrap.dedent(text))


def test_every_template_on_both_clusters(chain: Chain) -> None:
    """cpu, io and mpi pass, by PMIx where the site can and by PMI-2 where not; gpu is skipped with the reason."""
    project(chain, ALL_TESTS)
    chain.lab.ssh("alder", f"mkdir -p {chain.root}-data && chmod 755 {chain.root}-data")
    binds = {"binds": [f"{chain.root}-data:/data:ro", "/scratch:/scratch:rw"], "cpu_level": "2"}
    write_site(chain, "alder", slurm={"mpi": "pmix"}, profile=binds)
    write_site(chain, "birch", slurm={"mpi": "pmi2", "tests": ["cpu", "m*", "gpu", "only-*"]})
    report = chain.ship()
    assert report["exit"]["code"] == 0, report["errors"]
    alder, birch = jobs_of(report, "alder"), jobs_of(report, "birch")
    assert {name: job["status"] for name, job in alder.items()} == {
        "gpu": "skipped",
        "cpu": "passed",
        "io": "passed",
        "mpi": "passed",
    }
    assert set(birch) == {"gpu", "cpu", "mpi", "only-birch"}
    assert "profile has no GPU" in alder["gpu"]["reason"]
    assert alder["cpu"]["figures"]["looked_at"] == "sh uname /bin/sh"
    assert alder["cpu"]["figures"]["cpu_level"].startswith("x86-64-v")
    assert alder["cpu"]["figures"]["libc"].startswith("glibc 2.")
    assert (alder["mpi"]["figures"]["launched_by"], birch["mpi"]["figures"]["launched_by"]) == ("pmix", "pmi2")
    assert alder["io"]["figures"]["binds"] == "2"
    assert birch["only-birch"]["figures"] == {"seen": "here"}
    for job in (alder["cpu"], birch["cpu"]):
        assert job["duration_s"] > 0
        assert job["max_rss_kb"] > 0
    left = chain.lab.ssh("alder", "ls -A /scratch | grep hpcbake-io").stdout
    assert left == ""
    unchanged = chain.ship()
    assert {site["outcome"] for site in unchanged["sites"]} == {"unchanged"}
    chain.lab.ssh("alder", f"rm -rf {chain.root}-data")


def test_what_does_not_hold_fails_by_name(chain: Chain) -> None:
    """A module that cannot be imported, a bind that cannot be written, a command without its library: each said so."""
    from tests.integration.chain import write_project

    write_project(chain, WITH_PYTHON)
    project(
        chain,
        """\
        smoke:
          - name: fine
            modules: [json, email.message]
          - name: absent
            modules: [json, nosuchmodule_of_ours]
          - name: leaves
            modules: [leaves, json]
          - name: io
          - name: lonely
            template: mpi
            command: [sh, -c, echo rank 0 of 1]
        """,
    )
    write_site(chain, "alder", profile={"binds": ["/etc:/data:rw"]}, slurm={"mpi": "none"})
    report = chain.ship("--site", "alder", "--until", "smoke")
    assert report["exit"]["code"] == 50, report["errors"]
    found = {name: (job["status"], job["reason"]) for name, job in jobs_of(report, "alder").items()}
    assert found == {
        "fine": ("passed", ""),
        "absent": ("failed", "cannot import nosuchmodule_of_ours"),
        "leaves": ("failed", "cannot import leaves"),
        "io": ("failed", "bind not writable"),
        "lonely": ("failed", "ranks differ"),
    }
    assert jobs_of(report, "alder")["fine"]["figures"]["json"]


def test_jobs_left_to_themselves_are_taken_up(chain: Chain) -> None:
    """--detach submits and leaves; --collect tells how the jobs ended; the next ship promotes without a second job."""
    project(chain, "smoke:\n  - name: slow\n    command: [sleep, '3']\n")
    report = chain.ship("--detach")
    assert report["exit"]["code"] == 0, report["errors"]
    assert report["summary"]["submitted"] == 2
    assert chain.readlink("alder") == ""
    ids = {site: jobs_of(report, site)["slow"]["id"] for site in ("alder", "birch")}
    assert all(word.isdigit() for word in ids.values())
    collected = json.loads(chain.run("smoke", "--collect", "--json", check=True).stdout)
    assert {site["name"]: site["outcome"] for site in collected["sites"]} == {"alder": "ok", "birch": "ok"}
    for site, number in ids.items():
        assert (jobs_of(collected, site)["slow"]["id"], jobs_of(collected, site)["slow"]["status"]) == (
            number,
            "passed",
        )
    again = json.loads(chain.run("smoke", "--collect", "--json", check=True).stdout)
    assert [site["images"] for site in again["sites"]] == [[], []]
    shipped = chain.ship()
    assert shipped["exit"]["code"] == 0, shipped["errors"]
    assert {site: jobs_of(shipped, site)["slow"]["id"] for site in ids} == ids
    assert chain.readlink("alder")


def test_the_next_ship_adopts_what_is_in_flight(chain: Chain) -> None:
    """Without --collect too: one job, and it is the one that was left."""
    project(chain, "smoke:\n  - name: slow\n    command: [sleep, '4']\n")
    left = chain.ship("--site", "alder", "--detach")
    shipped = chain.ship("--site", "alder")
    assert shipped["exit"]["code"] == 0, shipped["errors"]
    assert jobs_of(shipped, "alder")["slow"]["id"] == jobs_of(left, "alder")["slow"]["id"]
    assert len(chain.jobs("alder")) == 1


def test_a_machine_without_slurm_runs_the_same_jobs(chain: Chain) -> None:
    """`scheduler: local`: the same templates in the background of the node, the same result file and deadlines."""
    project(
        chain,
        """\
        smoke:
          - name: cpu
          - name: io
          - name: mpi
          - name: seven
            targets: [never]
            command: [sh, -c, exit 7]
        """,
    )
    write_site(chain, "alder", slurm={"scheduler": "local"})
    before = chain.lab.ssh("alder", "squeue -h -t all -o %i | sort").stdout
    report = chain.ship("--site", "alder")
    assert report["exit"]["code"] == 0, report["errors"]
    jobs = jobs_of(report, "alder")
    assert {name: job["status"] for name, job in jobs.items()} == {"cpu": "passed", "io": "passed", "mpi": "skipped"}
    assert (jobs["cpu"]["id"], jobs["io"]["id"]) == ("1", "2")
    assert set(before.split()) >= set(chain.jobs("alder"))

    project(chain, "smoke:\n  - name: long\n    command: [sleep, '77']\n")
    write_site(chain, "alder", slurm={"scheduler": "local", "run_deadline": "3s"})
    late = chain.ship("--site", "alder")
    assert late["exit"]["code"] == 51
    assert "still running after 3 s; cancelled" in late["errors"][0]["message"]
    wait_until(lambda: chain.lab.ssh("alder", "pgrep -x sleep -a | grep 'sleep 77'").stdout == "", "its end")
