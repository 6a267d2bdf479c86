"""`hpcbake gc`: clear the stores of what nobody needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hpcbake.cli.configuration import setting_option
from hpcbake.cli.console import make_console
from hpcbake.cli.fleet import (
    SiteAnswer,
    ask_sites,
    dry_run_option,
    error_members,
    fleet_code,
    json_option,
    lock_wait_option,
    new_run,
    print_failures,
)
from hpcbake.cli.options import read_sites, site_options
from hpcbake.cli.rollback import who
from hpcbake.deliver.gc import Decision, GcResult, ItemKind, collect, stuck_error
from hpcbake.deliver.mark import pin, refuse_broken_ledger, unpin
from hpcbake.deliver.rollback import find_release
from hpcbake.deliver.status import look_at_store
from hpcbake.errors import ExitCode, UsageError
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.ship.ports import SiteNode


@click.command("gc")
@site_options
@setting_option(
    "retention.releases",
    "--keep",
    type=click.IntRange(min=1),
    fallback=3,
    metavar="N",
    help="Keep the last N promoted releases of each image.",
)
@setting_option(
    "retention.days",
    "--days",
    type=click.IntRange(min=0),
    metavar="N",
    help="Keep for N days what was never promoted, what was set aside as damaged, and logs of smoke jobs.",
)
@click.option(
    "--pin", "pins", multiple=True, metavar="IMAGE@RELEASE", help="Never remove this release; removes nothing."
)
@click.option("--unpin", "unpins", multiple=True, metavar="IMAGE@RELEASE", help="Take a pin away; removes nothing.")
@lock_wait_option
@dry_run_option
@json_option
def command(
    site_names: tuple[str, ...],
    site_configs: Path,
    keep: int,
    days: int,
    pins: tuple[str, ...],
    unpins: tuple[str, ...],
    lock_wait: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove releases that nobody needs from the store of every site, or of those named.

    \b
    hpcbake gc --dry-run                 what would go, and why the rest stays
    hpcbake gc --keep 5 --site alder
    hpcbake gc --pin app@1.0             for a paper: never remove it

    Never removed: what is current, pinned, among the last N promoted, being delivered or tested, or named by a
    job that is queued or runs. Where Slurm does not answer, nothing is removed. A RELEASE is a digest, a tag,
    or #N of `hpcbake history`.
    """
    sites = read_sites(site_configs, site_names)
    run, _ = new_run()
    if pins or unpins:
        return _mark(sites, pins, unpins, run, lock_wait, dry_run, as_json)

    def act(site: Site, node: SiteNode) -> GcResult:
        look = look_at_store(site, node=node)
        return collect(
            site, look, node=node, keep=keep, days=days, run=run, by=who(), lock_wait_s=lock_wait, dry_run=dry_run
        )

    answers = ask_sites(sites, act)
    code = _code(answers, dry_run)
    if as_json:
        click.echo(json.dumps(_document(answers, code, run, dry_run), indent=2))
    else:
        _print(answers, dry_run)
    return int(code)


def _code(answers: list[SiteAnswer[GcResult]], dry_run: bool) -> ExitCode:
    more = []
    for answer in answers:
        if answer.result is not None and not dry_run:
            stuck = stuck_error(answer.result)
            more += [stuck.exit_code] if stuck else []
            more += [ExitCode.SMOKE_UNKNOWN] if answer.result.doubt else []
    fine = [answer for answer in answers if answer.result is None or not (answer.result.doubt or answer.result.stuck)]
    return fleet_code(answers if dry_run else fine, more)


def _mark(
    sites: list[Site],
    pins: tuple[str, ...],
    unpins: tuple[str, ...],
    run: str,
    lock_wait: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Pins and unpins; says for each whether something changed."""
    wanted = [(word, pin, "pinned") for word in pins] + [(word, unpin, "no longer pinned") for word in unpins]
    for word, _, _ in wanted:
        if "@" not in word:
            raise UsageError(f"{word!r} is not IMAGE@RELEASE", remedy="for example app@1.0 or app@sha256:…")

    def act(site: Site, node: SiteNode) -> list[dict[str, Any]]:
        look = look_at_store(site, node=node)
        refuse_broken_ledger(site, look)
        found = []
        for word, mark, text in wanted:
            image, _, name = word.partition("@")
            digest = find_release(name, image, look, site)
            changed = not dry_run and mark(
                site, look, image, digest, run=run, by=who(), node=node, lock_wait_s=lock_wait
            )
            found.append({"image": image, "digest": digest, "mark": text, "changed": changed})
        return found

    answers = ask_sites(sites, act)
    code = fleet_code(answers)
    if as_json:
        members = [
            {"name": a.site.name, **(error_members(a.error) if a.error else {"marks": a.result})} for a in answers
        ]
        click.echo(json.dumps({"kind": "hpcbake.gc", "version": 1, "exit": int(code), "sites": members}, indent=2))
        return int(code)
    console = make_console()
    for answer in answers:
        for item in answer.result or ():
            state = "" if item["changed"] else " (would be)" if dry_run else " (was so before)"
            console.print(f"{answer.site.name}: {item['image']} {item['digest']} {item['mark']}{state}", markup=False)
    print_failures(console, answers)
    return int(code)


def _print(answers: list[SiteAnswer[GcResult]], dry_run: bool) -> None:
    console = make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("site", "", "what", "image", "tag", "name", "size", "why"):
        table.add_column(heading, no_wrap=heading != "why")
    for answer in answers:
        for decision in answer.result.decisions if answer.result else ():
            style = "bold" if decision.removes else "dim"
            table.add_row(answer.site.name, *map(printable, _cells(decision, dry_run)), style=style)
    if table.row_count:
        console.print(table)
    for answer in answers:
        if answer.result is None:
            continue
        verb = "would free" if dry_run else "freed"
        console.print(f"\n{answer.site.name}: {verb} {_size(answer.result.freed_bytes)}", markup=False)
        if answer.result.doubt:
            doubt = f"{answer.site.name}: nothing is removed: {answer.result.doubt}"
            console.print(printable(doubt), markup=False, style="red")
        for stuck in answer.result.stuck:
            console.print(f"{answer.site.name}: cannot be removed: {printable(stuck)}", markup=False, style="red")
        for note in answer.result.notes:
            console.print(f"{answer.site.name}: note: {printable(note)}", markup=False)
    print_failures(console, answers)


def _cells(decision: Decision, dry_run: bool) -> list[str]:
    item = decision.item
    verb = ("would go" if dry_run else "removed") if decision.removes else "kept"
    is_digest = item.kind in (ItemKind.RELEASE, ItemKind.JOBS)
    name = item.name[:12] if is_digest else item.name
    size = _size(item.size_bytes) if item.kind is not ItemKind.FOREIGN else "-"
    return [verb, item.kind.value, item.image or "-", item.tag or "-", name, size, decision.reason]


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _document(answers: list[SiteAnswer[GcResult]], code: ExitCode, run: str, dry_run: bool) -> dict[str, Any]:
    return {
        "kind": "hpcbake.gc",
        "version": 1,
        "run": run,
        "dry_run": dry_run,
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


def _members(result: GcResult) -> dict[str, Any]:
    return {
        "doubt": result.doubt or None,
        "freed_bytes": result.freed_bytes,
        "removed": [_item(decision) for decision in result.decisions if decision.removes],
        "kept": [_item(decision) for decision in result.decisions if not decision.removes],
        "stuck": list(result.stuck),
        "notes": list(result.notes),
    }


def _item(decision: Decision) -> dict[str, Any]:
    item = decision.item
    members: dict[str, Any] = {"kind": item.kind.value, "image": item.image or None, "name": item.name}
    if item.kind in (ItemKind.RELEASE, ItemKind.JOBS):
        members["digest"] = item.digest
    return {**members, "size_bytes": item.size_bytes, "reason": decision.reason}
