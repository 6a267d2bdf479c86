"""What a step leaves as evidence, and which failure a bad smoke result is."""

from __future__ import annotations

import json

import pytest

from hpcbake.deliver.survey import Found, Wanted
from hpcbake.errors import ExitCode
from hpcbake.model.artefacts import SmokeResult, SmokeStatus
from hpcbake.model.reference import Digest
from hpcbake.model.verdict import Finding, Severity
from hpcbake.report.records import Release
from hpcbake.ship.evidence import finding_lines, release_before, remembered, smoke_error, smoke_evidence

FAILED, UNKNOWN = SmokeStatus.FAILED, SmokeStatus.UNKNOWN


def result(status: SmokeStatus, reason: str = "", exit_code: str = "") -> SmokeResult:
    return SmokeResult(
        "alder",
        "app",
        "cpu",
        "key",
        status,
        "12",
        "n1",
        exit_code=exit_code,
        reason=reason,
        log_tail=("a", "b"),
        log_path="/l",
    )


@pytest.mark.parametrize(
    ("seen", "code", "kind"),
    [
        (result(FAILED, "exit code 3", "3"), ExitCode.SMOKE_FAILED, "slurm.failed"),
        (result(UNKNOWN, "nobody knows"), ExitCode.SMOKE_UNKNOWN, "slurm.unknown"),
        (result(FAILED, "sif changed", "43"), ExitCode.INTEGRITY, "image.integrity"),
        (result(UNKNOWN, "no output", "0:53"), ExitCode.SITE_RESOURCE, "slurm.output"),
    ],
)
def test_a_bad_result_is_a_failure(seen: SmokeResult, code: ExitCode, kind: str) -> None:
    """With site, job, node, the log's end and what to do."""
    error = smoke_error(seen, "alder")
    assert (error.exit_code, error.kind) == (code, kind)
    assert "job 12 on n1" in error.message
    assert error.message.startswith("alder: ")
    assert (error.evidence["output"], bool(error.remedy)) == ("a\nb", True)


def test_evidence_is_plain_json() -> None:
    """Whatever a job printed."""
    document = smoke_evidence([result(FAILED, "é\x1b[31m\ud800")])
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("figures", [{"os": "Rocky"}, None, "x", []])
def test_a_remembered_result_is_not_new(figures: object) -> None:
    """An entry of the provenance, damaged or not."""
    entry = {"test": "cpu", "key": "k", "job_id": 7, "node": "n1", "figures": figures}
    seen = remembered("alder", "app", entry)
    assert (seen.status, seen.changed, seen.job_id) == (SmokeStatus.PASSED, False, "7")
    assert seen.figures == (figures if isinstance(figures, dict) else {})


@pytest.mark.parametrize(
    ("current", "expected"),
    [("", None), ("elsewhere", None), (f"../sif/app/{'a' * 64}.sif", f"sha256:{'a' * 64}")],
)
def test_what_was_current_is_a_release_or_nothing(current: str, expected: str | None) -> None:
    """A link of somebody else's is no release."""
    found = Found(Wanted("app", Digest.of(b""), "1"), "absent", current, "", "ff")
    release = release_before(found)
    assert release == (Release(expected, "ff", current) if expected else None)


def test_findings_are_told_with_their_files() -> None:
    """Five of them, and how many more."""
    finding = Finding("rule", Severity.ERROR, "/a", "too new", "rebuild", "RUN make", tuple(f"/{n}" for n in range(9)))
    assert finding_lines([finding]) == [
        "[rule] too new",
        "    came with: RUN make",
        "    files: /0, /1, /2, /3, /4 and 4 more",
        "    mend: rebuild",
    ]
