"""What a verb puts around a run: its own view of the world, and what it adds to the report."""

from __future__ import annotations

from collections.abc import Callable

from hpcbake.model.late import dataclass
from hpcbake.report.records import ShipReport
from hpcbake.ship.ports import Listener, World


def _as_it_is(world: World, _listener: Listener) -> World:
    return world


def _no_more(report: ShipReport) -> ShipReport:
    return report


@dataclass(frozen=True)
class Frame:
    """`adapt` gives the world that the run sees; `conclude` what the report says before it is published."""

    adapt: Callable[[World, Listener], World] = _as_it_is
    conclude: Callable[[ShipReport], ShipReport] = _no_more


PLAIN_FRAME = Frame()
