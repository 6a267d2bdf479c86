"""Which sites a ship clears up behind itself, and when it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
    assert clear_after(0, SITES, Retention()) == 0
    assert clear_after(143, SITES, Retention(releases=1)) == 143


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
    assert clear_after(3, sites, Retention(releases=1)) == 3
