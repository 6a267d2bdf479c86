"""Timers carry hostile names unharmed, replace only their own lines, and hold no secret."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.errors import ConfigError
from hpcbake.ship.schedule import (
    Schedule,
    cron_line,
    has_block,
    render_cron_block,
    render_script,
    render_scron_block,
    render_service,
    render_timer,
    replace_block,
    schedule_name,
)
from hpcbake.ship.unattended import kept_environment, left_behind, night_words


def schedule(folder: Path, *command: str, **environment: str) -> Schedule:
    return Schedule(
        name=schedule_name(folder, "0123456789abcdef"),
        folder=folder,
        command=command or ("/opt/hpc bake/bin/hpcbake", "nightly"),
        environment={"PATH": "/usr/bin:/bin", **environment},
        log=folder / "last night.log",
        script=folder / "night's.sh",
        hour=3,
        minute=30,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / '50% it\'s $HOME "x"'
    made.mkdir()
    return made


def run_cron(plan: Schedule) -> subprocess.CompletedProcess[str]:
    """What cron does: the line after the five fields, `\\%` undone, to /bin/sh with hardly an environment."""
    plan.script.write_text(render_script(plan))
    return subprocess.run(
        ["/bin/sh", "-c", cron_line(render_cron_block(plan))],
        env={"HOME": "/", "LOGNAME": "x", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_cron_runs_the_very_words_in_the_very_folder(folder: Path) -> None:
    """Folder, arguments and environment with %, quotes, spaces and dollars; a good night says nothing."""
    hostile = "a b'c\"d%e$f"
    done = run_cron(schedule(folder, "/bin/sh", "-c", 'pwd; echo "$1|$WORD"; env | wc -l', "sh", hostile, WORD=hostile))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    said = (folder / "last night.log").read_text().splitlines()
    assert said[:2] == [str(folder), f"{hostile}|{hostile}"]
    assert int(said[2]) <= 5, "nothing else of the environment"


def test_a_bad_night_is_told_by_cron_s_mail(folder: Path) -> None:
    """Its output and its exit code; the log is one night long."""
    plan = schedule(folder, "/bin/sh", "-c", "echo bad; exit 40")
    for _ in range(2):
        done = run_cron(plan)
    assert (done.returncode, done.stdout) == (40, "bad\n")
    assert (folder / "last night.log").read_text() == "bad\n"


def test_a_folder_that_is_gone_is_no_run_elsewhere(folder: Path, tmp_path: Path) -> None:
    """cd comes first."""
    plan = replace(schedule(folder, "/bin/sh", "-c", "echo here"), folder=tmp_path / "gone")
    assert run_cron(plan).returncode == 73


def test_cron_s_line_is_short(folder: Path) -> None:
    """cron takes 999 letters: the environment stands in the script."""
    plan = schedule(folder, **{f"HPCBAKE_{number}": "x" * 200 for number in range(30)})
    assert max(map(len, render_cron_block(plan).splitlines())) < 400


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_the_units(folder: Path, tmp_path: Path) -> None:
    """systemd-analyze verify has nothing to say of them."""
    plan = replace(schedule(folder, "/bin/echo", "a b", "50%", "$x", 'q"', WORD='it\'s "%n" \\'), jitter_s=600)
    units = tmp_path / "units"
    units.mkdir()
    for suffix, text in (("service", render_service(plan)), ("timer", render_timer(plan))):
        (units / f"{plan.name}.{suffix}").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units.iterdir())],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if plan.name in line]
    assert complaints == []
    assert "Persistent=true" in render_timer(plan)
    assert "RandomizedDelaySec=600s" in render_timer(plan)


def test_only_its_own_lines_are_replaced(folder: Path) -> None:
    """Put in, replaced, taken out: the rest of the crontab stays to the letter."""
    plan = schedule(folder)
    table = "MAILTO=me\n# mine\n5 4 * * * true\n"
    once = replace_block(table, plan.name, render_cron_block(plan))
    later = replace_block(once, plan.name, render_cron_block(replace(plan, hour=5)))
    assert once.startswith(table)
    assert later.count(plan.name) == 2
    assert "30 5 * * *" in later
    assert "30 3 * * *" not in later
    assert replace_block(later, plan.name, "") == table
    assert has_block(later, plan.name)
    assert not has_block(table, plan.name)


def test_markers_that_somebody_edited_stop_everything(folder: Path) -> None:
    """Nobody's lines are guessed at."""
    block = render_cron_block(schedule(folder))
    with pytest.raises(ConfigError, match="markers"):
        replace_block("\n".join(block.splitlines()[:-1]), schedule(folder).name, block)


def test_two_projects_do_not_meet(tmp_path: Path) -> None:
    """Folders of one name elsewhere have other keys; any name makes a unit's name."""
    assert schedule_name(tmp_path / "a", "0" * 16) != schedule_name(tmp_path / "a", "1" * 16)
    assert schedule_name(Path("/ä ö%/…"), "0" * 16) == "hpcbake-nightly-project-00000000"


def test_scron_s_options_come_before_its_line(folder: Path) -> None:
    """#SCRON lines are for the next entry."""
    lines = render_scron_block(schedule(folder)).splitlines()
    assert [line.split("=")[0] for line in lines[1:4]] == ["#SCRON --job-name", "#SCRON --time", "#SCRON --ntasks"]
    assert lines[4].startswith("30 3 * * * /bin/sh ")


def test_a_line_break_cannot_be_carried(tmp_path: Path) -> None:
    """It would begin another crontab entry."""
    with pytest.raises(ConfigError, match="line break"):
        schedule(tmp_path / "a\nb")


def test_the_environment_goes_along_without_its_secrets() -> None:
    """What the run needs and what the bake file takes; no token, no login in an address, no agent."""
    environment = {
        "HOME": "/h", "PATH": "/p", "USER": "u", "DOCKER_HOST": "unix:///d", "HPCBAKE_WAY": "oras", "BASE": "b:1",
        "MY_TOKEN": "t", "HPCBAKE_API_TOKEN": "t", "https_proxy": "http://me:pw@proxy:3128", "no_proxy": "localhost",
        "SSH_AUTH_SOCK": "/s", "TERM": "xterm", "EDITOR": "vi",
    }  # fmt: skip
    kept = kept_environment(environment, ["BASE", "MY_TOKEN", "UNSET"])
    assert kept == {
        "HOME": "/h", "PATH": "/p", "USER": "u", "LOGNAME": "u", "LANG": "C.UTF-8", "DOCKER_HOST": "unix:///d",
        "HPCBAKE_WAY": "oras", "BASE": "b:1", "no_proxy": "localhost",
    }  # fmt: skip
    assert left_behind(environment, ["BASE", "MY_TOKEN"]) == ["HPCBAKE_API_TOKEN", "MY_TOKEN", "https_proxy"]


def test_the_timer_runs_what_was_asked_for_and_does_not_install_again() -> None:
    """The words of the command line, without those about the timer."""
    words = ["--install", "cron", "--at", "3:30", "--site", "alder", "--jitter=60", "--print", "--pull", "app=r/app:1"]
    assert night_words(words) == ("--site", "alder", "--pull", "app=r/app:1")
