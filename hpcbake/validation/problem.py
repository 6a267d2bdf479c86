"""One thing that is wrong in a config file, and all of them as text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field

from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SourceFile, Span, excerpt, printable
from hpcbake.model.late import dataclass
from hpcbake.model.plan import JsonValue
from hpcbake.model.verdict import Severity
from hpcbake.sites.document import Mistake
from hpcbake.validation.files import ConfigFile

#: What a caret line points at: a word, or whatever stands there.
_WORD = re.compile(r"[^\s:,\[\]{}]+|\S|$")


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where (1-based), what, how to mend it; `shown` is the source line with carets below it."""

    path: str
    line: int
    column: int
    message: str
    help: str = ""
    severity: Severity = Severity.ERROR
    code: str = ""
    shown: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


@dataclass(frozen=True)
class Validation:
    """Every file that was looked at, and everything that is wrong with them, in the order of the files."""

    files: tuple[ConfigFile, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)


def problem_at(
    source: SourceFile, line: int, column: int, message: str, help_text: str = "", severity: Severity = Severity.ERROR
) -> Problem:
    """A problem with the word at this place, counted in characters from 1."""
    if source.text:
        line = min(max(line, 1), source.line_count)
        start = min(source.line_start(line) + max(column, 1) - 1, len(source.text))
        word = _WORD.match(source.text, start)
        span = Span(source, start, max(word.end() if word else start, start + 1))
        return Problem(source.name, line, span.column, message, help_text, severity, "", excerpt(span))
    return Problem(source.name, 1, 1, message, help_text, severity)


def problem_of_mistake(source: SourceFile, mistake: Mistake) -> Problem:
    """A mistake of a YAML document."""
    return problem_at(source, mistake.line, mistake.column, mistake.message, mistake.help)


def problem_of_diagnostic(diagnostic: Diagnostic, path: str, severity: Severity = Severity.ERROR) -> Problem:
    """What the bake reader says; `path` is the file for what has no place in one."""
    words = (diagnostic.message, diagnostic.help, severity, diagnostic.code)
    if diagnostic.span is None:
        return Problem(path, 1, 1, *words)
    span = diagnostic.span
    return Problem(span.path, span.line, span.column, *words, excerpt(span))


# ---- faces ----------------------------------------------------------------------------------------------------------


def render_validation(validation: Validation) -> str:
    """Every problem with its source line, and a summary."""
    return "\n\n".join([*map(render_problem, validation.problems), _summary(validation)])


def render_problem(problem: Problem) -> str:
    """`FILE:LINE:COL: sentence`, the source line with carets, and a `help:` line."""
    word = "" if problem.is_error else f"{problem.severity.value}: "
    code = f" [{problem.code}]" if problem.code else ""
    message = printable(problem.message)
    lines = [f"{printable(problem.path)}:{problem.line}:{problem.column}: {word}{message}{code}"]
    if problem.shown:
        lines.append(problem.shown)
    if problem.help:
        lines.append(f"help: {printable(problem.help)}")
    return "\n".join(lines)


def _summary(validation: Validation) -> str:
    errors = sum(problem.is_error for problem in validation.problems)
    warnings = len(validation.problems) - errors
    names = ", ".join(printable(file.path) for file in validation.files)
    files = counted(len(validation.files), "file")
    if not validation.problems:
        return f"nothing wrong in {files}: {names}"
    found = [counted(errors, "error")] * bool(errors) + [counted(warnings, "warning")] * bool(warnings)
    return f"{' and '.join(found)} in {files}: {names}"


def counted(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def validation_as_json(validation: Validation, exit_code: int) -> dict[str, JsonValue]:
    """The document `hpcbake.validation`, version 1."""
    files: Sequence[JsonValue] = [{"path": file.path, "kind": file.kind.value} for file in validation.files]
    problems: Sequence[JsonValue] = [
        {
            "path": problem.path,
            "line": problem.line,
            "column": problem.column,
            "severity": problem.severity.value,
            "code": problem.code,
            "message": problem.message,
            "help": problem.help,
        }
        for problem in validation.problems
    ]
    return {
        "kind": "hpcbake.validation",
        "version": 1,
        "exit": exit_code,
        "files": list(files),
        "problems": list(problems),
    }
