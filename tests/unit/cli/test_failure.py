"""The border where every failure ends: a code, what, where and what next; never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from hpcbake.cli.failure import report_failure
from hpcbake.errors import ConfigError, InterruptedByUserError, SiteTrustError


def test_a_failure_says_what_where_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error; standard output is for documents."""
    failure = SiteTrustError("alder: unknown host", remedy="compare it", evidence={"output": "line 1\nline 2"})
    assert report_failure(failure) == 41
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: alder: unknown host [HB-SSH-011]\n  | line 1\n  | line 2\nhelp: compare it\n"


def test_a_failure_without_more_to_say_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No empty help."""
    assert report_failure(ConfigError("wrong")) == 10
    assert capsys.readouterr().err == "error: wrong [HB-CONF-003]\n"


def test_what_a_site_printed_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences are shown, not sent."""
    report_failure(ConfigError("\x1b]0;x\x07", remedy="\x1b[2J", evidence={"output": "a\x1b[31m\rb"}))
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (InterruptedByUserError("SIGHUP", signal_number=1), 129),
        (click.exceptions.Abort(), 130),
        (click.exceptions.Exit(7), 7),
        (click.UsageError("no such option"), 2),
        (click.BadParameter("bad"), 2),
        (click.FileError("x"), 2),
    ],
)
def test_everything_has_its_code(failure: BaseException, code: int) -> None:
    """Signals, click's own, and ours."""
    assert report_failure(failure) == code


def test_a_bug_is_one_sentence_and_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """The traceback is in the file that is named."""
    try:
        raise ZeroDivisionError("un\x1bforeseen")
    except ZeroDivisionError as bug:
        assert report_failure(bug) == 1
    printed = capsys.readouterr().err
    path = Path(printed.split("report it with ")[1].strip())
    assert "Traceback" not in printed
    assert "\x1b" not in printed
    assert "test_failure.py" in path.read_text()
    path.unlink()


@pytest.mark.stand
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nope"], 2, "No such command"),
        (["ship", "--nope"], 2, "No such option"),
        (["ship", "--jobs", "0"], 2, "x>=1"),
        (["ship", "--lock-wait", "-1"], 2, "x>=0"),
        (["ship", "--site-configs", "/nowhere"], 10, "help:"),
        (["--help"], 0, ""),
        (["--version"], 0, ""),
    ],
)
def test_the_command_ends_with_its_code(tmp_path: Path, words: list[str], code: int, says: str) -> None:
    """The real program, in an empty folder."""
    argv = [sys.executable, "-m", "hpcbake", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
