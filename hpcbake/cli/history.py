"""`hpcbake history`: what users of a site were given, when and by whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hpcbake.cli.console import make_console
from hpcbake.cli.fleet import SiteAnswer, ask_sites, error_members, fleet_code, json_option, print_failures
from hpcbake.cli.options import read_sites, site_options
from hpcbake.deliver.history import HistoryEvent, SiteHistory, site_history
from hpcbake.deliver.status import look_at_store
from hpcbake.errors import ExitCode
from hpcbake.report.printable import printable
from hpcbake.ship.times import render_utc


@click.command("history")
@click.argument("image", required=False, metavar="[IMAGE]")
@click.option("--runs", "of_runs", is_flag=True, help="Show the runs of this machine instead; asks no site.")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="With --runs: so many, the newest.",
)
@click.option("--all", "every_project", is_flag=True, help="With --runs: those of every folder, not only of this one.")
@site_options
@json_option
def command(
    image: str | None,
    of_runs: bool,
    last: int,
    every_project: bool,
    site_names: tuple[str, ...],
    site_configs: Path,
    as_json: bool,
) -> int:
    """Show what users of each site were given, when, by whom and after which smoke job.

    Read from the ledger of each site; looks, and changes nothing. The number of a line is what
    `hpcbake rollback --to` takes. Exit code 70 when a ledger was changed.

    \b
    hpcbake history app                what users of every site had of app
    hpcbake history --runs             how the runs of this folder went, over time
    hpcbake history --runs app         only those with app, site by site

    With --runs nothing is asked of anybody: every run of this machine is noted under the state folder, long after its
    report is gone.
    """
    if of_runs:
        from hpcbake.cli.history_runs import show_runs

        return show_runs(image or "", last=last, every_project=every_project, site_names=site_names, as_json=as_json)
    sites = read_sites(site_configs, site_names)
    answers = ask_sites(sites, lambda site, node: site_history(site.name, look_at_store(site, node=node), image or ""))
    broken = [ExitCode.STATE for answer in answers if answer.result and answer.result.broken]
    code = ExitCode.STATE if broken else fleet_code(answers)
    if as_json:
        click.echo(json.dumps(_document(answers, code), indent=2))
    else:
        _print(answers)
    return int(code)


def _print(answers: list[SiteAnswer[SiteHistory]]) -> None:
    console = make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("site", "#", "when", "image", "tag", "digest", "act", "now", "smoke job", "by", "run"):
        table.add_column(heading, no_wrap=True)
    for answer in answers:
        for event in answer.result.events if answer.result else ():
            table.add_row(answer.site.name, *map(printable, _cells(event)), style="bold" if event.is_current else "")
        if answer.result and not answer.result.events:
            table.add_row(answer.site.name, "-", "-", "-", "-", "-", "nothing yet", style="dim")
    console.print(table)
    for answer in answers:
        for held in answer.result.held if answer.result else ():
            who = f" by {held.hold['by']}" if held.hold.get("by") else ""
            since = f" since {held.hold['since']}" if held.hold.get("since") else ""
            line = f"{answer.site.name}: {held.name} is held at {held.current}{since}{who}: ship does not promote it"
            console.print(f"\n{printable(line)}", markup=False)
        if answer.result and answer.result.broken:
            console.print(f"\n{answer.site.name}: {printable(answer.result.broken)}", markup=False, style="red")
    print_failures(console, answers)


def _cells(event: HistoryEvent) -> list[str]:
    entry = event.entry
    now = "current" if event.is_current else "" if event.is_stored else "gone"
    jobs = ", ".join(f"{item.get('job', '?')} on {item.get('node', '?')}" for item in entry.smoke)
    digest = entry.digest.removeprefix("sha256:")[:12]
    return [
        *(str(entry.seq), render_utc(entry.time_s), entry.image, entry.tag or "-", digest, event.act, now),
        *(jobs or "-", entry.by or "-", entry.run),
    ]


def _document(answers: list[SiteAnswer[SiteHistory]], code: ExitCode) -> dict[str, Any]:
    return {
        "kind": "hpcbake.history",
        "version": 1,
        "exit": int(code),
        "sites": [
            {
                "name": answer.site.name,
                **(_members(answer.result) if answer.result else {}),
                **(error_members(answer.error) if answer.error else {}),
            }
            for answer in answers
        ],
    }


def _members(history: SiteHistory) -> dict[str, Any]:
    return {
        "ledger": {"intact": not history.broken, "problem": history.broken or None},
        "held": [{"image": item.name, "at": item.current, **item.hold} for item in history.held],
        "events": [_event(event) for event in history.events],
    }


def _event(event: HistoryEvent) -> dict[str, Any]:
    entry = event.entry
    return {
        "seq": entry.seq,
        "time": render_utc(entry.time_s),
        "act": event.act,
        "image": entry.image,
        "tag": entry.tag,
        "digest": entry.digest,
        "was": entry.was,
        "sif_sha256": entry.sif_sha256 or None,
        "by": entry.by or None,
        "run": entry.run,
        "smoke": [dict(item) for item in entry.smoke],
        "why": entry.why or None,
        "current": event.is_current,
        "stored": event.is_stored,
    }
