"""This machine as a site."""

from __future__ import annotations

import threading
import time

import pytest

from hpcbake.adapters.clock import SystemClock
from hpcbake.adapters.local import LocalNode
from hpcbake.errors import SiteUnreachableError
from hpcbake.model.site import Login, Site, Store

NODE = LocalNode(Site("here", Login("localhost", transport="local"), Store("/store")))


def test_a_script_runs_here() -> None:
    """Exit code and streams come back, the secret by standard input."""
    outcome = NODE.run_script("cat; echo err >&2; exit 4", timeout_s=10, secret_stdin=b"secret")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (4, "secret\n", "err\n")


def test_a_script_that_hangs_has_no_answer() -> None:
    """The deadline is kept, and nothing is made up."""
    with pytest.raises(SiteUnreachableError) as caught:
        NODE.run_script("sleep 60", timeout_s=0.2)
    assert caught.value.kind == "ssh.timeout"


def test_a_stopped_clock_sleeps_no_more() -> None:
    """A signal ends every sleep."""

    stop = threading.Event()
    clock = SystemClock(stop)
    began, wall = clock.monotonic(), clock.now()
    clock.sleep(0.01)
    assert 0.005 < clock.monotonic() - began < 5
    assert abs(wall - time.time()) < 5
    stop.set()
    clock.sleep(60)
    assert clock.monotonic() - began < 5
