"""`hpcbake history --runs`: how the runs of this machine went, over time."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from hpcbake.cli.configuration import state_folder
from hpcbake.cli.console import make_console
from hpcbake.cli.past import past_runs
from hpcbake.errors import ExitCode
from hpcbake.model.history import PastCell, PastReport
from hpcbake.report.printable import printable

_STYLES = {"ok": "", "unchanged": "dim", "failed": "red", "inconclusive": "yellow", "blocked": "yellow"}


def show_runs(image: str, *, last: int, every_project: bool, site_names: Sequence[str], as_json: bool) -> int:
    """Print the runs, newest first. Raises CantWriteError and StateError where the history cannot be read."""
    project = None if every_project else str(Path.cwd())
    runs = past_runs(state_folder(os.environ) / "runs", project, last=last, image=image)
    if as_json:
        document = {"kind": "hpcbake.runs", "version": 1, "runs": [_member(run, site_names) for run in runs]}
        click.echo(json.dumps(document, indent=2))
        return 0
    if not runs:
        where = "in any folder" if every_project else "in this folder"
        click.echo(f"no run {f'with {image} ' if image else ''}{where} is known", err=True)
        return 0
    if image or site_names:
        _print_cells(runs, site_names, with_folder=every_project)
    else:
        _print_runs(runs, with_folder=every_project)
    return 0


def _print_runs(runs: Sequence[PastReport], *, with_folder: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("started", "exit", "took", "images at sites", "new", *(("folder",) if with_folder else ()), "run"):
        table.add_column(heading, no_wrap=heading not in ("images at sites", "folder"))
    for run in runs:
        counts = Counter(cell.outcome for cell in run.cells)
        words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "none"
        changed = sum(cell.changed for cell in run.cells)
        cells = [run.started, _code_words(run.code), f"{run.duration_s:.1f} s", words, str(changed or "-")]
        cells += [run.project] if with_folder else []
        table.add_row(*map(printable, [*cells, run.id]), style="" if run.code == 0 else "red")
    make_console().print(table)


def _print_cells(runs: Sequence[PastReport], site_names: Sequence[str], *, with_folder: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("started", "image", "site", "ended", "digest", *(("folder",) if with_folder else ()), "why"):
        table.add_column(heading, no_wrap=heading not in ("why", "folder"))
    for run in runs:
        for cell in _chosen(run, site_names):
            ended = f"{cell.outcome} at {cell.stage}" if cell.stage else cell.outcome
            new = " (new)" if cell.changed else ""
            row = [run.started, cell.image, cell.site, ended, cell.digest.removeprefix("sha256:")[:12] + new or "-"]
            row += [run.project] if with_folder else []
            table.add_row(*map(printable, [*row, cell.message]), style=_STYLES.get(cell.outcome, ""))
    make_console().print(table)


def _chosen(run: PastReport, site_names: Sequence[str]) -> list[PastCell]:
    return [cell for cell in run.cells if not site_names or cell.site in site_names]


def _code_words(code: int) -> str:
    try:
        return f"{code} {ExitCode(code).name}"
    except ValueError:
        return str(code)


def _member(run: PastReport, site_names: Sequence[str]) -> dict[str, Any]:
    return {
        "id": run.id,
        "project": run.project or None,
        "command": run.command,
        "host": run.host,
        "user": run.user,
        "started": run.started,
        "ended": run.ended,
        "duration_s": round(run.duration_s, 3),
        "code": run.code,
        "images": [
            {
                "image": cell.image,
                "site": cell.site,
                "outcome": cell.outcome,
                "changed": cell.changed,
                "digest": cell.digest or None,
                "stage": cell.stage or None,
                "kind": cell.kind or None,
                "message": cell.message or None,
            }
            for cell in _chosen(run, site_names)
        ],
    }
