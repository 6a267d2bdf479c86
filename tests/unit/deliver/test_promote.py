"""Who may be promoted: nothing without a passed smoke test, and nothing is sent before that is clear."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.errors import HpcbakeError, SmokeFailedError, SmokeUnknownError
from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from tests.fake_site import FakeSite
from tests.golden.chain_texts import PLAIN, deployment

PASSED, FAILED, UNKNOWN, SKIPPED = SmokeStatus.PASSED, SmokeStatus.FAILED, SmokeStatus.UNKNOWN, SmokeStatus.SKIPPED


def request_with(statuses: Sequence[SmokeStatus]) -> PromoteRequest:
    smoke = [SmokeResult("plain", "hpc-app", f"t{number}", "k", status) for number, status in enumerate(statuses)]
    return PromoteRequest(deployment(PLAIN), smoke, "", "01RUN", "2026-01-31T12:00:00Z", "0")


@pytest.mark.parametrize(
    ("statuses", "failure"),
    [
        ([], SmokeUnknownError),
        ([SKIPPED], SmokeUnknownError),
        ([UNKNOWN], SmokeUnknownError),
        ([PASSED, UNKNOWN], SmokeUnknownError),
        ([PASSED, FAILED], SmokeFailedError),
        ([FAILED, UNKNOWN], SmokeFailedError),
    ],
)
def test_nothing_is_promoted_without_every_test_passed(
    statuses: Sequence[SmokeStatus], failure: type[HpcbakeError]
) -> None:
    """The site is not even asked."""
    site = FakeSite()
    with pytest.raises(failure) as caught:
        promote(request_with(statuses), PLAIN, node=site, commands=SpythonCommands())
    assert site.heard == []
    assert caught.value.remedy


@pytest.mark.parametrize("statuses", [[PASSED], [PASSED, SKIPPED], [PASSED, PASSED]])
def test_what_passed_is_promoted(statuses: Sequence[SmokeStatus]) -> None:
    """A test that does not apply does not stand in the way."""
    site = FakeSite()
    done = promote(request_with(statuses), PLAIN, node=site, commands=SpythonCommands())
    assert (site.heard, done.changed) == (["promote"], True)
