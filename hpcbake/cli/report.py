"""`hpcbake report`: the runs that are kept, for people, browsers, CI systems and monitoring."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import click

from hpcbake.adapters.clock import SystemClock
from hpcbake.cli.boot import boot_id
from hpcbake.cli.configuration import state_folder
from hpcbake.cli.faces import Faces, choose_faces, shown_face_options, write_faces
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
@click.option(
    "--serve", "is_served", is_flag=True, help="Serve the web pages to a browser on this machine, up to Ctrl-C."
)
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    help="With --serve: the port on 127.0.0.1; default: any that is free.",
)
def command(
    named: str | None,
    junit: Path | None,
    github: str | None,
    prometheus: Path | None,
    pages: Path | None,
    last: int,
    every_project: bool,
    as_json: bool,
    is_served: bool,
    port: int | None,
) -> int:
    """Show the last run again, or write what the runs of this folder came to for a browser and for other programs.

    \b
    hpcbake report                            the last run, as `ship` showed it
    hpcbake report --out public               web pages: every image at every site, and every run
    hpcbake report --serve                    the same pages in your browser, as they are at each look
    hpcbake report --junit junit.xml          the last run for a CI system
    hpcbake report --prometheus hpcbake.prom  metrics of every image at every site

    RUN is the id of a kept run, FILE a report that `--report` wrote; then only that one counts. Touches no site.
    Exit code 0 also when the run went wrong: it is that of this look.
    """
    faces = choose_faces(junit, github, prometheus, pages, os.environ)
    source = RunSource(named, None if every_project else str(Path.cwd()), last)
    if is_served or port is not None:
        _refuse_beside_serve(is_served, as_json or not faces.is_empty)
        from hpcbake.cli.serve import LivePages, serve_pages

        pages_now = LivePages(lambda: source.read(with_figures=True), SystemClock().now)
        pages_now.page("")  # a report that cannot be shown is told here, not in the browser
        return serve_pages(pages_now, port or 0)
    return _show(source.read(with_figures=pages is not None), faces, source, as_json=as_json)


@dataclass(frozen=True)
class RunSource:
    """The runs that were asked for: a named one, or the newest of a project or of all."""

    named: str | None
    project: str | None
    last: int

    def read(self, *, with_figures: bool) -> KeptRuns:
        """What is kept of them now. Raises UsageError and StateError for a named one that cannot be read."""
        runs = self.folder
        if self.named is not None:
            return KeptRuns((find_report(self.named, runs),))
        kept = read_kept_runs(runs, self.project, last=self.last, boot_id=boot_id())
        if not with_figures:
            return kept
        from hpcbake.cli.past import past_figures

        figures, trouble = past_figures(runs, self.project)
        return replace(kept, figures=figures, lost=(*kept.lost, *trouble))

    @property
    def folder(self) -> Path:
        return state_folder(os.environ) / "runs"


def _refuse_beside_serve(is_served: bool, has_others: bool) -> None:
    if not is_served:
        raise UsageError("--port goes with --serve", remedy="add --serve, or leave --port away")
    if has_others:
        raise UsageError("--serve writes no files and prints no report", remedy="leave the other flags away")


def _show(kept: KeptRuns, faces: Faces, source: RunSource, *, as_json: bool) -> int:
    """Write the faces that are wanted, and the newest run on standard output where nothing else is."""
    from hpcbake.cli.console import print_page
    from hpcbake.cli.publish import StandardOutput
    from hpcbake.report.document import render_report
    from hpcbake.report.printable import printable
    from hpcbake.report.terminal import render_terminal

    for line in kept.lost:
        click.echo(f"warning: {printable(line)}", err=True)
    if not kept.reports:
        where = "" if source.project is None else "in this folder "
        raise UsageError(
            f"no report of a run {where}is kept in {source.folder}",
            remedy="`hpcbake ship` makes one; --all takes the runs of every folder, and a report file can be named",
        )
    report = kept.reports[0]
    problems = write_faces(faces, report, kept, now=SystemClock().now())
    output = StandardOutput()
    if as_json:
        output.show(lambda: click.echo(render_report(report), nl=False))
    elif faces.is_empty:
        output.show(lambda: print_page(render_terminal(report)))
    problems += output.problems
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if output.left is not None:
        raise output.left
    return int(ExitCode.CANTWRITE if problems else ExitCode.OK)
