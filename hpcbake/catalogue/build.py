"""HB-BUILD: what BuildKit refuses."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_BUILD = (ExitCode.BUILD,)

BUILD: tuple[Entry, ...] = (
    Entry(
        "HB-BUILD-001", "image.build", _BUILD,
        "An instruction of a Dockerfile ended with an error, or BuildKit gave up.",
        "a build step failed",
        "The instruction and its last lines are shown; the whole log is build.log of the run. Try it alone: "
        "`hpcbake build --target NAME`.",
    ),
    Entry(
        "HB-BUILD-002", "image.base", _BUILD,
        "An image that a FROM line or a context names cannot be found.",
        "a base image cannot be found",
        "Check the spelling of the FROM lines and the tag; a private image also needs `docker login`. "
        "`rockylinux:8.10` is published as `rockylinux/rockylinux:8.10`.",
    ),
    Entry(
        "HB-BUILD-003", "image.context", _BUILD,
        "A Dockerfile, or a file that it copies, is not in the build context.",
        "a Dockerfile or a file of the context is missing",
        "Paths are relative to the folder that hpcbake runs in. Look into .dockerignore, which may leave it out.",
    ),
    Entry(
        "HB-BUILD-004", "image.entitlement", _BUILD,
        "The plan asks for privileges (network.host, security.insecure, files outside the folder) that nobody gave.",
        "the plan asks for privileges that were not given",
        "Read the list that is shown; pass what you accept with `--allow`.",
    ),
    Entry(
        "HB-BUILD-005", "image.metadata", _BUILD,
        "The build ended well but did not say which digest it made.",
        "target 'app': BuildKit gave no digest",
        "Use BuildKit 0.12 or newer or the containerd image store; run the same command again.",
    ),
    Entry(
        "HB-BUILD-006", "image.platform", _BUILD,
        "What was pushed holds no image for the sites' processors.",
        "target 'app': registry.example.org/app@sha256:5ed5… holds no linux/amd64 image",
        'Add the platform to the target: platforms = ["linux/amd64"].',
    ),
    Entry(
        "HB-BUILD-007", "image.race", _BUILD,
        "Another build of the same image finished at the same moment.",
        "another build of the same image was faster",
        "Run the same command again.",
    ),
    Entry(
        "HB-BUILD-008", "image.space", _BUILD,
        "The disk of the builder is full.",
        "the builder's disk is full",
        "`docker buildx prune` removes its cache, `docker buildx du` shows how much that is.",
    ),
)  # fmt: skip
