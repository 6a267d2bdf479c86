"""`hpcbake report`: the runs that are kept, for people, browsers, CI systems and monitoring."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from hpcbake.cli.faces import choose_faces, shown_face_options, write_faces
from hpcbake.cli.kept import LAST_RUNS, KeptRuns, find_report, read_kept_runs
from hpcbake.errors import ExitCode, UsageError


@click.command("report")
@click.argument("named", required=False, metavar="[RUN|FILE]")
@shown_face_options
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=LAST_RUNS,
    show_default=True,
    metavar="N",
    help="So many runs at most, the newest.",
)
@click.option("--all", "every_project", is_flag=True, help="Runs of every folder, not only of this one.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's report as one JSON document.")
def command(
    named: str | None,
    junit: Path | None,
    github: str | None,
    prometheus: Path | None,
    pages: Path | None,
    last: int,
    every_project: bool,
    as_json: bool,
) -> int:
    """Show the last run again, or write what the runs of this folder came to for a browser and for other programs.

    \b
    hpcbake report                            the last run, as `ship` showed it
    hpcbake report --out public               web pages: every image at every site, and every run
    hpcbake report --junit junit.xml          the last run for a CI system
    hpcbake report --prometheus hpcbake.prom  metrics of every image at every site

    RUN is the id of a kept run, FILE a report that `--report` wrote; then only that one counts. Touches no site.
    Exit code 0 also when the run went wrong: it is that of this look.
    """
    from hpcbake.adapters.clock import SystemClock
    from hpcbake.cli.boot import boot_id
    from hpcbake.cli.configuration import state_folder
    from hpcbake.cli.console import make_console
    from hpcbake.cli.past import past_figures
    from hpcbake.cli.publish import StandardOutput
    from hpcbake.report.document import render_report
    from hpcbake.report.printable import printable
    from hpcbake.report.terminal import print_report

    faces = choose_faces(junit, github, prometheus, pages, os.environ)
    runs = state_folder(os.environ) / "runs"
    if named is not None:
        kept = KeptRuns((find_report(named, runs),))
    else:
        project = None if every_project else str(Path.cwd())
        kept = read_kept_runs(runs, project, last=last, boot_id=boot_id())
        if pages is not None:
            figures, trouble = past_figures(runs, project)
            kept = replace(kept, figures=figures, lost=(*kept.lost, *trouble))
    for line in kept.lost:
        click.echo(f"warning: {printable(line)}", err=True)
    if not kept.reports:
        raise UsageError(
            f"no report of a run {'is kept' if every_project else 'in this folder is kept'} in {runs}",
            remedy="`hpcbake ship` makes one; --all takes the runs of every folder, and a report file can be named",
        )
    report = kept.reports[0]
    problems = write_faces(faces, report, kept, now=SystemClock().now())
    output = StandardOutput()
    if as_json:
        output.show(lambda: click.echo(render_report(report), nl=False))
    elif faces.is_empty:
        output.show(lambda: print_report(report, make_console()))
    problems += output.problems
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if output.left is not None:
        raise output.left
    return int(ExitCode.CANTWRITE if problems else ExitCode.OK)
