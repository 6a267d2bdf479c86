"""What images, sites and a run add up to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpcbake.errors import (
    BusyError,
    ExitCode,
    HpcbakeError,
    RegistryError,
    SiteTrustError,
    SiteUnreachableError,
    SmokeUnknownError,
    UncheckedError,
)
from hpcbake.report.records import ImageRecord, Outcome, ShipReport, SiteRecord, error_record, outcome_of
from tests.reports import RUN, failed, full_report, promoted, target

OK, UNCHANGED, FAILED = Outcome.OK, Outcome.UNCHANGED, Outcome.FAILED
INCONCLUSIVE, BLOCKED, SKIPPED = Outcome.INCONCLUSIVE, Outcome.BLOCKED, Outcome.SKIPPED


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SiteTrustError("x"), FAILED),
        (SiteUnreachableError("x"), FAILED),
        (SiteUnreachableError("x", kind="ssh.timeout"), INCONCLUSIVE),
        (SiteUnreachableError("x", kind="ssh.lost"), INCONCLUSIVE),
        (UncheckedError("x"), INCONCLUSIVE),
        (SmokeUnknownError("x"), INCONCLUSIVE),
        (BusyError("x"), BLOCKED),
    ],
)
def test_not_knowing_is_not_failing(error: HpcbakeError, outcome: Outcome) -> None:
    """The world said no, nobody knows, or somebody holds a lock."""
    assert outcome_of(error) is outcome


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([], SKIPPED),
        ([OK, UNCHANGED], OK),
        ([UNCHANGED, UNCHANGED], UNCHANGED),
        ([OK, BLOCKED], BLOCKED),
        ([BLOCKED, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, FAILED, OK], FAILED),
        ([UNCHANGED, SKIPPED], UNCHANGED),
    ],
)
def test_a_site_is_its_worst_image(outcomes: list[Outcome], worst: Outcome) -> None:
    """One word per site."""
    assert SiteRecord("alder", tuple(ImageRecord("app", "", outcome) for outcome in outcomes)).outcome is worst


def test_sites_are_counted_once_each() -> None:
    """The summary adds up to the number of sites."""
    assert full_report().summary() == {
        "ok": 1,
        "unchanged": 0,
        "failed": 1,
        "inconclusive": 0,
        "blocked": 0,
        "skipped": 0,
        "submitted": 0,
    }


def report(*images: ImageRecord, **facts: object) -> ShipReport:
    sites = tuple(SiteRecord(f"site-{number}", (image,)) for number, image in enumerate(images))
    return replace(ShipReport("0", RUN, (target(),), sites), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (report(promoted(), promoted()), ExitCode.OK),
        (report(promoted(), failed()), ExitCode.PARTIAL),
        (report(failed(), failed()), ExitCode.SMOKE_FAILED),
        (report(promoted(), interrupted_code=ExitCode.TERM), ExitCode.TERM),
        (report(error=error_record("build", RegistryError("x"))), ExitCode.REGISTRY),
        (
            report(promoted(), targets=(replace(target(), error=error_record("promote", RegistryError("x"))),)),
            ExitCode.PARTIAL,
        ),
    ],
)
def test_a_run_has_one_code(given: ShipReport, code: ExitCode) -> None:
    """A signal's, that of the failure that stopped it, or what the images add up to; a tag that did not move counts."""
    assert given.code is code
