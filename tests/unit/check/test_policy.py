"""Severities and acceptances of a project: what they change, and what they may not."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from hpcbake.check.policy import Policy, apply_policy, parse_policy
from hpcbake.errors import ConfigError
from hpcbake.model.verdict import CompatReport, Finding, Severity, Verdict

TODAY = datetime.date(2026, 11, 22)
REPORT = CompatReport(
    "alder",
    "sha256:0",
    (
        Finding("glibc-too-new", Severity.ERROR, "/opt/old/app", "too new"),
        Finding("unread", Severity.UNKNOWN, "/bin/x", "not read"),
        Finding("no-shell", Severity.WARNING, "/bin/sh", "no shell"),
    ),
)


def weighed(text: str, report: CompatReport = REPORT, today: datetime.date = TODAY) -> dict[str, Severity]:
    policy = parse_policy(text, "hpcbake-check.yaml")
    return {finding.rule: finding.severity for finding in apply_policy(report, policy, today).findings}


def test_nothing_changes_without_a_policy() -> None:
    """An empty file and no file are the same."""
    assert apply_policy(REPORT, Policy(), TODAY) == REPORT
    assert weighed("{}") == {finding.rule: finding.severity for finding in REPORT.findings}


@pytest.mark.parametrize(
    ("site", "severity"), [("", Severity.ERROR), ("alder", Severity.ERROR), ("birch", Severity.WARNING)]
)
def test_another_severity(site: str, severity: Severity) -> None:
    """Everywhere, or at one site only."""
    place = f", site: {site}" if site else ""
    text = f"severities:\n  - {{rule: no-shell, severity: error, reason: we need one{place}}}\n"
    assert weighed(text)["no-shell"] is severity
    if severity is Severity.ERROR:
        report = apply_policy(REPORT, parse_policy(text, "p"), TODAY)
        assert any("(error by policy: we need one)" in finding.message for finding in report.findings)


ACCEPT = "accept:\n  - {{rule: glibc-too-new, subject: {subject}, until: {until}, reason: known}}\n"


@pytest.mark.parametrize(
    ("subject", "until", "severity"),
    [
        ("/opt/old/*", "2026-11-22", Severity.INFO),
        ("'*'", "2027-01-01", Severity.INFO),
        ("/opt/old/app", "2026-11-21", Severity.ERROR),
        ("/opt/new/*", "2027-01-01", Severity.ERROR),
    ],
)
def test_acceptance_until_a_day(subject: str, until: str, severity: Severity) -> None:
    """A known finding does not count up to and including its day, for the subjects named."""
    assert weighed(ACCEPT.format(subject=subject, until=until))["glibc-too-new"] is severity


def test_acceptance_is_shown() -> None:
    """The reason and the day stand with the finding, before and after."""
    policy = parse_policy(ACCEPT.format(subject="'*'", until="2026-12-01"), "p")
    for today, said in (
        (TODAY, "(accepted until 2026-12-01: known)"),
        (datetime.date(2027, 1, 1), "(was accepted until"),
    ):
        [finding] = [f for f in apply_policy(REPORT, policy, today).findings if f.rule == "glibc-too-new"]
        assert said in finding.message


def test_a_new_file_beside_accepted_ones_is_news() -> None:
    """An acceptance of some files says nothing of the next one that breaks in the same way."""
    policy = parse_policy(ACCEPT.format(subject="/opt/old/*", until="2027-01-01"), "p")
    [known] = [finding for finding in REPORT.findings if finding.rule == "glibc-too-new"]
    more = replace(known, paths=("/opt/new/app", *(known.paths or (known.subject,))))
    [weighed_] = apply_policy(replace(REPORT, findings=(more,)), policy, TODAY).findings
    assert weighed_ == more


def test_unknown_cannot_be_accepted() -> None:
    """Nobody can accept what nobody saw."""
    text = (
        "severities:\n  - {rule: unread, severity: info, reason: hush}\n"
        "accept:\n  - {rule: unread, until: 2099-01-01, reason: hush}\n"
    )
    assert weighed(text)["unread"] is Severity.UNKNOWN
    assert apply_policy(REPORT, parse_policy(text, "p"), TODAY).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "text",
    [
        "severities:\n  - {rule: glibc-to-new, severity: info, reason: x}\n",
        "severities:\n  - {rule: no-shell, reason: x}\n",
        "severities:\n  - {rule: no-shell, severity: info}\n",
        "severities:\n  - {rule: no-shell, severity: harmless, reason: x}\n",
        "accept:\n  - {rule: no-shell, until: 2026-13-40, reason: x}\n",
        "accept:\n  - {rule: no-shell, until: soon, reason: x}\n",
        "accept:\n  - {rule: no-shell, until: 2026-12-01}\n",
        "acept: []\n",
    ],
)
def test_mistakes_are_refused(text: str) -> None:
    """Unknown rules, missing reasons and days that do not exist."""
    with pytest.raises(ConfigError):
        parse_policy(text, "hpcbake-check.yaml")
