"""The report for other programs and for a browser: the flags, and the files that they write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake import __version__
from hpcbake.cli.configuration import STEP_SUMMARY, setting_option
from hpcbake.cli.files import write_whole
from hpcbake.cli.kept import KeptRuns
from hpcbake.errors import UsageError
from hpcbake.model.late import dataclass
from hpcbake.report.records import ShipReport

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class Faces:
    """Where each face of the report goes; None where it is not wanted."""

    junit: Path | None = None
    github: Path | None = None
    prometheus: Path | None = None
    pages: Path | None = None

    @property
    def is_empty(self) -> bool:
        return self == NO_FACES


NO_FACES = Faces()


def face_options(function: F) -> F:
    """--junit, --github, --prometheus and --html of a run; where they are not given, what is configured."""
    return _face_options(function, setting_option)


def shown_face_options(function: F) -> F:
    """The same for a look at runs: what is configured for runs is not written again at each look."""
    return _face_options(function, lambda _, *spellings, **more: click.option(*spellings, **more))


def _face_options(function: F, option: Callable[..., Callable[[F], F]]) -> F:
    for decorate in reversed(
        (
            option("report.junit", "--junit", type=_FILE, metavar="FILE", help="Write the run as JUnit XML here."),
            option(
                "report.github",
                "--github",
                is_flag=False,
                flag_value=STEP_SUMMARY,
                metavar="[FILE]",
                help=f"Append the run to this GitHub step summary; without FILE to that of {STEP_SUMMARY}.",
            ),
            option(
                "report.prometheus",
                "--prometheus",
                type=_FILE,
                metavar="FILE",
                help="Write metrics of every image and site here, for node exporter's textfile collector.",
            ),
            option(
                "report.html",
                "--html",
                "--out",
                "pages",
                type=click.Path(file_okay=False, path_type=Path),
                metavar="FOLDER",
                help="Write web pages into this folder: index.html, and one page per run.",
            ),
        )
    ):
        function = decorate(function)
    return function


def choose_faces(
    junit: Path | None,
    github: str | None,
    prometheus: Path | None,
    pages: Path | None,
    environment: Mapping[str, str],
) -> Faces:
    """What the flags ask for. Raises UsageError when --github stands alone outside of GitHub."""
    named = environment.get("GITHUB_STEP_SUMMARY", "") if github == STEP_SUMMARY else github
    if named == "":
        raise UsageError(
            "--github names no file, and GITHUB_STEP_SUMMARY is not set",
            remedy="name the file: --github FILE; GitHub sets the variable in the steps of a workflow",
        )
    return Faces(junit, Path(named) if named is not None else None, prometheus, pages)


def write_faces(faces: Faces, report: ShipReport, kept: KeptRuns, *, now: float) -> list[str]:
    """Write every face that is wanted, each for itself; what went wrong in words.

    JUnit and the step summary tell of `report` alone, metrics and pages of all that was kept.
    """
    wanted: tuple[tuple[Path | None, Callable[[Path], None]], ...] = (
        (faces.junit, lambda path: _write_junit(path, report)),
        (faces.github, lambda path: _append_summary(path, report)),
        (faces.prometheus, lambda path: _write_metrics(path, kept)),
        (faces.pages, lambda path: _write_pages(path, kept, now)),
    )
    problems: list[str] = []
    for path, write in wanted:
        try:
            if path is not None:
                write(path)
        except OSError as error:
            problems.append(f"cannot write {path}: {error.strerror}")
    return problems


# Each renderer is imported where it is used: the help of a verb needs none of them, and a run without flags neither.


def _write_junit(path: Path, report: ShipReport) -> None:
    from hpcbake.report.junit import render_junit

    write_whole(path, render_junit(report))


def _append_summary(path: Path, report: ShipReport) -> None:
    from hpcbake.report.github import render_github

    with path.open("a", encoding="utf-8") as file:
        file.write(render_github(report))


def _write_metrics(path: Path, kept: KeptRuns) -> None:
    from hpcbake.report.fleet import gather
    from hpcbake.report.prometheus import render_prometheus

    write_whole(path, render_prometheus(gather(kept.reports)))


def _write_pages(folder: Path, kept: KeptRuns, now: float) -> None:
    """Pages of runs first, so that no link of the index leads nowhere; those of runs no longer kept go last.

    A run's page that is there already is left as it is: many nights of a large fleet take a while to render.
    """
    from hpcbake.report.fleet import gather
    from hpcbake.report.pages import MARK, page_names, render_index, render_run, run_stamp
    from hpcbake.report.timeline import with_history

    fleet = with_history(gather(kept.reports), kept.figures)
    names = page_names(fleet.reports)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for report, name in zip(fleet.reports, names, strict=True):
        if run_stamp(report, tool_version=__version__) not in _beginning(folder / name):
            write_whole(folder / name, render_run(report, tool_version=__version__))
    write_whole(folder / "index.html", render_index(fleet, now=now, tool_version=__version__, lost=kept.lost))
    for path in (folder / "runs").glob("*.html"):
        if f"runs/{path.name}" not in names and MARK in _beginning(path):
            path.unlink(missing_ok=True)


def _beginning(path: Path) -> str:
    """Enough of a file to tell whether it is a page of ours."""
    try:
        with path.open("rb") as file:
            return file.read(1024).decode("utf-8", "replace")
    except OSError:
        return ""
