"""What the user asked of a run, as the stages of every site take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from hpcbake.model.artefacts import SmokeTest
from hpcbake.model.late import dataclass
from hpcbake.ship.project_parts import Destinations, TagPolicy


@dataclass(frozen=True)
class ShipSettings:
    """What the user asked of a run."""

    run: str
    created: str
    tool_version: str
    tests: Mapping[str, Sequence[SmokeTest]]
    expose: Mapping[str, Sequence[str]]
    until: str = "promote"
    #: Do the stage `until` and none before it: what it stands on must be there.
    only: bool = False
    #: Promote nowhere unless every image has passed at every site.
    all_or_none: bool = False
    retry_failed: bool = False
    lock_wait_s: int = 60
    template_folders: Sequence[Path] = ()
    #: Who asks, and the commit that the images were built from, where that is known.
    by: str = ""
    revision: str = ""
    #: Promote also where somebody holds an image at its release.
    release_hold: bool = False
    #: A way of delivery for all sites; None: what each site says.
    way: str | None = None
    #: Submit smoke jobs and leave them to themselves.
    detach: bool = False
    #: A smoke test that takes so many times what it took in the last release is worth a warning.
    regression_factor: float = 1.5
    #: Which image goes to which site.
    destinations: Destinations = field(default_factory=Destinations)
    #: Which tags move, and when.
    tags: TagPolicy = field(default_factory=TagPolicy)
