"""`# hpcbake: ignore=CODE reason`: findings that somebody has looked at and accepts.

A comment on the line of a finding, or on the lines right above it, silences that finding; above a target block it
silences the findings of that target in the bake file. Codes and names of rules are both taken, several with commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hpcbake.bakefile.lint.finding import LintFinding
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.model.late import dataclass

_COMMENT = re.compile(r"(?:#|//)[ \t]*hpcbake:[ \t]*ignore[ \t]*=[ \t]*([A-Za-z0-9_,-]+)(?=[ \t]|$)[ \t]*(.*)$")


@dataclass(frozen=True)
class Ignore:
    """One comment: the rules that it silences, why, where it stands, and the line that it is about."""

    rules: tuple[str, ...]
    reason: str
    span: Span
    subject_line: int


def find_ignores(source: SourceFile) -> list[Ignore]:
    """Every ignore comment of `source`."""
    if "hpcbake:" not in source.text:
        return []
    found: list[Ignore] = []
    lines = source.text.split("\n")
    for number, line in enumerate(lines, start=1):
        match = _COMMENT.search(line.rstrip("\r"))
        if match is None:
            continue
        rules = tuple(rule.strip() for rule in match.group(1).split(",") if rule.strip())
        start = source.line_start(number) + match.start()
        is_alone = not line[: match.start()].strip()
        subject = _next_code_line(lines, number) if is_alone else number
        span = Span(source, start, start + len(match.group(0)))
        found.append(Ignore(rules, match.group(2).strip(), span, subject))
    return found


def _next_code_line(lines: list[str], number: int) -> int:
    """The first line after `number` that is neither blank nor a comment."""
    for following in range(number, len(lines)):
        text = lines[following].strip()
        if text and not text.startswith(("#", "//")):
            return following + 1
    return number


@dataclass(frozen=True)
class Silenced:
    """What is left of the findings, what was silenced, and the comments that silenced nothing."""

    findings: tuple[LintFinding, ...]
    silenced: tuple[LintFinding, ...]
    unused: tuple[Ignore, ...]


def apply_ignores(
    findings: Iterable[LintFinding], ignores: Iterable[Ignore], target_lines: Mapping[tuple[str, int], str]
) -> Silenced:
    """Part `findings` by `ignores`. `target_lines` says which target starts at (file, line)."""
    kept: list[LintFinding] = []
    silenced: list[LintFinding] = []
    known = list(ignores)
    used: set[int] = set()
    for finding in findings:
        matching = [i for i, ignore in enumerate(known) if _is_about(ignore, finding, target_lines)]
        used.update(matching)
        (silenced if matching else kept).append(finding)
    return Silenced(tuple(kept), tuple(silenced), tuple(i for n, i in enumerate(known) if n not in used))


def _is_about(ignore: Ignore, finding: LintFinding, target_lines: Mapping[tuple[str, int], str]) -> bool:
    if finding.span is None or finding.path != ignore.span.path:
        return False
    if finding.code not in ignore.rules and finding.name not in ignore.rules:
        return False
    if finding.line <= ignore.subject_line <= finding.last_line:
        return True
    target = target_lines.get((ignore.span.path, ignore.subject_line))
    return target is not None and target == finding.target
