"""What findings add up to: the worst counts, and what is not known is never a pass."""

from __future__ import annotations

import pytest

from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict

ERROR, UNKNOWN, WARNING, INFO = Severity.ERROR, Severity.UNKNOWN, Severity.WARNING, Severity.INFO


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ([], Verdict.PASS),
        ([INFO], Verdict.PASS),
        ([INFO, WARNING], Verdict.WARN),
        ([WARNING, UNKNOWN], Verdict.UNKNOWN),
        ([UNKNOWN], Verdict.UNKNOWN),
        ([UNKNOWN, ERROR], Verdict.FAIL),
        ([INFO, WARNING, UNKNOWN, ERROR], Verdict.FAIL),
    ],
)
def test_the_worst_finding_decides(severities: list[Severity], verdict: Verdict) -> None:
    """FAIL beats UNKNOWN beats WARN beats PASS, in any order."""
    for order in (severities, severities[::-1]):
        findings = tuple(Finding("rule", severity, "/x", "message") for severity in order)
        assert CompatReport("alder", "sha256:0", findings).verdict is verdict
