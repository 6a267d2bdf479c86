"""What a ship would do, as values: one forecast per image and site. Every face of a plan is made from these."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from hpcbake.errors import ExitCode, overall_exit_code
from hpcbake.model.late import dataclass
from hpcbake.report.records import ErrorRecord


class Action(Enum):
    """What ship would do with one image at one site. BLOCKED: it would not come to users, and `reason` says why."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class TargetForecast:
    """One image to ship. `digest` is empty where nobody can know it before the build.

    `needs_build` is true for a target of a bake file: `found_at` is then the tag whose digest was looked at instead.
    """

    name: str
    reference: str
    digest: str = ""
    needs_build: bool = False
    found_at: str = ""
    tags: tuple[str, ...] = ()
    error: ErrorRecord | None = None


@dataclass(frozen=True)
class ImageForecast:
    """One image at one site.

    `current` is the digest that users have now, `verdict` what the check says (empty: not asked). `size_bytes` is
    what goes to the site, None where nobody can know; `jobs` names the smoke tests that have not passed yet.
    """

    target: str
    action: Action
    reason: str
    wanted: str = ""
    current: str = ""
    verdict: str = ""
    way: str = ""
    why: str = ""
    size_bytes: int | None = 0
    size_is_exact: bool = True
    jobs: tuple[str, ...] = ()
    error: ErrorRecord | None = None

    @property
    def code(self) -> ExitCode:
        return self.error.code if self.error else ExitCode.OK


@dataclass(frozen=True)
class SiteForecast:
    """One site and everything that is wanted there."""

    name: str
    images: tuple[ImageForecast, ...]


@dataclass(frozen=True)
class Forecast:
    """The whole plan of a ship. `is_detailed`: the exit code is to tell whether there is something to do.

    `error` ended the plan before any site was asked.
    """

    tool_version: str
    targets: tuple[TargetForecast, ...]
    sites: tuple[SiteForecast, ...]
    warnings: tuple[str, ...] = ()
    is_detailed: bool = False
    error: ErrorRecord | None = None

    def images(self) -> Iterator[tuple[SiteForecast, ImageForecast]]:
        """Every image of every site."""
        return ((site, image) for site in self.sites for image in site.images)

    def summary(self) -> dict[str, int]:
        """How many images at sites by action, the bytes to move as far as they are known, and the smoke jobs."""
        found = [image for _, image in self.images()]
        counts = {action.value: sum(image.action is action for image in found) for action in Action}
        moved = sum(image.size_bytes or 0 for image in found)
        return {**counts, "bytes": moved, "jobs": sum(len(image.jobs) for image in found)}

    @property
    def has_changes(self) -> bool:
        return any(image.action in (Action.CREATE, Action.UPDATE) for _, image in self.images())

    @property
    def code(self) -> ExitCode:
        """What is blocked counts as it would in a ship; CHANGES only when asked for, and only when nothing is."""
        if self.error is not None:
            return self.error.code
        code = overall_exit_code([image.code for _, image in self.images()])
        return ExitCode.CHANGES if code is ExitCode.OK and self.is_detailed and self.has_changes else code
