"""What a step leaves in the report as evidence, and the error that a bad smoke result is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpcbake.catalogue.causes import find_cause
from hpcbake.deliver.survey import Found
from hpcbake.errors import (
    HpcbakeError,
    IntegrityError,
    SiteResourceError,
    SmokeFailedError,
    SmokeUnknownError,
)
from hpcbake.model.artefacts import Deployment, SmokeResult, SmokeStatus
from hpcbake.model.verdict import Finding
from hpcbake.report.records import Release
from hpcbake.smoke.conclude import NO_OUTPUT_CODE, NO_OUTPUT_REASON
from hpcbake.smoke.submit import Submission

_SETTLED = (SmokeStatus.PASSED.value, SmokeStatus.SKIPPED.value)


def release_before(found: Found) -> Release | None:
    if not found.current_digest:
        return None
    return Release(found.current_digest, found.current_sha256, found.current)


def remembered(site: str, image: str, entry: Mapping[str, object]) -> SmokeResult:
    """A smoke result that an earlier run left in the provenance."""
    figures, duration, memory = entry.get("figures"), entry.get("duration_s"), entry.get("max_rss_kb")
    skipped = entry.get("status") == SmokeStatus.SKIPPED.value
    return SmokeResult(
        site=site,
        image=image,
        test=str(entry.get("test", "")),
        key=str(entry.get("key", "")),
        status=SmokeStatus.SKIPPED if skipped else SmokeStatus.PASSED,
        job_id=str(entry.get("job_id", "")),
        node=str(entry.get("node", "")),
        reason=str(entry.get("reason", "")),
        duration_s=float(duration) if isinstance(duration, int | float) else None,
        max_rss_kb=memory if isinstance(memory, int) else None,
        memory_by=str(entry.get("memory_by", "")),
        figures=figures if isinstance(figures, dict) else {},
        changed=False,
    )


def settled_tests(found: Found) -> dict[str, Mapping[str, object]]:
    """Smoke tests of this very SIF that need not run again, by key: passed, or skipped by their node."""
    entries = found.provenance.get("smoke", [])
    return {
        str(entry["key"]): entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("status") in _SETTLED and entry.get("key")
    }


def results_of_current(found: Found, site: str) -> list[SmokeResult]:
    """The smoke results of the last promoted release, where it is another one than is wanted now."""
    if not found.current or found.current == found.target:
        return []
    entries = found.promoted.get("smoke", [])
    image = found.wanted.image
    return [
        remembered(site, image, entry)
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("status") == SmokeStatus.PASSED.value
    ]


def smoke_words(result: SmokeResult) -> str:
    """One test's end in a few words."""
    if result.status is SmokeStatus.SKIPPED:
        return f"{result.test} skipped ({result.reason})"
    return f"{result.test} {result.status.value} on {result.node}"


def finding_lines(findings: Sequence[Finding], *, is_alone: bool = False) -> list[str]:
    """Findings as lines below a message; one that `is_alone` has been told by the message and the remedy already."""
    lines: list[str] = []
    for finding in findings:
        more = f" and {len(finding.paths) - 5} more" if len(finding.paths) > 5 else ""
        lines += [] if is_alone else [f"[{finding.rule}] {finding.message}"]
        lines += [f"    came with: {finding.origin}"] if finding.origin else []
        lines += [f"    files: {', '.join(finding.paths[:5])}{more}"] if finding.paths else []
        lines += [f"    mend: {finding.remedy}"] if finding.remedy and not is_alone else []
    return lines


def deliver_evidence(deployment: Deployment) -> dict[str, object]:
    return {
        "path": deployment.path,
        "sif_sha256": deployment.sif_sha256,
        "size_bytes": deployment.size_bytes,
        "runtime": deployment.runtime,
        "way": deployment.way,
        "why": deployment.why,
        "content": deployment.content,
    }


def smoke_evidence(results: Sequence[SmokeResult]) -> dict[str, object]:
    return {
        "jobs": [
            {
                "test": result.test,
                "id": result.job_id,
                "status": result.status.value,
                "state": result.state,
                "exit": result.exit_code,
                "node": result.node,
                "duration_s": result.duration_s,
                "max_rss_kb": result.max_rss_kb,
                "reason": result.reason,
                "figures": dict(result.figures),
                "log": result.log_path,
                "tail": list(result.log_tail),
            }
            for result in results
        ]
    }


def submitted_evidence(submissions: Sequence[Submission]) -> dict[str, object]:
    """Jobs whose end nobody has waited for."""
    return {
        "jobs": [
            {"test": job.test, "id": job.job_id, "status": "submitted", "log": job.attempt, "node": ""}
            for job in submissions
        ]
    }


def smoke_error(result: SmokeResult, site: str) -> HpcbakeError:
    where = f"job {result.job_id}" + (f" on {result.node}" if result.node else "")
    evidence: dict[str, object] = {"output": "\n".join(result.log_tail), "log": result.log_path}
    if result.reason == "sif changed":
        return IntegrityError(
            f"{site}: the SIF that {where} saw is not the one that was verified",
            remedy="run the same command again: it is pulled anew",
            kind="image.integrity",
            evidence=evidence,
        )
    if result.reason == NO_OUTPUT_REASON or result.exit_code == NO_OUTPUT_CODE:
        return SiteResourceError(
            f"{site}: smoke test {result.test!r} did not run ({where}): {result.reason}",
            remedy="the store must lie on a file system that compute nodes can write to",
            kind="slurm.output",
            evidence=evidence,
        )
    if result.status is SmokeStatus.FAILED:
        # The job's own words explain; that it failed was told by its result.
        cause = find_cause("\n".join(result.log_tail), "exec")
        return SmokeFailedError(
            f"{site}: smoke test {result.test!r} failed ({where}): {result.reason}"
            + (f": {cause.meaning}" if cause else ""),
            remedy=(f"{cause.remedy}; " if cause else "")
            + f"its log is {result.log_path}/out and err; mend the image, or try once more with --retry-failed",
            evidence={**evidence, "cause": cause.name} if cause else evidence,
        )
    return SmokeUnknownError(
        f"{site}: nobody knows how smoke test {result.test!r} ended ({where}): {result.reason}",
        remedy="nothing was promoted; run the same command again",
        evidence=evidence,
    )
