"""One run as values: targets, sites, images, stages, errors. Every face of the report is made from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from hpcbake.errors import ExitCode, HpcbakeError, overall_exit_code
from hpcbake.model.late import dataclass


class Outcome(Enum):
    """How it ended for one image at one site, or for one site.

    FAILED: the world said no. INCONCLUSIVE: nobody knows, so nothing was promoted. BLOCKED: somebody holds a lock.
    SUBMITTED: smoke jobs were left to themselves, so nothing was promoted yet.
    """

    OK = "ok"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    SUBMITTED = "submitted"


_BY_CODE = {
    ExitCode.UNCHECKED: Outcome.INCONCLUSIVE,
    ExitCode.SMOKE_UNKNOWN: Outcome.INCONCLUSIVE,
    ExitCode.BUSY: Outcome.BLOCKED,
}


def outcome_of(error: HpcbakeError) -> Outcome:
    """The outcome word of a failure."""
    if error.kind in ("ssh.timeout", "ssh.lost"):
        return Outcome.INCONCLUSIVE
    return _BY_CODE.get(error.exit_code, Outcome.FAILED)


@dataclass(frozen=True)
class ErrorRecord:
    """One failure, as the report tells it."""

    stage: str
    kind: str
    code: ExitCode
    message: str
    remedy: str = ""
    retryable: bool = False
    evidence: Mapping[str, object] = field(default_factory=dict)


def error_record(stage: str, error: HpcbakeError) -> ErrorRecord:
    return ErrorRecord(
        stage, error.kind, error.exit_code, error.message, error.remedy, error.retryable, dict(error.evidence)
    )


@dataclass(frozen=True)
class StageRecord:
    """One step: a stage of one image at one site. `started` is UTC, durations are monotonic seconds."""

    name: str
    status: str
    started: str
    duration_s: float
    evidence: Mapping[str, object] = field(default_factory=dict)
    error: ErrorRecord | None = None


@dataclass(frozen=True)
class Release:
    """What `current` is at a site: read there, never copied from the plan."""

    digest: str
    sif_sha256: str = ""
    path: str = ""


@dataclass(frozen=True)
class ImageRecord:
    """One image at one site. `doing` is the stage in which a signal found it."""

    target: str
    wanted: str
    outcome: Outcome
    stages: tuple[StageRecord, ...] = ()
    before: Release | None = None
    after: Release | None = None
    changed: bool = False
    error: ErrorRecord | None = None
    doing: str = ""

    @property
    def code(self) -> ExitCode:
        return self.error.code if self.error else ExitCode.OK

    def stage(self, name: str) -> StageRecord | None:
        return next((stage for stage in self.stages if stage.name == name), None)


@dataclass(frozen=True)
class SiteRecord:
    """One site and everything that was wanted there."""

    name: str
    images: tuple[ImageRecord, ...]
    host_key: str = ""
    clock_skew_s: float | None = None
    notes: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of its images."""
        found = {image.outcome for image in self.images}
        worst_first = (
            Outcome.FAILED,
            Outcome.INCONCLUSIVE,
            Outcome.BLOCKED,
            Outcome.SUBMITTED,
            Outcome.OK,
            Outcome.UNCHANGED,
            Outcome.SKIPPED,
        )
        return next((outcome for outcome in worst_first if outcome in found), Outcome.SKIPPED)

    @property
    def code(self) -> ExitCode:
        return overall_exit_code([image.code for image in self.images])


@dataclass(frozen=True)
class TargetRecord:
    """One target: what was built, and whether the registry confirmed it."""

    name: str
    platform: str
    build_status: str
    digest: str = ""
    reference: str = ""
    tags: tuple[str, ...] = ()
    blobs: int = 0
    tags_moved: bool = False
    log: str = ""
    error: ErrorRecord | None = None


@dataclass(frozen=True)
class RunRecord:
    """Who ran what, where and when. `project` is the folder that it ran in."""

    id: str
    command: tuple[str, ...]
    host: str
    user: str
    pid: int
    boot_id: str
    started: str
    ended: str
    duration_s: float
    resumes: str | None = None
    interrupted_by: str | None = None
    project: str = ""


@dataclass(frozen=True)
class FileRecord:
    """An input file and the digest of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class NotificationRecord:
    """Somebody who was told of the run, or could not be: `problem` says why."""

    to: str
    event: str
    attempts: int
    duration_s: float
    problem: str = ""


@dataclass(frozen=True)
class ShipReport:
    """The whole run."""

    tool_version: str
    run: RunRecord
    targets: tuple[TargetRecord, ...]
    sites: tuple[SiteRecord, ...]
    bake_files: tuple[FileRecord, ...] = ()
    site_files: tuple[FileRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    error: ErrorRecord | None = None
    interrupted_code: ExitCode | None = None
    notifications: tuple[NotificationRecord, ...] = ()

    @property
    def code(self) -> ExitCode:
        """One code for the run: a signal's, the failure's that stopped it, or what the images add up to."""
        if self.interrupted_code is not None:
            return self.interrupted_code
        if self.error is not None:
            return self.error.code
        broken_targets = [target.error.code for target in self.targets if target.error is not None]
        # What was held back because of others has not gone well: it says nothing of its own.
        images = [image for site in self.sites for image in site.images if image.outcome is not Outcome.SKIPPED]
        return overall_exit_code([*(image.code for image in images), *broken_targets])

    def summary(self) -> dict[str, int]:
        """Sites by outcome."""
        counts = {outcome.value: 0 for outcome in Outcome}
        for site in self.sites:
            counts[site.outcome.value] += 1
        return counts
