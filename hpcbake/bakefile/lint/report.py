"""A lint report as text, as JSON and as SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpcbake import __version__
from hpcbake.bakefile.lint.finding import LintFinding
from hpcbake.bakefile.lint.registry import RULES
from hpcbake.bakefile.lint.run import LintReport
from hpcbake.bakefile.source import excerpt, printable
from hpcbake.model.plan import JsonValue
from hpcbake.model.verdict import Severity

_SARIF_LEVEL: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def render_text(report: LintReport) -> str:
    """Every finding with its line of source, and a summary."""
    return "\n\n".join([*(_render_finding(finding) for finding in report.findings), _summary(report)])


def _render_finding(finding: LintFinding) -> str:
    place = f"{finding.span}: " if finding.span else ""
    lines = [f"{place}{finding.severity.value}: {printable(finding.message)} [{finding.code} {finding.name}]"]
    if finding.span is not None:
        lines.append(excerpt(finding.span))
    if finding.help:
        lines.append(f"help: {printable(finding.help)}")
    return "\n".join(lines)


def _summary(report: LintReport) -> str:
    counts = [
        _count(report.findings, severity, word)
        for severity, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note"))
    ]
    found = ", ".join(count for count in counts if count) or "nothing found"
    silenced = f", {len(report.silenced)} ignored" if report.silenced else ""
    targets = f"{len(report.targets)} target{'' if len(report.targets) == 1 else 's'}"
    return f"{found}{silenced} in {targets} ({', '.join(map(printable, report.files))})"


def _count(findings: Sequence[LintFinding], severity: Severity, word: str) -> str:
    number = sum(finding.severity is severity for finding in findings)
    return f"{number} {word}{'' if number == 1 else 's'}" if number else ""


def report_as_json(report: LintReport) -> dict[str, JsonValue]:
    """The report as a document of kind `LintReport`."""
    return {
        "kind": "LintReport",
        "version": 1,
        "targets": list(report.targets),
        "files": list(report.files),
        "findings": [_finding_as_json(finding) for finding in report.findings],
        "ignored": [_finding_as_json(finding) for finding in report.silenced],
    }


def _finding_as_json(finding: LintFinding) -> dict[str, JsonValue]:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "help": finding.help,
        "target": finding.target,
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "lastLine": finding.last_line,
    }


def report_as_sarif(report: LintReport) -> dict[str, JsonValue]:
    """The report as SARIF 2.1.0, which code hosts show beside the lines."""
    rules: list[JsonValue] = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.mend},
            "defaultConfiguration": {"level": _SARIF_LEVEL[rule.severity]},
        }
        for rule in RULES
    ]
    results: list[JsonValue] = []
    results += [_sarif_result(finding) for finding in report.findings]
    results += [{**_sarif_result(finding), "suppressions": [{"kind": "inSource"}]} for finding in report.silenced]
    driver: dict[str, JsonValue] = {
        "name": "hpcbake lint",
        "version": __version__,
        "informationUri": "https://github.com/hpcbake/hpcbake",
        "rules": rules,
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _sarif_result(finding: LintFinding) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {
        "ruleId": finding.code,
        "level": _SARIF_LEVEL.get(finding.severity, "warning"),
        "message": {"text": f"{finding.message}. {finding.help}".strip()},
    }
    if finding.span is not None:
        region: dict[str, JsonValue] = {
            "startLine": finding.line,
            "startColumn": finding.column,
            "endLine": finding.last_line,
        }
        result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": finding.path}, "region": region}}]
    return result
