"""One image on its way through the stages at one site."""

from __future__ import annotations

from dataclasses import field

from hpcbake.deliver.survey import Found
from hpcbake.model.artefacts import BuiltImage, Deployment, SmokeResult
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import CompatReport
from hpcbake.report.records import ErrorRecord, ImageRecord, Outcome, Release, StageRecord
from hpcbake.ship.evidence import release_before
from hpcbake.ship.forecast import ImageForecast
from hpcbake.ship.foresight import JobsAhead
from hpcbake.smoke.submit import Submission


@dataclass
class ImageProgress:
    """One image on its way at this site."""

    image: BuiltImage
    found: Found | None = None
    #: what the plan says of it, and its smoke jobs
    forecast: ImageForecast | None = None
    ahead: JobsAhead | None = None
    verdict: CompatReport | None = None
    deployment: Deployment | None = None
    smoke: list[SmokeResult] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)
    #: the stage that is being done at this very moment
    doing: str = ""
    error: ErrorRecord | None = None
    outcome: Outcome | None = None
    after: Release | None = None

    @property
    def is_open(self) -> bool:
        return self.error is None and self.outcome is None

    @property
    def has_changed(self) -> bool:
        """Whether any stage but the check did something."""
        return any(stage.status == Outcome.OK.value for stage in self.stages if stage.name != "check")

    def ahead_facts(self) -> dict[str, object]:
        """What a delivery is going to move, as far as the plan knows."""
        if self.forecast is None or not self.forecast.size_bytes:
            return {}
        return {"bytes_to_move": self.forecast.size_bytes, "way": self.forecast.way}

    def left_behind(self) -> list[str]:
        """What may still go on at the site when the run ends here; nothing of it is done twice."""
        if self.doing in ("deliver", "smoke", "promote"):
            return [f"{self.doing} of {self.image.name} may still be going on there; the next run takes it up"]
        ended = {result.log_path for result in self.smoke}
        return [
            f"job {submission.job_id} of {self.image.name} goes on; the next run takes it up"
            for submission in self.submissions
            if submission.attempt not in ended and submission.is_new
        ]

    def record(self) -> ImageRecord:
        """The image at this site, for the report; one that is still on its way counts as skipped."""
        before = release_before(self.found) if self.found else None
        return ImageRecord(
            target=self.image.name,
            wanted=str(self.image.digest),
            outcome=self.outcome or Outcome.SKIPPED,
            stages=tuple(self.stages),
            before=before,
            after=self.after,
            changed=before != self.after,
            error=self.error,
            doing=self.doing,
        )
