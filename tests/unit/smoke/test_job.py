"""The text of a smoke job: what Slurm is asked for, and a key that is the same for the same test of the same SIF."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.model.site import Site, Slurm
from hpcbake.smoke.job import Job, parse_slurm_time, render_job, sbatch_directives
from tests.golden.chain_texts import PLAIN, RICH, deployment

CPU = SmokeTest("cpu")


def job(test: SmokeTest = CPU, site: Site = PLAIN, *, comment: str = "c", folders: tuple[Path, ...] = ()) -> Job:
    return render_job(
        test, deployment(site), site, comment=comment, commands=SpythonCommands(), template_folders=folders
    )


def test_the_same_test_of_the_same_sif_has_the_same_key() -> None:
    """In every run: the comment, which names the run, does not count."""
    assert job(comment="hpcbake:01A:x").key == job(comment="hpcbake:01B:x").key


@pytest.mark.parametrize(
    "other",
    [
        job(SmokeTest("other")),
        job(SmokeTest("cpu", tasks=2)),
        job(SmokeTest("cpu", "command", ("x",))),
        job(site=replace(PLAIN, slurm=Slurm(partition="other"))),
        job(site=replace(PLAIN, slurm=Slurm(partition="debug", prelude="x"))),
        job(site=RICH),
    ],
)
def test_another_test_has_another_key(other: Job) -> None:
    """Whatever changes what the job does."""
    assert other.key != job().key


def test_only_what_is_declared_is_asked_for() -> None:
    """One site forbids --account, another demands it."""
    assert [line.partition("=")[0] for line in sbatch_directives(PLAIN, CPU, "")] == [
        "--job-name",
        "--output",
        "--error",
        "--time",
        "--ntasks",
        "--partition",
        "--no-requeue",
    ]
    assert {"--account=proj", "--qos=short", "--constraint=a100&ib", "--reservation=tests"} < set(
        sbatch_directives(RICH, CPU, "")
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 300),
        ("5:30", 330),
        ("1:02:03", 3723),
        ("00:05:00", 300),
        ("2-0", 172_800),
        ("1-02", 93_600),
        ("1-02:03", 93_780),
        ("1-02:03:04", 93_784),
        ("0", 10**9),
    ],
)
def test_time_limits_are_read_as_sbatch_reads_them(text: str, seconds: int) -> None:
    """Minutes come first where nothing says hours; 0 is no limit."""
    assert parse_slurm_time(text) == seconds


def test_a_project_may_bring_its_own_template(tmp_path: Path) -> None:
    """It is found before ours of the same name, and may include our head."""
    (tmp_path / "own.sbatch.j2").write_text('#!/bin/sh\n{% include "_head.j2" %}\necho {{ test.name | sh }}\nwhy=ok\n')
    script = job(SmokeTest("it", "own"), folders=(tmp_path,)).script
    assert script.startswith("#!/bin/sh\n#SBATCH --job-name=@NAME@\n")
    assert script.endswith("echo it\nwhy=ok\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no template own.sbatch.j2"),
        ("{{ nothing.of.that.name }}", "does not render"),
        ("{% if %}", "does not render"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ test.name + 1 }}", "TypeError"),
        ("{% include 'absent.j2' %}", "absent.j2"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "Recursion"),
        (b"\xff\xfe", "own.sbatch.j2"),
    ],
)
def test_a_template_that_does_not_render_is_the_projects_mistake(
    tmp_path: Path, text: str | bytes | None, says: str
) -> None:
    """Named, and no crash."""
    if text is not None:
        (tmp_path / "own.sbatch.j2").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=says):
        job(SmokeTest("it", "own"), folders=(tmp_path,))
