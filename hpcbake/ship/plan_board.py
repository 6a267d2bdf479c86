"""Gathers what each site's plan is, and shows all of them before the first site acts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from hpcbake.ship.forecast import SiteForecast

#: The least that sites wait for each other's plans, from the first one on.
_LEAST_S = 1.0

#: Shows plans to the user, and names the sites that have not answered yet.
ShowPlan = Callable[[Sequence[SiteForecast], Sequence[str]], None]


class PlanBoard:
    """One table of all sites, if they answer at about the same time; who is late is shown later, by itself.

    The others wait for a late site about as long again as they took themselves, so that a dead one delays nobody.
    """

    def __init__(self, sites: Sequence[str], show: ShowPlan) -> None:
        self._sites = tuple(sites)
        self._show = show
        self._deadline = float("inf")
        self._told: dict[str, SiteForecast] = {}
        self._is_shown = False
        self._changed = threading.Condition()

    def tell(self, forecast: SiteForecast, took_s: float = 0.0) -> None:
        """This site's plan, which took so long to find out; returns when it has been shown."""
        with self._changed:
            self._told[forecast.name] = forecast
            if self._is_shown:
                self._show([forecast], [])
                return
            self._deadline = min(self._deadline, time.monotonic() + max(_LEAST_S, took_s))
            if len(self._told) == len(self._sites):
                self._show_all()
            while not self._is_shown:
                rest = self._deadline - time.monotonic()
                if rest <= 0:
                    self._show_all()
                else:
                    self._changed.wait(rest)

    def _show_all(self) -> None:
        self._is_shown = True
        late = [name for name in self._sites if name not in self._told]
        self._show([self._told[name] for name in self._sites if name in self._told], late)
        self._changed.notify_all()
