"""A run of one stage alone: nothing before it is made up for, and what it stands on must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.errors import ExitCode
from tests.unit.ship.test_ship import Run, outcomes, record


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def only(run: Run, stage: str) -> dict[str, str]:
    for site in run.sites.values():
        site.heard.clear()
    run.only, run.until = True, stage
    return outcomes(run.ship())


def test_the_stages_one_by_one_are_the_chain(run: Run) -> None:
    """Each does its own, and only that."""
    acts = {}
    for stage in ("check", "deliver", "smoke", "promote"):
        assert only(run, stage)["alder"] == "ok"
        acts[stage] = run.sites["alder"].acts()
    assert acts == {"check": [], "deliver": ["deliver"], "smoke": ["submit"], "promote": ["submit", "promote"]}
    assert [len(site.jobs) for site in run.sites.values()] == [1, 1]


@pytest.mark.parametrize("stage", ["smoke", "promote"])
def test_what_is_not_delivered_is_neither_tested_nor_promoted(run: Run, stage: str) -> None:
    """It says which command brings it."""
    only(run, stage)
    result = run.ship()
    assert record(result).code is ExitCode.SITE_RESOURCE
    assert run.sites["alder"].acts() == []
    error = record(result).error
    assert error is not None
    assert (error.kind, error.remedy.split(",")[0]) == (
        "site.not-delivered",
        "bring it: hpcbake ship --only-stage deliver",
    )


def test_what_is_not_tested_is_not_promoted(run: Run) -> None:
    """Delivered alone is not enough."""
    only(run, "deliver")
    assert only(run, "promote") == {"alder": "inconclusive", "birch": "inconclusive"}
    assert run.sites["alder"].links == {}


def test_a_failed_test_is_not_promoted_by_the_stage_alone(run: Run) -> None:
    """The word of the tests is asked for, whoever ran them."""
    only(run, "deliver")
    run.sites["alder"].results["cpu"] = "exit-code-3"
    only(run, "smoke")
    assert only(run, "promote") == {"alder": "failed", "birch": "ok"}
    assert run.sites["alder"].links == {}
