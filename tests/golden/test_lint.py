"""Every lint rule finds what is wrong in its bad files, at the right lines, and nothing in its good ones."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hpcbake.bakefile import BakeRequest
from hpcbake.bakefile.lint import RULES, LintReport, lint
from hpcbake.bakefile.resolve import plan_of, read_request

CASES = Path(__file__).parent / "lint"
TODAY = date(2026, 6, 1)


def lint_folder(folder: Path) -> LintReport:
    request = BakeRequest()
    read = read_request(request, folder=folder, environment={})
    return lint(read, plan_of(read, request, folder=folder, environment={}), folder=folder, today=TODAY)


def cases(kind: str) -> list[str]:
    return sorted(f"{path.parent.parent.name}/{path.name}" for path in CASES.glob(f"*/{kind}/*"))


@pytest.mark.parametrize("case", cases("bad"))
def test_a_bad_file_is_found_line_by_line(case: str) -> None:
    """The rule speaks exactly where `expected.txt` says, and each time with a way out."""
    rule, name = case.split("/")
    folder = CASES / rule / "bad" / name
    found = [finding for finding in lint_folder(folder).findings if finding.name == rule]
    places = {f"{finding.path}:{finding.line}" for finding in found}
    assert places == set((folder / "expected.txt").read_text().split())
    assert all(finding.help for finding in found)


@pytest.mark.parametrize("case", cases("good"))
def test_a_good_file_is_left_alone(case: str) -> None:
    """The rule says nothing about a file that does it right."""
    rule, name = case.split("/")
    found = [f for f in lint_folder(CASES / rule / "good" / name).findings if f.name == rule]
    assert found == []


def test_every_rule_has_good_and_bad_files() -> None:
    """A rule without examples is not tested, and its page has nothing to show."""
    names = {rule.name for rule in RULES}
    assert {case.split("/")[0] for case in cases("bad")} == names
    assert {case.split("/")[0] for case in cases("good")} == names


def test_codes_and_names_are_unique() -> None:
    """A code means one rule for ever."""
    assert len({rule.code for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
