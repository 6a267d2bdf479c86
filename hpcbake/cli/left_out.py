"""The sites that --keep-going-sites leaves out: a run that serves fewer sites says so, in report and exit code."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hpcbake.errors import ConfigError, ExitCode, overall_exit_code
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.report.records import ImageRecord, Outcome, SiteRecord, error_record

#: Where the run's context keeps them.
_KEY = "hpcbake.sites-left-out"
#: Set when a report has them: its own code counts them then.
_TOLD = "hpcbake.sites-left-out.told"


@dataclass(frozen=True)
class LeftOut:
    """A site whose config is wrong, and the mistake."""

    site: str
    error: ConfigError


def expect_left_out(context: click.Context) -> None:
    """From here on sites may be left out."""
    context.meta[_KEY] = []


def may_leave_out(context: click.Context | None) -> bool:
    """Has the user asked to go on without the sites whose config is wrong?"""
    return context is not None and _KEY in context.meta


def note_left_out(
    context: click.Context, asked: Sequence[str], found: Sequence[Site], errors: list[ConfigError]
) -> None:
    """Keep which of the sites `asked` for were not `found`; their mistakes come in the same order."""
    read = {site.name for site in found}
    missing = [name for name in asked if name not in read]
    context.meta[_KEY] = [LeftOut(name, error) for name, error in zip(missing, errors, strict=True)]


def left_out_records(images: Sequence[str]) -> tuple[SiteRecord, ...]:
    """The sites that this run goes on without, for its report: every image failed there, for the config of the site."""
    context = click.get_current_context(silent=True)
    left: list[LeftOut] = context.meta.get(_KEY, []) if context else []
    if context and left:
        context.meta[_TOLD] = True
    return tuple(
        SiteRecord(
            item.site,
            tuple(
                ImageRecord(name, "", Outcome.FAILED, error=error_record("resolve", item.error))
                for name in images or ["(all)"]
            ),
            notes=("left out by --keep-going-sites: nothing was done here",),
        )
        for item in left
    )


def with_left_out(code: object, context: click.Context) -> object:
    """The exit code of a verb, or what it comes to when sites were left out: no run is fine that served fewer sites."""
    if not context.meta.get(_KEY) or context.meta.get(_TOLD) or not isinstance(code, int | None):
        return code
    return int(overall_exit_code([ExitCode(code or 0), ExitCode.CONFIG]))
