"""Progress as plain lines, one per event; and as nothing but the failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hpcbake.report.progress.event import Event, Progress, plain_line

if TYPE_CHECKING:
    from rich.console import RenderableType


class PlainProgress(Progress):
    """For logs, cron, pipes and terminals that cannot move their cursor."""

    def hear(self, event: Event) -> None:
        if event.status != "moved":
            self.write(plain_line(event))


class QuietProgress(Progress):
    """Only what failed."""

    def hear(self, event: Event) -> None:
        if event.status == "failed":
            self.write(plain_line(event))

    def show(self, what: RenderableType, out: Callable[[RenderableType], None], *, is_here: bool) -> None:
        """A plan is no failure."""
