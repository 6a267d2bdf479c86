"""What the history keeps of a report, and the longer trends that it gives back."""

from __future__ import annotations

from dataclasses import replace

from hpcbake.model.history import PastFigure
from hpcbake.report.fleet import gather
from hpcbake.report.timeline import past_report, with_history
from tests.reports import full_report


def test_a_report_becomes_cells_and_figures() -> None:
    """Every image at every site, and what its passed smoke jobs measured."""
    past = past_report(full_report())
    assert [(cell.image, cell.site, cell.outcome, cell.changed) for cell in past.cells] == [
        ("app", "alder", "ok", True),
        ("app", "birch", "failed", past.cells[1].changed),
    ]
    assert past.cells[1].message
    assert (past.code, past.id) == (int(full_report().code), "01RUN")
    assert {(figure.site, figure.test, figure.job, figure.name, figure.unit) for figure in past.figures} == {
        ("alder", "cpu", "12", "time", "s")
    }


def test_trends_reach_as_far_back_as_the_history() -> None:
    """Where it ends with what the newest report says, in the same unit."""
    fleet = gather([full_report()])
    figure = PastFigure("app", "alder", "cpu", "1", "time", "s", 3.0)
    older = [figure, replace(figure, job="2", value=2.5), replace(figure, job="12", value=2.0)]
    longer = with_history(fleet, older)
    cell = longer.cell("app", "alder")
    assert cell is not None
    assert [trend.values for trend in cell.trends if trend.figure == "time"] == [(3.0, 2.5, 2.0)]


def test_a_history_that_knows_less_changes_nothing() -> None:
    """Nor one of other sites, other units, or that has not heard of the newest job."""
    fleet = gather([full_report()])
    figure = PastFigure("app", "alder", "cpu", "1", "time", "s", 3.0)
    for figures in ([], [replace(figure, site="cedar")] * 5, [replace(figure, unit="min")] * 5, [figure] * 5):
        assert with_history(fleet, figures) == fleet
