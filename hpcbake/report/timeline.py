"""Reports as the history of runs keeps them, and the trends that it gives back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hpcbake.model.history import PastCell, PastFigure, PastReport
from hpcbake.report.fleet import Cell, Fleet, Trend, figures_of, smoke_jobs
from hpcbake.report.records import ImageRecord, ShipReport

#: A line of more points than these shows nothing more.
_MAX_VALUES = 400


def past_report(report: ShipReport) -> PastReport:
    """What the history keeps of a run."""
    cells = [(site.name, image) for site in report.sites for image in site.images]
    return PastReport(
        id=report.run.id,
        project=report.run.project,
        command=" ".join(report.run.command),
        host=report.run.host,
        user=report.run.user,
        started=report.run.started,
        ended=report.run.ended,
        duration_s=report.run.duration_s,
        code=int(report.code),
        cells=tuple(_cell(site, image) for site, image in cells),
        figures=tuple(figure for site, image in cells for figure in _figures(site, image)),
    )


def _cell(site: str, image: ImageRecord) -> PastCell:
    error = image.error
    return PastCell(
        image=image.target,
        site=site,
        outcome=image.outcome.value,
        changed=image.changed,
        digest=image.after.digest if image.after else "",
        stage=error.stage if error else "",
        kind=error.kind if error else "",
        message=error.message if error else "",
    )


def _figures(site: str, image: ImageRecord) -> Iterable[PastFigure]:
    for job in smoke_jobs(image):
        if job.get("status") == "passed":
            test, number = str(job.get("test", "")), str(job.get("id", ""))
            for name, (value, unit) in figures_of(job):
                yield PastFigure(image.target, site, test, number, name, unit, value)


def with_history(fleet: Fleet, figures: Iterable[PastFigure]) -> Fleet:
    """The fleet with trends that reach back as far as the history does. `figures` are oldest first."""
    rows: dict[tuple[str, str], dict[tuple[str, str], list[tuple[float, str]]]] = {}
    for figure in figures:
        known = rows.setdefault((figure.image, figure.site), {})
        known.setdefault((figure.test, figure.name), []).append((figure.value, figure.unit))
    return replace(fleet, cells={key: _with_trends(cell, rows.get(key, {})) for key, cell in fleet.cells.items()})


def _with_trends(cell: Cell, rows: Mapping[tuple[str, str], list[tuple[float, str]]]) -> Cell:
    """Each trend as the history has it, where that is longer than what the kept reports tell."""
    return replace(
        cell, trends=tuple(_longer(trend, rows.get((trend.test, trend.figure), [])) for trend in cell.trends)
    )


def _longer(trend: Trend, row: list[tuple[float, str]]) -> Trend:
    values = tuple(value for value, unit in row if unit == trend.unit)[-_MAX_VALUES:]
    return replace(trend, values=values) if len(values) > len(trend.values) and values[-1] == trend.last else trend
