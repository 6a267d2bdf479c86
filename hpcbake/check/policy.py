"""How a project weighs findings: other severities with a reason, and known findings accepted until a day."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import CompatReport, Finding, Severity
from hpcbake.sites.document import Section, choice, listing, parse_document, suggest, text

#: The file that `hpcbake check` reads by itself in the project's folder.
POLICY_FILE = "hpcbake-check.yaml"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_SEVERITY = Section(
    {
        "rule": text("id of the rule", required=True),
        "severity": replace(
            choice("error", "warning", "info", doc="what its findings weigh from now on"), required=True
        ),
        "site": text("only at this site; default: at every site"),
        "reason": text("why; it is shown with the finding", required=True),
    },
    "another severity for a rule",
)
_ACCEPT = Section(
    {
        "rule": text("id of the rule", required=True),
        "subject": text("path or pattern (*, ?) that every file of the finding fits; default: any file"),
        "site": text("only at this site; default: at every site"),
        "until": text("last day on which it is accepted, as 2027-01-31", pattern=_DAY.pattern, required=True),
        "reason": text("why; it is shown with the finding", required=True),
    },
    "a known finding that does not count for a while",
)
POLICY = Section(
    {
        "severities": listing(_SEVERITY.as_field(), "other severities for rules"),
        "accept": listing(_ACCEPT.as_field(), "known findings, accepted until a day"),
    },
    "how findings are weighed in this project",
)


@dataclass(frozen=True)
class SeverityChoice:
    """Findings of `rule` (at `site`, or everywhere) weigh `severity`."""

    rule: str
    severity: Severity
    reason: str
    site: str = ""


@dataclass(frozen=True)
class Acceptance:
    """Findings of `rule`, all of whose files fit `subject`, do not count until the end of the day `until`."""

    rule: str
    until: datetime.date
    reason: str
    subject: str = "*"
    site: str = ""


@dataclass(frozen=True)
class Policy:
    """All choices of a project. The first that fits a finding counts."""

    severities: tuple[SeverityChoice, ...] = ()
    accepted: tuple[Acceptance, ...] = ()


def parse_policy(content: str, path: str) -> Policy:
    """Read a policy file. Raises ConfigError showing every mistake with line and column."""
    from hpcbake.check.rules import RULES  # imported late: most runs have no policy, and no use for all the rules

    values = parse_document(content, path, POLICY)
    names = {rule.id for rule in RULES}
    for entry in [*values.get("severities", ()), *values.get("accept", ())]:
        if entry["rule"] not in names:
            raise ConfigError(
                f"{path}: there is no rule {entry['rule']!r}",
                remedy=suggest(entry["rule"], names).replace("known keys", "rules"),
                kind="config.policy",
            )
    return Policy(
        tuple(_severity_choice(entry) for entry in values.get("severities", ())),
        tuple(_acceptance(entry, path) for entry in values.get("accept", ())),
    )


def apply_policy(report: CompatReport, policy: Policy, today: datetime.date) -> CompatReport:
    """The report as this project weighs it. What was not read stays UNKNOWN: nobody can accept what nobody saw."""
    return replace(report, findings=sort_by_weight(_weighed(f, report.site, policy, today) for f in report.findings))


def sort_by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, otherwise as they came."""
    order = [Severity.ERROR, Severity.UNKNOWN, Severity.WARNING, Severity.INFO]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _weighed(finding: Finding, site: str, policy: Policy, today: datetime.date) -> Finding:
    if finding.severity is Severity.UNKNOWN:
        return finding
    for choice_ in policy.severities:
        if choice_.rule == finding.rule and choice_.site in ("", site):
            noted = {**finding.evidence, "severity_by_policy": choice_.reason, "own_severity": finding.severity.value}
            message = f"{finding.message} ({choice_.severity.value} by policy: {choice_.reason})"
            finding = replace(finding, severity=choice_.severity, message=message, evidence=noted)
            break
    for accepted in policy.accepted:
        fits = accepted.rule == finding.rule and accepted.site in ("", site)
        if not fits or not _covers(accepted, finding) or finding.severity is Severity.INFO:
            continue
        if today > accepted.until:
            return replace(
                finding, message=f"{finding.message} (was accepted until {accepted.until}: {accepted.reason})"
            )
        noted = {**finding.evidence, "accepted_until": str(accepted.until), "own_severity": finding.severity.value}
        message = f"{finding.message} (accepted until {accepted.until}: {accepted.reason})"
        return replace(finding, severity=Severity.INFO, message=message, evidence=noted)
    return finding


def _covers(accepted: Acceptance, finding: Finding) -> bool:
    """Whether all of a finding was known: one more broken file beside the accepted ones is news."""
    return all(fnmatchcase(path, accepted.subject) for path in finding.paths or (finding.subject,))


def _severity_choice(entry: dict[str, Any]) -> SeverityChoice:
    return SeverityChoice(entry["rule"], Severity(entry["severity"]), entry["reason"], entry.get("site", ""))


def _acceptance(entry: dict[str, Any], path: str) -> Acceptance:
    try:
        until = datetime.date.fromisoformat(entry["until"])
    except ValueError as cause:
        raise ConfigError(
            f"{path}: {entry['until']!r} is no day", remedy="write it as 2027-01-31", kind="config.policy"
        ) from cause
    return Acceptance(entry["rule"], until, entry["reason"], entry.get("subject", "*"), entry.get("site", ""))
