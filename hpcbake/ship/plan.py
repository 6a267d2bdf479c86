"""What a ship would do at every site, found by looking alone.

Per image: what the registry and the check say of it. Per site: one survey, and one look at the login node where
something must be delivered and the way is open. The Protocols below hold no call that could change anything.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Protocol

from hpcbake.deliver.survey import Found, Wanted, survey
from hpcbake.errors import BugError, HpcbakeError
from hpcbake.model.artefacts import BuiltImage, SmokeTest
from hpcbake.model.late import dataclass
from hpcbake.model.ports import RuntimeCommands
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.ship.forecast import Action, Forecast, ImageForecast, SiteForecast
from hpcbake.ship.foresight import NOT_BUILT, AskedConverter, Foresight, blank
from hpcbake.ship.parallel import in_parallel
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.project_parts import Destinations
from hpcbake.ship.prospect import Prospect, ReadableRegistry, SifSizes


class VisibleWorld(Protocol):
    """The world as a plan sees it: `World` without whatever builds, pushes or converts."""

    @property
    def registry(self) -> ReadableRegistry: ...

    @property
    def commands(self) -> RuntimeCommands: ...

    @property
    def connect(self) -> Callable[[Site], SiteNode]: ...

    @property
    def check(self) -> Callable[[BuiltImage, Site], CompatReport]: ...

    @property
    def converter(self) -> AskedConverter: ...


@dataclass(frozen=True)
class PlanSettings:
    """What the ship would be given: smoke tests and exposed commands by image, and a way for all sites."""

    tool_version: str
    tests: Mapping[str, Sequence[SmokeTest]]
    expose: Mapping[str, Sequence[str]]
    template_folders: Sequence[Path] = ()
    way: str | None = None
    #: Which image goes to which site.
    destinations: Destinations = field(default_factory=Destinations)
    release_hold: bool = False
    until: str = "promote"


def plan(
    prospects: Sequence[Prospect],
    sites: Sequence[Site],
    settings: PlanSettings,
    *,
    world: VisibleWorld,
    parallel_sites: int,
    warnings: Sequence[str] = (),
) -> Forecast:
    """Look at every site and say what a ship of these images would do there; changes nothing anywhere.

    Never raises HpcbakeError: what could not be found out is a blocked image with the reason.
    """
    sizes = SifSizes(world.registry)
    acts = [partial(_plan_guarded, SitePlan(site, prospects, settings, world, sizes)) for site in sites]
    return Forecast(
        settings.tool_version,
        tuple(prospect.forecast() for prospect in prospects),
        tuple(in_parallel(acts, parallel_sites)),
        tuple(warnings),
    )


class SitePlan:
    """The plan for one site: one thread, one connection; failures stay inside."""

    def __init__(
        self,
        site: Site,
        prospects: Sequence[Prospect],
        settings: PlanSettings,
        world: VisibleWorld,
        sizes: SifSizes,
    ) -> None:
        self._site = site
        self._prospects = [p for p in prospects if settings.destinations.includes(p.name, site.name)]
        self._world = world
        self._foresight = Foresight(site, settings, commands=world.commands, converter=world.converter, sizes=sizes)

    def look(self) -> SiteForecast:
        """Every image here. The site itself is asked only where its answer matters."""
        judged = [self._judge(prospect) for prospect in self._prospects]
        is_open = [image.action is not Action.BLOCKED for image in judged]
        if any(is_open):
            node = self._world.connect(self._site)
            try:
                judged = self._look_there(node, judged)
            finally:
                node.close()
        return SiteForecast(self._site.name, tuple(judged))

    def blocked(self, error: HpcbakeError) -> SiteForecast:
        """Nothing can be said of this site."""
        images = (self._foresight.block(blank(prospect), "site", error) for prospect in self._prospects)
        return SiteForecast(self._site.name, tuple(images))

    def _judge(self, prospect: Prospect) -> ImageForecast:
        """What registry and check say. An image that nobody has built yet is not checked."""
        image = blank(prospect)
        if prospect.error is not None:
            return self._foresight.block(image, "resolve", prospect.error)
        if prospect.image is None:
            return image
        try:
            return self._foresight.judge(prospect, self._world.check(prospect.image, self._site))
        except HpcbakeError as error:
            return self._foresight.block(image, "check", error)

    def _look_there(self, node: SiteNode, judged: Sequence[ImageForecast]) -> list[ImageForecast]:
        pairs = list(zip(self._prospects, judged, strict=True))
        asked = [prospect for prospect, image in pairs if image.action is not Action.BLOCKED]
        wanted = [Wanted(item.name, item.image.digest if item.image else NOT_BUILT, item.version) for item in asked]
        try:
            found = dict(zip(asked, survey(wanted, self._site, node=node).found, strict=True))
        except HpcbakeError as error:
            return [self._foresight.block(image, "survey", error) if item in asked else image for item, image in pairs]
        return [
            self._foresee(prospect, found[prospect], image, node) if prospect in found else image
            for prospect, image in pairs
        ]

    def _foresee(self, prospect: Prospect, found: Found, image: ImageForecast, node: SiteNode) -> ImageForecast:
        try:
            ahead = self._foresight.jobs_ahead(prospect, found)
        except HpcbakeError as error:
            return self._foresight.block(image, "plan", error)
        return self._foresight.foresee(prospect, found, image, ahead, node)


def _plan_guarded(site_plan: SitePlan) -> SiteForecast:
    """One site; a bug of ours there is that site's failure and nobody else's."""
    try:
        return site_plan.look()
    except HpcbakeError as error:
        return site_plan.blocked(error)
    except Exception as bug:  # noqa: BLE001  (the border of a site: nothing may leave it)
        ours = BugError(
            f"hpcbake stumbled over itself: {type(bug).__name__}: {bug}",
            remedy="this is a bug; please report it with the lines above",
            evidence={"output": "".join(traceback.format_exception(bug))},
        )
        return site_plan.blocked(ours)
