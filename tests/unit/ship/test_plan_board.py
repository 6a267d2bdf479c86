"""The plan of a ship: shown before any site acts, and never kept waiting by a site that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hpcbake.errors import SiteUnreachableError
from hpcbake.ship.forecast import SiteForecast
from hpcbake.ship.plan_board import PlanBoard
from tests.unit.ship.test_ship import Run, outcomes, record, until

pytestmark = pytest.mark.stand


class Shown:
    """What was shown: the sites of each table, and those that it says are late."""

    def __init__(self, run: Run | None = None) -> None:
        self.tables: list[tuple[list[str], list[str]]] = []
        self.actions: dict[str, list[str]] = {}
        self.acted: list[list[str]] = []
        self._run = run

    def __call__(self, sites: Sequence[SiteForecast], late: Sequence[str]) -> None:
        self.tables.append(([site.name for site in sites], list(late)))
        self.actions.update({site.name: [image.action.value for image in site.images] for site in sites})
        if self._run is not None:
            self.acted += [self._run.sites[site.name].acts() for site in sites]


def test_all_sites_stand_in_one_table() -> None:
    """In the order in which they were asked for, whoever answers first."""
    shown = Shown()
    board = PlanBoard(["alder", "birch"], shown)
    thread = threading.Thread(target=lambda: board.tell(SiteForecast("birch", ())))
    thread.start()
    board.tell(SiteForecast("alder", ()))
    thread.join(20)
    assert shown.tables == [(["alder", "birch"], [])]


def test_a_late_site_is_named_and_shown_later() -> None:
    """Those that have answered go on."""
    shown = Shown()
    board = PlanBoard(["alder", "birch"], shown)
    board.tell(SiteForecast("birch", ()))
    board.tell(SiteForecast("alder", ()))
    assert shown.tables == [(["birch"], ["alder"]), (["alder"], [])]


def test_the_plan_comes_before_the_first_act(tmp_path: Path) -> None:
    """And is what the run then does."""
    run = Run(tmp_path)
    run.show_plan = shown = Shown(run)
    run.sites["birch"].faults["survey"] = SiteUnreachableError("birch: gone")
    run.ship()
    assert shown.tables == [(["alder", "birch"], [])]
    assert shown.acted == [[], []]
    assert shown.actions == {"alder": ["create"], "birch": ["blocked"]}


def test_an_unchanged_site_is_so_in_plan_and_run(tmp_path: Path) -> None:
    """With one script to the site: the survey of the plan is the run's."""
    run = Run(tmp_path)
    run.ship()
    run.sites["alder"].heard.clear()
    run.show_plan = shown = Shown(run)
    assert outcomes(run.ship())["alder"] == "unchanged"
    assert shown.actions["alder"] == ["unchanged"]
    assert run.sites["alder"].heard == ["survey"]


def test_a_run_that_ends_delivered_foresees_no_job(tmp_path: Path) -> None:
    """It is settled by the SIF alone, and needs no smoke test."""
    run = Run(tmp_path)
    run.until = "deliver"
    run.tests = {"app": ()}
    run.show_plan = shown = Shown(run)
    first = run.ship()
    assert (shown.actions["alder"], outcomes(first)["alder"]) == (["create"], "ok")
    run.sites["alder"].heard.clear()
    second = run.ship()
    assert (shown.actions["alder"], outcomes(second)["alder"]) == (["unchanged"], "unchanged")
    assert run.sites["alder"].heard == ["survey"]
    assert [stage.name for stage in record(second).stages] == ["check", "deliver"]


def test_a_site_that_hangs_holds_up_neither_plan_nor_work(tmp_path: Path) -> None:
    """One place for all, and the first site never answers: the others are shown, and done."""
    names = ["alder", "birch", "cedar", "dogwood"]
    run = Run(tmp_path, *names)
    run.parallel, run.patience_s = 1, 0.05
    run.show_plan = shown = Shown()
    go = threading.Event()

    def hang(_: dict[str, str]) -> None:
        assert go.wait(60)

    run.sites["alder"].faults["survey"] = hang
    thread = threading.Thread(target=run.ship)
    thread.start()
    until(lambda: all("app/current" in run.sites[name].links for name in names[1:]), timeout_s=50)
    go.set()
    thread.join()
    assert "alder" in shown.tables[0][1]
    assert "app/current" in run.sites["alder"].links
