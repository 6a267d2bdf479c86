"""CUDA in the image against the site's driver. `--nv` never compares them, so the check does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.rule import Rule
from hpcbake.model.verdict import Finding, Severity
from hpcbake.model.version import Version, find_leading_version

#: Oldest Linux driver per CUDA release (CUDA toolkit release notes, tables 2 and 3). From 11 on one driver serves a
#: whole major series ("minor version compatibility"); before, every release had its own.
_OLDEST_DRIVER = {
    (13,): Version((580, 65, 6)),
    (12,): Version((525, 60, 13)),
    (11,): Version((450, 80, 2)),
    (10, 2): Version((440, 33)),
    (10, 1): Version((418, 39)),
    (10, 0): Version((410, 48)),
    (9, 2): Version((396, 26)),
    (9, 1): Version((390, 46)),
    (9, 0): Version((384, 81)),
    (8, 0): Version((375, 26)),
}
_REQUIRED = re.compile(r"\bcuda>=([0-9]+(?:\.[0-9]+)?)")
_RUNTIME = re.compile(r"/libcudart\.so\.([0-9]+(?:\.[0-9]+)*)$")
_COMPAT = re.compile(r"/cuda[^/]*/compat/(?:[^/]+/)*libcuda\.so\.[0-9]")


def find(case: Case) -> Iterator[Finding]:
    """A CUDA release that the driver cannot serve, or only partly."""
    wanted = find_cuda(case)
    if wanted is None:
        return
    gpu = case.profile.gpu
    if gpu.mode not in ("nv", "nvccli"):
        yield _finding(case, wanted, Severity.INFO, "the profile says nothing of NVIDIA GPUs (`gpu.mode`)", "")
        return
    if gpu.driver is None and gpu.cuda is None:
        yield _finding(
            case,
            wanted,
            Severity.WARNING,
            "the profile does not say which driver the site has, so nobody can tell whether it is new enough",
            "add `gpu.driver:` to the site's profile (nvidia-smi on a GPU node)",
        )
        return
    yield from _against_driver(case, wanted)


def find_cuda(case: Case) -> Version | None:
    """The CUDA release of the image: what its environment says, else the newest runtime library in it."""
    config = case.image.config
    stated = find_leading_version(config.variable("CUDA_VERSION") or "")
    if stated is None:
        required = _REQUIRED.search(config.variable("NVIDIA_REQUIRE_CUDA") or "")
        stated = find_leading_version(required.group(1)) if required else None
    if stated is not None:
        return stated
    found = [match.group(1) for subject in case.cast.libraries if (match := _RUNTIME.search(subject.path))]
    versions = [version for text in found if (version := find_leading_version(text))]
    return max(versions, default=None)


def _against_driver(case: Case, wanted: Version) -> Iterator[Finding]:
    gpu = case.profile.gpu
    oldest = _OLDEST_DRIVER.get(wanted.parts[:1]) or _OLDEST_DRIVER.get(wanted.parts[:2])
    has_compat = any(_COMPAT.search(subject.path) for subject in case.cast.libraries)
    help_text = "start from an image with an older CUDA, or ask the site for a newer driver"
    too_old = bool(gpu.driver and oldest and gpu.driver < oldest)
    if gpu.driver is None and gpu.cuda is not None:
        too_old = wanted.parts[0] > gpu.cuda.parts[0]
    if too_old:
        have = f"driver {gpu.driver}" if gpu.driver else f"a driver for CUDA {gpu.cuda}"
        need = f"needs driver {oldest} or newer" if oldest else "is of a newer series"
        if has_compat:
            note = f"{need}; the site has {have}. The image's cuda-compat helps on data-centre GPUs only"
            yield _finding(case, wanted, Severity.WARNING, note, help_text)
        else:
            yield _finding(case, wanted, Severity.ERROR, f"{need}; the site has {have}", help_text)
        return
    if gpu.cuda is not None and wanted.parts[:2] > gpu.cuda.parts[:2] and len(wanted.parts) > 1:
        yield _finding(
            case,
            wanted,
            Severity.WARNING,
            f"is newer than what the site's driver was made for ({gpu.cuda}): code that is compiled at run time "
            "(PTX) fails",
            "build for the exact GPU architecture (sm_80, sm_90), or start from an image with that CUDA or an "
            "older one",
        )


def _finding(case: Case, wanted: Version, severity: Severity, why: str, remedy: str) -> Finding:
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=f"CUDA {wanted}",
        message=f"CUDA {wanted} of the image {why}"
        if why.startswith(("needs", "is "))
        else f"CUDA {wanted} in the image: {why}",
        remedy=remedy,
        evidence={
            "cuda": str(wanted),
            "driver": str(case.profile.gpu.driver or ""),
            "driver_cuda": str(case.profile.gpu.cuda or ""),
        },
    )


RULE = Rule(
    "cuda-driver",
    "the image's CUDA against the site's driver",
    "The driver comes from the host and must be new enough for the CUDA in the image: 450 for CUDA 11, 525 for 12, "
    "580 for "
    "13. A newer minor release works, except for code that is compiled at run time.",
    find,
)
