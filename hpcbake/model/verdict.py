"""What a check says: findings with evidence and a remedy, and the verdict they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from hpcbake.model.late import dataclass


class Verdict(Enum):
    """UNKNOWN is never PASS: what could not be read was not found to fit."""

    PASS = "PASS"  # noqa: S105  (a verdict, not a password)
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Severity(Enum):
    """How much a finding weighs: an error fails the site, unknown leaves it unchecked, info never counts."""

    ERROR = "error"
    UNKNOWN = "unknown"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One cause, however many files it touches.

    `rule` is the stable id (`glibc-too-new`), `subject` the path or object, `message` one sentence,
    `remedy` what to change, `origin` the instruction or layer that brought it in, `paths` all files concerned.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    remedy: str = ""
    origin: str = ""
    paths: tuple[str, ...] = ()
    evidence: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "subject": self.subject,
            "message": self.message,
            "remedy": self.remedy,
            "origin": self.origin,
            "paths": list(self.paths),
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True)
class CompatReport:
    """The verdict for one digest at one site, and what it rests on."""

    site: str
    digest: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.findings)

    def as_json(self) -> dict[str, Any]:
        findings = [finding.as_json() for finding in self.findings]
        return {"site": self.site, "digest": self.digest, "findings": findings, "facts": dict(self.facts)}


def report_from_json(document: dict[str, Any]) -> CompatReport:
    """The inverse of `as_json`. Raises KeyError, TypeError or ValueError for anything else."""
    findings = [
        Finding(**{**row, "severity": Severity(row["severity"]), "paths": tuple(row["paths"])})
        for row in document["findings"]
    ]
    return CompatReport(document["site"], document["digest"], tuple(findings), dict(document["facts"]))


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """FAIL beats UNKNOWN beats WARN beats PASS."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.FAIL
    if Severity.UNKNOWN in severities:
        return Verdict.UNKNOWN
    if Severity.WARNING in severities:
        return Verdict.WARN
    return Verdict.PASS
