"""After a ship: sites that were given something new lose what nobody needs any more, where the project says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from hpcbake.cli.frame import Frame
from hpcbake.cli.signals import signals_raise
from hpcbake.errors import InterruptedByUserError
from hpcbake.model.site import Site
from hpcbake.report.records import ShipReport


class ServedSites:
    """The sites where a run changed what users have; `frame` goes around the run."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    @property
    def frame(self) -> Frame:
        return Frame(conclude=self._conclude)

    def among(self, sites: Sequence[Site]) -> list[Site]:
        return [site for site in sites if site.name in self._names]

    def _conclude(self, report: ShipReport) -> ShipReport:
        self._names = frozenset(site.name for site in report.sites if any(image.changed for image in site.images))
        return report


def clear_after(code: int, *clear: Callable[[], Sequence[str]]) -> int:
    """Clear up unless a signal has ended the run; the run's code, whatever becomes of that.

    Each of `clear` gives what went wrong, in lines. The report has been published: a signal that comes now ends the
    clearing up, which the next run takes up, and what the report says of the run stays true.
    """
    if code > 128:
        return code
    with signals_raise():
        try:
            for act in clear:
                for problem in act():
                    click.echo(f"warning: {problem}", err=True)
        except InterruptedByUserError as stopped:
            click.echo(f"note: {stopped.message}: the run was over; the next one clears up what is left", err=True)
    return code
