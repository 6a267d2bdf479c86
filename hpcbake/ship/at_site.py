"""One site during a run: what its stages need, and how each step is noted, told and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from hpcbake.errors import HpcbakeError
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.report.records import Outcome, StageRecord, error_record, outcome_of
from hpcbake.ship.foresight import Foresight
from hpcbake.ship.journal import Journal
from hpcbake.ship.ports import Listener, World
from hpcbake.ship.progress import ImageProgress
from hpcbake.ship.settings import ShipSettings
from hpcbake.ship.times import render_utc

#: What changes nothing anywhere: the journal need not be on disk for it.
_LOOKS = ("check",)

#: A step's outcome and its evidence for the report.
StepResult = tuple[Outcome, dict[str, object]]


@dataclass(frozen=True)
class AtSite:
    """What every stage at one site is given. `notes` go into the report."""

    site: Site
    settings: ShipSettings
    world: World
    journal: Journal
    listener: Listener
    foresight: Foresight
    notes: list[str] = field(default_factory=list)

    def say(
        self,
        stage: str,
        text: str,
        item: ImageProgress | None = None,
        *,
        status: str = "note",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Tell people and programs what goes on here."""
        image = item.image.name if item else ""
        self.listener.step(stage, text, site=self.site.name, image=image, status=status, facts=facts)

    def perform(self, item: ImageProgress, stage: str, act: Callable[[], StepResult], *, record: bool = True) -> None:
        """Run one step: journal before and after, its time and outcome recorded, its failure kept with the image."""
        where = {"stage": stage, "site": self.site.name, "image": item.image.name}
        note = self.journal.mention if stage in _LOOKS else self.journal.note
        note("do", **where, digest=str(item.image.digest))
        self.say(stage, "…", item, status="begin", facts=item.ahead_facts() if stage == "deliver" else None)
        item.doing = stage
        clock = self.world.clock
        started, began = clock.now(), clock.monotonic()
        try:
            outcome, evidence = act()
        except HpcbakeError as error:
            item.doing = ""
            self.fail(item, stage, error, render_utc(started), clock.monotonic() - began)
            return
        item.doing = ""
        duration = clock.monotonic() - began
        if record:
            item.stages.append(StageRecord(stage, outcome.value, render_utc(started), duration, evidence))
        note("done", **where, outcome=outcome.value)
        if record:
            facts = {"outcome": outcome.value, "seconds": round(duration, 3)}
            if stage == "deliver" and item.deployment is not None:
                facts["bytes"] = item.deployment.size_bytes
            self.say(stage, f"{outcome.value} ({duration:.1f} s)", item, status="done", facts=facts)

    def fail(
        self,
        item: ImageProgress,
        stage: str,
        error: HpcbakeError,
        started: str,
        duration: float,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """This image ends here, with this error."""
        item.error = error_record(stage, error)
        item.outcome = outcome_of(error)
        item.stages.append(
            StageRecord(stage, item.outcome.value, started, duration, evidence or dict(error.evidence), item.error)
        )
        self.journal.note("failed", stage=stage, site=self.site.name, image=item.image.name, kind=error.kind)
        facts = {"outcome": item.outcome.value, "seconds": round(duration, 3), "kind": error.kind}
        self.say(stage, f"{item.outcome.value}: {error.message}", item, status="failed", facts=facts)
