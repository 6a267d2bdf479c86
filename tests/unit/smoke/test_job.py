"""The text of a smoke job: what Slurm is asked for, and a key that is the same for the same test of the same SIF."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.model.site import Site, Slurm
from hpcbake.sites.read import parse_site
from hpcbake.smoke.job import (
    Bind,
    Job,
    choose_tests,
    parse_bind,
    parse_slurm_time,
    render_job,
    sbatch_directives,
    skip_reason,
)
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


HOSTILE = ["a b", "a'b", 'a"b', "$(touch x)", "`x`", "a\nb", "a\\b", "a#b", "ü", "a;b", "\t", "a\0b"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("key", ["partition", "account", "qos", "constraint", "reservation", "gres", "time_limit"])
def test_a_value_that_sbatch_would_read_otherwise_is_refused(key: str, value: str) -> None:
    """Also one that did not come through a site config's rules."""
    slurm = replace(PLAIN.slurm, **{key: value})  # type: ignore[arg-type]
    with pytest.raises((ConfigError, ValueError)):
        sbatch_directives(replace(PLAIN, slurm=slurm), CPU, "c")
        parse_slurm_time(slurm.time_limit)


@pytest.mark.parametrize("value", ["-x", "--wrap=x", "a&b|c*[d]"])
def test_a_leading_dash_is_a_value(value: str) -> None:
    """It stands behind its option's name."""
    slurm = replace(PLAIN.slurm, constraint=value)
    assert f"--constraint={value}" in sbatch_directives(replace(PLAIN, slurm=slurm), CPU, "c")


@pytest.mark.parametrize("comment", HOSTILE[:6])
def test_a_comment_is_plain_too(comment: str) -> None:
    """It is what lost jobs are looked for by."""
    with pytest.raises(ConfigError):
        sbatch_directives(PLAIN, CPU, comment)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a'b", "a\nb"])
def test_a_tests_name_is_a_folders_name(name: str) -> None:
    """And a word of the result file."""
    with pytest.raises(ConfigError, match="cannot be the name"):
        job(SmokeTest(name))


@pytest.mark.parametrize("word", [*(text for text in HOSTILE if "\0" not in text), "-rf", "@NAME@", "%i %j", "~"])
def test_a_command_is_data_to_the_shell(tmp_path: Path, word: str) -> None:
    """Whatever is in it: the job hands over exactly that."""
    script = job(SmokeTest("c", "command", (word, word))).script
    line = script[script.index("apptainer exec") : script.index(' >"$attempt/container.out"')]
    shown = f"apptainer() {{ shift 2; printf '%s\\0' \"$@\"; }}\n{line}"
    out = subprocess.run(["/bin/sh", "-c", shown], cwd=tmp_path, capture_output=True, check=True).stdout
    assert out.decode().split("\0")[-3:-1] == [word, word]
    assert list(tmp_path.iterdir()) == []


def test_gpu_jobs_may_ask_for_other_things() -> None:
    """The site's `slurm.gpu` goes before, where it says something."""
    asked = set(sbatch_directives(RICH, SmokeTest("g", "gpu"), "c"))
    assert {"--partition=gpu-long", "--gres=gpu:a100:2", "--account=proj"} < asked
    assert {"--partition=gpu", "--gres=tmpdisk:1"} < set(sbatch_directives(RICH, CPU, "c"))


def test_a_test_runs_where_both_want_it() -> None:
    """The test's sites and the site's tests, by pattern."""
    tests = (CPU, SmokeTest("far", sites=("birch",)), SmokeTest("near", sites=("pl*",)), SmokeTest("gpu-1", "gpu"))
    assert [test.name for test in choose_tests(PLAIN, tests)] == ["cpu", "near", "gpu-1"]
    site = replace(PLAIN, slurm=replace(PLAIN.slurm, tests=("gpu-*", "near")))
    assert [test.name for test in choose_tests(site, tests)] == ["near", "gpu-1"]


def test_what_a_site_has_no_way_of_is_skipped() -> None:
    """With the reason; no job is made for it."""
    local = replace(PLAIN, slurm=replace(PLAIN.slurm, scheduler="local"))
    assert "no GPU" in skip_reason(SmokeTest("g", "gpu"), PLAIN)
    assert skip_reason(SmokeTest("g", "gpu"), RICH) == ""
    assert "no Slurm" in skip_reason(SmokeTest("m", "mpi"), local)
    assert skip_reason(SmokeTest("m", "mpi"), PLAIN) == skip_reason(CPU, local) == ""


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("/a", Bind("/a", "/a", "-")),
        ("/a:/b", Bind("/a", "/b", "-")),
        ("/a:/b:ro", Bind("/a", "/b", "ro")),
        ("/my data:/b:rw,nodev", Bind("/my data", "/b", "rw")),
        ("/a::ro", Bind("/a", "/a", "ro")),
    ],
)
def test_a_bind_is_read_as_apptainer_reads_it(text: str, bind: Bind) -> None:
    """Source, place, options."""
    assert parse_bind(text) == bind


def test_the_commands_that_users_see_are_a_part_of_the_test() -> None:
    """Another one exposed is another test."""
    given = {"comment": "c", "commands": SpythonCommands()}
    one, other = (render_job(CPU, deployment(PLAIN), PLAIN, programs=(name,), **given) for name in ("a", "b"))  # type: ignore[arg-type]
    assert one.key != other.key


def test_the_site_configs_of_the_how_to_are_read() -> None:
    """The `slurm` sections that `smoke-tests.md` shows."""
    page = (Path(__file__).resolve().parents[3] / "docs/how-to/smoke-tests.md").read_text(encoding="utf-8")
    shown = re.findall(r"```yml\n(slurm:.*?)```", page, re.DOTALL)
    assert len(shown) == 2
    base = "name: x\nlogin: {host: x}\nstore: {root: /x}\n"
    sites = [parse_site(base + text, "x.yaml", environment={}) for text in shown]
    assert (sites[0].slurm.gpu.gres, sites[0].slurm.mpi, sites[1].slurm.scheduler) == ("gpu:1", "pmix", "local")
