"""Signals: the first ends a run with a report, a second Ctrl-C ends the process, and none harms the report."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_CHILD = """
import os, signal, sys
from hpcbake.cli.signals import signals_raise
from hpcbake.errors import InterruptedByUserError
try:
    with signals_raise():
        os.kill(os.getpid(), signal.{first})
        signal.pause()
except InterruptedByUserError as stopped:
    code = int(stopped.exit_code)
    print("reporting", flush=True)
    {then}
    print("reported", flush=True)
    sys.exit(code)
"""


def child(first: str, then: str = "pass") -> subprocess.CompletedProcess[str]:
    program = _CHILD.format(first=first, then=then)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_first_signal_ends_with_a_report(name: str, code: int) -> None:
    """By the signal's own code."""
    done = child(name)
    assert (done.returncode, done.stdout.split()) == (code, ["reporting", "reported"])


@pytest.mark.parametrize("again", ["SIGTERM", "SIGHUP"])
def test_a_report_is_not_cut_off_by_another_signal(again: str) -> None:
    """Who ends a service sends TERM, and HUP with it."""
    done = child("SIGTERM", f"os.kill(os.getpid(), signal.{again})")
    assert (done.returncode, done.stdout.split()) == (143, ["reporting", "reported"])


@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
def test_a_second_interrupt_ends_at_once(first: str) -> None:
    """Without a report, and saying what that means."""
    done = child(first, "os.kill(os.getpid(), signal.SIGINT); signal.pause()")
    assert (done.returncode, done.stdout.split()) == (130, ["reporting"])
    assert "nothing is half promoted: run the same command again" in done.stderr


def test_without_a_signal_everything_is_as_before() -> None:
    """A run borrows the handlers."""
    from hpcbake.cli.signals import signals_raise

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with signals_raise():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before
