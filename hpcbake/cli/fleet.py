"""The same question to several sites at once: each on its own connection, none in another's way."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import click
from rich.console import Console

from hpcbake.adapters.clock import SystemClock
from hpcbake.catalogue import error_code, with_code
from hpcbake.cli.configuration import configuration, setting_option
from hpcbake.cli.world import connect
from hpcbake.errors import ExitCode, HpcbakeError, StateError, overall_exit_code
from hpcbake.model.late import dataclass
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.times import render_utc, run_id

T = TypeVar("T")

lock_wait_option = setting_option(
    "ship.lock_wait",
    "--lock-wait",
    type=click.IntRange(min=0),
    fallback=60,
    metavar="SECONDS",
    help="Patience with a lock on a site.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, and touch nothing.")


@dataclass(frozen=True)
class SiteAnswer(Generic[T]):
    """What one site said, or why it did not."""

    site: Site
    result: T | None
    error: HpcbakeError | None = None

    @property
    def code(self) -> ExitCode:
        return self.error.exit_code if self.error else ExitCode.OK


def ask_sites(sites: Sequence[Site], act: Callable[[Site, SiteNode], T]) -> list[SiteAnswer[T]]:
    """Do `act` at every site; a failure stays with its site."""

    def ask(site: Site) -> SiteAnswer[T]:
        node = connect(site)
        try:
            return SiteAnswer(site, act(site, node))
        except HpcbakeError as error:
            return SiteAnswer(site, None, error)
        finally:
            node.close()

    with ThreadPoolExecutor(max_workers=sites_at_once()) as pool:
        return list(pool.map(ask, sites))


def sites_at_once() -> int:
    """How many sites are worked on or looked at together. Raises ConfigError."""
    return int(configuration().value("ship.parallel_sites"))


def fleet_code(answers: Sequence[SiteAnswer[T]], more: Sequence[ExitCode] = ()) -> ExitCode:
    """One code for all sites. A ledger that was changed anywhere is never hidden behind "partly"."""
    codes = [*(answer.code for answer in answers), *more]
    if any(isinstance(answer.error, StateError) for answer in answers):
        return ExitCode.STATE
    return overall_exit_code(codes)


def new_run() -> tuple[str, str]:
    """The id of a run that begins now, and its time in UTC."""
    now = SystemClock().now()
    return run_id(now, secrets.randbits(80)), render_utc(now)


def print_failures(console: Console, answers: Sequence[SiteAnswer[T]]) -> None:
    """What went wrong where, and what to do about it."""
    for answer in answers:
        if answer.error is not None:
            message = answer.error.message.removeprefix(f"{answer.site.name}: ")
            console.print(
                f"\n{answer.site.name}: {printable(with_code(message, answer.error.kind))}", markup=False, style="red"
            )
            if answer.error.remedy:
                console.print(f"  help: {printable(answer.error.remedy)}", markup=False)


def error_members(error: HpcbakeError) -> dict[str, object]:
    """A failure in a JSON document."""
    return {
        "error": {
            "kind": error.kind,
            "error_code": error_code(error.kind),
            "code": int(error.exit_code),
            "message": error.message,
            "remedy": error.remedy,
            "retryable": error.retryable,
        }
    }
