"""A site's facts: what the script said of the account, judged."""

from __future__ import annotations

import base64
import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hpcbake.doctor.site import _LATE, diagnose_site, judge_account
from hpcbake.model.ports import Outcome
from hpcbake.model.site import Login, Runtime, Site, Slurm, Store
from hpcbake.sites.examine import Level, Line
from hpcbake.sites.scripts import Answer, parse_answer_lines, render_site_script

pytestmark = pytest.mark.stand

SITE = Site("here", Login("login"), Store("/store"), runtime=Runtime(prelude="module load apptainer\n"))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLACE = "nfs4 99999999 88888888\n1000000 900000\nmine\nrw,relatime\n"
GOOD = {
    "user": "me",
    "tmpdir": "/tmp",
    "shell_rc": "0",
    "shell": b64("me:x:1000:1000::/home/me:/bin/zsh"),
    "charmap_rc": "0",
    "charmap": b64("UTF-8"),
    "home_rc": "0",
    "home": b64(PLACE),
    "tmp_rc": "0",
    "tmp": b64(PLACE),
    "store_rc": "0",
    "store": b64("/store\n3\nlustre\n"),
    "quota_rc": "0",
    "quota": b64(""),
    "prelude_rc": "0",
    "prelude": b64(""),
    "squeue_rc": "0",
    "squeue": b64("12\n13\n"),
    "sacct_rc": "0",
    "sacct": b64(""),
    "variables": "APPTAINER_CACHEDIR ",
    "registry": "r.example.org https 401",
}


def lines_of(site: Site = SITE, **changes: str) -> list[Line]:
    return list(judge_account(site, Answer(tuple({**GOOD, **changes}.items())), asked=["r.example.org"]))


def complaints(site: Site = SITE, **changes: str) -> list[tuple[str, str]]:
    return [(line.topic, line.level.value) for line in lines_of(site, **changes) if line.level is not Level.OK]


def test_a_healthy_account_has_nothing_to_complain_of() -> None:
    """Every fact is told."""
    assert complaints() == []
    topics = {line.topic for line in lines_of()}
    assert topics >= {"shell", "locale", "home", "tmp", "filesystem", "quota", "prelude", "squeue", "sacct", "registry"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shell": b64("me:x:1:1::/home/me:/usr/sbin/nologin")}, ("shell", "warn")),
        ({"home": b64(PLACE.replace("mine", "foreign"))}, ("home", "FAIL")),
        ({"home": b64(PLACE.replace("88888888", "7"))}, ("home", "warn")),
        ({"home": b64(PLACE.replace("900000", "3"))}, ("home", "warn")),
        ({"home": b64("sh: 1: cd: can't cd to /home/me")}, ("home", "FAIL")),
        ({"tmp": b64("sh: 1: cd: can't cd to /scr")}, ("tmp", "FAIL")),
        ({"tmp": b64(PLACE.replace("mine", "foreign"))}, ("tmp", "FAIL")),
        ({"store": b64("/store\n3\next2/ext3\n")}, ("filesystem", "warn")),
        ({"quota": b64("Disk quotas for user me: over quota on /home")}, ("quota", "FAIL")),
        ({"lustre_quota_rc": "0", "lustre_quota": b64("/store 900* 800 900 -")}, ("quota", "FAIL")),
        ({"squeue_rc": "1", "squeue": b64("slurm_load_jobs error: Unable to contact")}, ("squeue", "FAIL")),
        ({"sacct_rc": "1", "sacct": b64("sacct: error: Connection refused")}, ("sacct", "warn")),
        ({"variables": "APPTAINER_BIND SINGULARITY_TMPDIR"}, ("variables", "warn")),
        ({"registry": "r.example.org none no answer to curl"}, ("registry", "warn")),
        ({"registry": "r.example.org http 200"}, ("registry", "warn")),
        ({"registry": "other https 200"}, ("registry", "warn")),
    ],
)
def test_what_would_hurt_is_told_with_a_fix(changes: dict[str, str], complaint: tuple[str, str]) -> None:
    """One complaint each."""
    assert complaints(SITE, **changes) == [complaint]
    assert all((line.level is Level.OK) == (not line.fix) for line in lines_of(SITE, **changes))


@pytest.mark.parametrize("word", sorted(_LATE))
def test_what_does_not_answer_fails(word: str) -> None:
    """In the words of a time limit, under its own topic, with what to do."""
    kept = {key: value for key, value in GOOD.items() if key not in (word, f"{word}_rc")}
    answer = Answer((*kept.items(), ("late", word)))
    (line,) = [line for line in judge_account(SITE, answer, asked=["r.example.org"]) if line.level is Level.FAIL]
    assert (line.topic, line.text) == (_LATE[word][0], "no answer in 15 s")
    assert line.fix


def test_a_site_without_accounting_is_fine() -> None:
    """Slurm says so itself."""
    assert complaints(sacct_rc="1", sacct=b64("Slurm accounting storage is disabled")) == []


def test_a_registry_out_of_reach_fails_where_the_site_must_pull() -> None:
    """Where SIFs are sent it is worth a word."""
    site = dataclasses.replace(SITE, runtime=Runtime(way="oras"))
    assert complaints(site, registry="r.example.org none no answer to curl") == [("registry", "FAIL")]


def test_a_store_of_one_machine_is_fine_where_jobs_run_on_it() -> None:
    """There is no other node to see it."""
    site = dataclasses.replace(SITE, slurm=Slurm(scheduler="local"))
    assert complaints(site, store=b64("/store\n3\nxfs\n")) == []


class Silent:
    """A login node whose store hangs: it answers the first script, and must not be asked for more."""

    name = "here"

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        assert "sbatch --test-only" not in script
        return Outcome(0, "user me\nlate store\n")

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

    def close(self) -> None: ...


def test_what_would_hang_on_the_same_thing_is_left_out_and_said() -> None:
    """The examination would stat the store, too."""
    found = list(diagnose_site(SITE, Silent(), registries=[], time_limit_s=300, now_s=lambda: 0.0))
    assert [(line.topic, line.level.value) for line in found if line.level is not Level.OK] == [
        ("filesystem", "FAIL"),
        ("examine", "warn"),
    ]


# ---- the script -----------------------------------------------------------------------------------------------------


def run(tmp_path: Path, *, prelude: str = "", limit: int = 15, **environment: str) -> Answer:
    script = render_site_script(
        "doctor",
        root=str(tmp_path / "deep/store"),
        run="doctor",
        prelude=prelude,
        program="apptainer",
        registries="",
        limit=limit,
    )
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=script,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return parse_answer_lines(done.stdout)


def test_the_script_says_what_is_judged(tmp_path: Path) -> None:
    """On this very machine: every question has an answer, and a folder that is not there is not made."""
    answer = run(tmp_path, APPTAINER_BIND="/secret", https_proxy="http://me:secret@proxy:1")
    assert answer.all("late") == ()
    for word in ("shell", "charmap", "home", "tmp", "store", "prelude"):
        assert answer.find(f"{word}_rc") != ""
    assert answer.find_text("store").splitlines()[0] == str(tmp_path)
    assert answer.find("variables").split() == ["APPTAINER_BIND"]
    assert answer.find("proxy") == "https_proxy=http://...@proxy:1"
    assert "secret" not in str(answer.lines)
    assert list(tmp_path.iterdir()) == []


def test_a_prelude_that_waits_for_ever_is_late_and_nothing_else_is_tried(tmp_path: Path) -> None:
    """What would need it is not asked: it would wait, too."""
    answer = run(tmp_path, prelude="sleep 600", limit=1)
    assert answer.all("late") == ("prelude",)
    assert answer.find("squeue_rc") == ""


def test_a_prelude_that_is_no_shell_is_told_and_ends_nothing(tmp_path: Path) -> None:
    """The examination says what is wrong with it."""
    answer = run(tmp_path, prelude="if true")
    assert answer.find("prelude_rc") not in ("", "0")
