"""What hpcbake says about a bake file: a code, a place, one sentence and a way out.

Errors travel as one BakeFileError that carries all of them; warnings travel beside the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpcbake.bakefile.source import Span, excerpt, printable
from hpcbake.errors import ConfigError
from hpcbake.model.plan import PlanWarning
from hpcbake.model.record import Record

#: So many errors are shown in full; the rest is counted.
SHOWN_ERRORS = 20


class Diagnostic(Record):
    """One thing to say: `code` is stable (`HB-BAKE-020`), `message` one sentence, `help` what to do about it."""

    code: str
    message: str
    span: Span | None = None
    help: str = ""
    #: What buildx 0.29.1 says in the same place; for people who search the web for it, and for `can`'s users.
    detail: str = ""

    def as_plan_warning(self) -> PlanWarning:
        """This diagnostic as the plan carries it."""
        if self.span is None:
            return PlanWarning(self.code, self.message, help=self.help)
        return PlanWarning(self.code, self.message, self.span.path, self.span.line, self.span.column, self.help)


class BakeFileError(ConfigError):
    """A bake file is wrong. `diagnostics` holds everything found, in file order."""

    kind = "config.bakefile"

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = found
        super().__init__(
            render_diagnostics(found),
            evidence={"codes": [d.code for d in found]},
        )


def render_diagnostics(diagnostics: Sequence[Diagnostic]) -> str:
    """Every diagnostic as text: the first ones in full, the rest counted."""
    shown = [render_diagnostic(d) for d in diagnostics[:SHOWN_ERRORS]]
    hidden = len(diagnostics) - len(shown)
    if hidden > 0:
        shown.append(f"… and {hidden} more")
    return "\n\n".join(shown)


def render_diagnostic(diagnostic: Diagnostic) -> str:
    """`FILE:LINE:COL: [CODE] sentence`, the source line with carets, and a `help:` line."""
    message = printable_lines(diagnostic.message)
    if diagnostic.span is None:
        lines = [f"{message} [{diagnostic.code}]"]
    else:
        lines = [f"{diagnostic.span}: {message} [{diagnostic.code}]", excerpt(diagnostic.span)]
    if diagnostic.help:
        lines.append("help: " + printable_lines(diagnostic.help))
    return "\n".join(lines)


def printable_lines(text: str) -> str:
    """`text` with control characters other than line ends escaped."""
    return "\n".join(printable(line) for line in text.split("\n"))
