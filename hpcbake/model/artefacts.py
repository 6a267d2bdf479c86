"""What stages hand on: each takes the artefact before it and returns its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from pathlib import Path

from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest, ImageReference


@dataclass(frozen=True)
class BuiltImage:
    """An image that a registry confirmed to hold: every blob of it was asked for after the push.

    `name` is what the store calls it (the target's name), `version` the tag that people see on the site,
    `reference` the repository pinned to `digest`, the linux/amd64 manifest's. `size_bytes` is the sum of the
    compressed layers. `release_tags` move when every selected site has promoted the digest.
    """

    name: str
    version: str
    reference: ImageReference
    digest: Digest
    size_bytes: int
    release_tags: tuple[ImageReference, ...] = ()
    blobs: int = 0


@dataclass(frozen=True)
class ConvertedSif:
    """The SIF that the build host made of an image, its content found equal to the image's, file by file.

    `artifact` is where a registry holds it, by digest, for `apptainer pull oras://…`. `made` tells a conversion of
    this run from one that was kept.
    """

    path: Path
    sha256: str
    size_bytes: int
    artifact: ImageReference
    made: bool = True


@dataclass(frozen=True)
class Deployment:
    """The SIF of one digest in the store of one site, verified there."""

    site: str
    image: BuiltImage
    path: str
    sif_sha256: str
    size_bytes: int
    changed: bool
    runtime: str = ""
    notes: tuple[str, ...] = ()
    #: How it came there (oras, docker, job, stream), why that way, and what vouches for its content.
    way: str = ""
    why: str = ""
    content: str = ""


class SmokeStatus(Enum):
    """UNKNOWN is for everything that nobody can vouch for: it never counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class SmokeTest:
    """One smoke test: a template under `slurm/` and what it is given.

    `command` is the argv inside the container; `expect_exit` and `expect_stdout` (a text its output must hold)
    are what counts as passed. `modules` are Python modules to import, `sites` patterns of the sites it runs at (none:
    all).
    """

    name: str
    template: str = "cpu"
    command: tuple[str, ...] = ()
    expect_exit: int = 0
    expect_stdout: str = ""
    tasks: int = 1
    modules: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class SmokeResult:
    """How one smoke test ended on a compute node. Times are seconds.

    `duration_s` is the test's own time, without the reading of the SIF before it; `memory_by` says who measured
    `max_rss_kb`: `sacct`, or the job itself.
    """

    site: str
    image: str
    test: str
    key: str
    status: SmokeStatus
    job_id: str = ""
    node: str = ""
    state: str = ""
    exit_code: str = ""
    reason: str = ""
    duration_s: float | None = None
    figures: Mapping[str, str] = field(default_factory=dict)
    log_tail: tuple[str, ...] = ()
    log_path: str = ""
    changed: bool = True
    max_rss_kb: int | None = None
    memory_by: str = ""


@dataclass(frozen=True)
class Promotion:
    """What `current` was and is at one site."""

    site: str
    image: str
    digest: Digest
    before: str
    after: str
    changed: bool
    notes: tuple[str, ...] = ()
