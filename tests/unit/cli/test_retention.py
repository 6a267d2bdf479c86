"""Which sites a ship clears up behind itself, and when it does not."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.cli.nightly_retention import clear_up
from hpcbake.cli.retention import ServedSites, clear_after
from hpcbake.model.site import Login, Site, Slurm, Store
from hpcbake.ship.project_parts import Retention
from tests.reports import full_report, promoted

SITES = [Site(name, Login(f"{name}.invalid"), Store("/store")) for name in ("alder", "birch", "cedar")]


def test_sites_that_got_something_new_are_cleared() -> None:
    """No others: where nothing was promoted, nothing has become old."""
    served = ServedSites()
    report = full_report()
    same = replace(report.sites[0], name="cedar", images=(replace(promoted(), changed=False),))
    assert served.frame.conclude(replace(report, sites=(*report.sites, same))).sites[2] == same
    assert [site.name for site in served.among(SITES)] == ["alder"]


def test_before_a_run_nobody_was_served() -> None:
    """Nor after one that came to nothing."""
    assert ServedSites().among(SITES) == []


def test_nothing_is_cleared_unasked_or_after_a_signal() -> None:
    """These sites do not exist: a look at one would be a warning, and take its time."""
    assert clear_after(0, lambda: clear_up(SITES, Retention())) == 0
    assert clear_after(143, lambda: clear_up(SITES, Retention(releases=1))) == 143


def test_a_store_that_is_empty_or_not_there_is_no_trouble(tmp_path: Path) -> None:
    """Nothing to remove is nothing to stumble over; the run's own code stays."""
    (tmp_path / "empty").mkdir()
    sites = [
        Site(
            name,
            Login(f"{name}.invalid", transport="local"),
            Store(str(tmp_path / name)),
            slurm=Slurm(scheduler="local"),
        )
        for name in ("empty", "missing")
    ]
    assert clear_after(3, lambda: clear_up(sites, Retention(releases=1))) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_after_the_report_changes_no_result(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report has said how the run ended; who reads the exit code must read the same."""
    kept = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    seen: list[str] = []

    def clear_stores() -> list[str]:
        seen.append("the stores")
        return []

    def clear_registry() -> list[str]:
        os.kill(os.getpid(), number)
        seen.append("the registry")
        return []

    try:
        assert clear_after(3, clear_registry, clear_stores) == 3
    finally:
        for each, handler in kept.items():
            signal.signal(each, handler)
    assert seen == []
    assert f"{number.name}: the run was over; the next one clears up what is left" in capsys.readouterr().err
