"""How a site's examination is judged: what a run would stumble over fails, what may be meant so warns."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.errors import ExitCode
from hpcbake.model.site import Login, Profile, Runtime, Site, Slurm, Store
from hpcbake.model.version import parse_version
from hpcbake.sites.examine import Level, Line, judge, sbatch_options, seconds_of
from hpcbake.sites.scripts import Answer

SITE = Site(
    "here",
    Login("login"),
    Store("/store"),
    slurm=Slurm(partition="debug", account="proj"),
    profile=Profile(glibc=parse_version("2.28")),
)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


GOOD = {
    "clock": "1000",
    "user": "me",
    "groups": "users",
    "arch": "x86_64",
    "glibc": "glibc 2.28",
    "store": "lustre|99999999|99999|yes||/store",
    "tmpdir": "xfs|99999999|99999|yes||/tmp",
    "prelude_rc": "0",
    "program": "/usr/bin/apptainer",
    "version": "apptainer version 1.4.5",
    "setuid": "no",
    "userns": "yes",
    "sbatch": "/usr/bin/sbatch",
    "slurm": "slurm 24.11.5",
    "test_rc": "0",
    "test_said": b64("sbatch: Job 1 to start at x"),
    "slurm_config": b64("AccountingStorageType   = accounting_storage/slurmdbd\n"),
    "partitions": b64("PartitionName=debug Default=YES MaxTime=00:30:00 State=UP\nPartitionName=shut State=DOWN\n"),
}


def lines_of(site: Site = SITE, **changes: str) -> list[Line]:
    answer = Answer(tuple({**GOOD, **changes}.items()))
    return list(judge(site, answer, time_limit_s=300, now_s=1000.0))


def complaints(site: Site = SITE, **changes: str) -> list[tuple[str, str]]:
    return [(line.topic, line.level.value) for line in lines_of(site, **changes) if line.level is not Level.OK]


def test_a_good_site_has_nothing_to_complain_of() -> None:
    """Every topic is told, and every line is ok."""
    topics = {"clock", "store", "runtime", "mounts", "slurm", "partition", "profile"}
    assert {line.topic for line in lines_of()} == topics
    assert complaints() == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"clock": "5000"}, ("clock", "warn")),
        ({"store": "lustre|99999999|99999|no||/"}, ("store", "FAIL")),
        ({"store": "lustre|99999999|99999|yes|ro|/store"}, ("store", "FAIL")),
        ({"store": "lustre|99999999|99999|yes|noexec|/store"}, ("store", "warn")),
        ({"store": "tmpfs|99999999|99999|yes||/store"}, ("store", "warn")),
        ({"store": "lustre|1000|99999|yes||/store"}, ("store", "warn")),
        ({"store": "lustre|99999999|7|yes||/store"}, ("store", "warn")),
        ({"prelude_broken": "sh: 1: Syntax error"}, ("prelude", "FAIL")),
        ({"slurm_prelude_broken": "sh: 1: Syntax error"}, ("prelude", "FAIL")),
        ({"prelude_rc": "1", "prelude_said": "module: not found"}, ("prelude", "warn")),
        ({"program": ""}, ("runtime", "FAIL")),
        ({"version": ""}, ("runtime", "warn")),
        ({"version": "singularity version 3.7.3"}, ("runtime", "FAIL")),
        ({"version": "apptainer version 1.5.0"}, ("runtime", "warn")),
        ({"userns": "no"}, ("mounts", "warn")),
        ({"sbatch": ""}, ("slurm", "FAIL")),
        ({"test_rc": "1", "test_said": b64("allocation failure: Invalid partition name specified")}, ("slurm", "FAIL")),
        ({"slurm_config": b64("AccountingStorageType = accounting_storage/none")}, ("slurm", "warn")),
        ({"partitions": b64("PartitionName=debug State=DOWN MaxTime=1:00:00")}, ("partition", "warn")),
        ({"partitions": b64("PartitionName=debug State=UP MaxTime=00:01:00")}, ("partition", "FAIL")),
        ({"arch": "aarch64"}, ("profile", "warn")),
        ({"glibc": "glibc 2.34"}, ("profile", "warn")),
    ],
)
def test_what_would_hurt_is_told(changes: dict[str, str], complaint: tuple[str, str]) -> None:
    """One line for it, with what to do."""
    assert complaint in complaints(SITE, **changes)
    for line in lines_of(SITE, **changes):
        assert (line.level is Level.OK) == (not line.fix)
        assert (line.level is Level.FAIL) == (line.code is not ExitCode.OK)


def test_a_silent_slurm_is_another_matter_than_a_refusal() -> None:
    """One is worth trying again, the other is not."""
    silent = lines_of(test_rc="1", test_said=b64("Unable to contact slurm controller (connect failure)"))
    refused = lines_of(test_rc="1", test_said=b64("Invalid account or account/partition combination specified"))
    assert [line.code for line in silent if line.level is Level.FAIL] == [ExitCode.SMOKE_UNKNOWN]
    assert [line.code for line in refused if line.level is Level.FAIL] == [ExitCode.SITE_RESOURCE]


def test_a_group_that_one_is_not_in_fails() -> None:
    """chgrp would."""
    site = dataclasses.replace(SITE, store=Store("/store", group="abc"))
    assert complaints(site) == [("group", "FAIL")]
    assert complaints(site, groups="users abc") == []


def test_a_folder_to_unpack_in_is_looked_at_when_declared() -> None:
    """It takes the place of a store that is noexec."""
    site = dataclasses.replace(SITE, runtime=Runtime(tmpdir="/tmp"))
    assert complaints(site, store="lustre|99999999|99999|yes|noexec|/store") == []
    assert complaints(site, tmpdir="xfs|99999999|99999|yes|noexec|/tmp") == [("tmpdir", "warn")]
    assert complaints(site, tmpdir="xfs|99999999|99999|no||/tmp") == [("tmpdir", "FAIL")]


def test_without_a_partition_the_default_one_is_looked_at() -> None:
    """And it must exist."""
    site = dataclasses.replace(SITE, slurm=Slurm())
    assert [line.text for line in lines_of(site) if line.topic == "partition"] == ["debug is up, up to 00:30:00"]
    assert complaints(site, partitions=b64("PartitionName=a State=UP Default=NO\n")) == [("partition", "warn")]


def test_what_a_job_would_ask_for_is_asked() -> None:
    """Every option of the site config, and nothing that is not declared."""
    slurm = Slurm("p", "a", "q", "c&d", "r", "01:00")
    assert sbatch_options(dataclasses.replace(SITE, slurm=slurm))[1:] == [
        *("--time=01:00", "--partition=p", "--account=a", "--qos=q", "--constraint=c&d", "--reservation=r"),
    ]
    assert sbatch_options(dataclasses.replace(SITE, slurm=Slurm())) == ["--ntasks=1", "--time=00:05:00"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:30:00", 1800), ("1-00:00:01", 86401), ("UNLIMITED", None), ("NONE", None), ("", None)]
)
def test_a_partition_s_limit_is_read(text: str, seconds: int | None) -> None:
    """As scontrol prints it."""
    assert seconds_of(text) == seconds


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text()))
def test_any_answer_is_judged(changes: dict[str, str]) -> None:
    """A login node may say anything; the judgement is lines, not a crash."""
    lines_of(SITE, **changes)


def test_a_site_without_slurm_needs_none() -> None:
    """Its jobs run on the login node."""
    site = dataclasses.replace(SITE, slurm=Slurm(scheduler="local"))
    assert complaints(site, sbatch="", test_rc="", partitions="") == []
