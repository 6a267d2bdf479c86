"""Options that several verbs share, under one name and with one meaning."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake.cli.configuration import configuration, read_configuration, setting_option
from hpcbake.cli.failure import indented
from hpcbake.cli.left_out import expect_left_out, may_leave_out, note_left_out
from hpcbake.cli.runlog import log_option
from hpcbake.errors import ConfigError
from hpcbake.model.plan import Plan
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.ship.project import Project
from hpcbake.ship.setting_table import SETTINGS
from hpcbake.sites import find_sites

_FILE = click.Path(dir_okay=False, path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


def bake_options(function: F) -> F:
    """-f, --target, --set, --var: which targets of which bake files."""
    for option in reversed(
        (
            click.option(
                "-f", "--file", "files", multiple=True, help="Bake file; default: the project's, or those buildx reads."
            ),
            click.option(
                "--target", "targets", multiple=True, help="Target or group; default: the project's, or `default`."
            ),
            click.option("--set", "overrides", multiple=True, metavar="TARGET.KEY=VALUE", help="Override a value."),
            click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable."),
        )
    ):
        function = option(function)
    return function


def builder_option(function: F) -> F:
    """--builder: who builds."""
    return click.option(
        "--builder",
        envvar=SETTINGS["builder"].variables,
        help="The buildx builder to use for every target; default: the project's.",
    )(function)


def build_options(function: F) -> F:
    """--builder and --allow: who builds, and what it may do."""
    for option in reversed(
        (
            builder_option,
            click.option("--allow", multiple=True, help="Grant an entitlement, as with `buildx bake`."),
        )
    ):
        function = option(function)
    return function


def _keep_going(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        expect_left_out(context)


def configs_option(function: F) -> F:
    """--site-configs: where the clusters are declared."""
    return setting_option(
        "site_configs",
        "--site-configs",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of site configs.",
    )(function)


def site_options(function: F) -> F:
    """--site, --site-configs and --keep-going-sites: which clusters."""
    for option in reversed(
        (
            click.option("--site", "site_names", multiple=True, help="A site; default: every site of the folder."),
            configs_option,
            click.option(
                "--keep-going-sites",
                is_flag=True,
                expose_value=False,
                callback=_keep_going,
                help="Go on without the sites whose config is wrong, instead of starting nothing.",
            ),
        )
    ):
        function = option(function)
    return function


def jobs_option(function: F) -> F:
    """--jobs: how many sites at a time."""
    return setting_option(
        "ship.parallel_sites",
        "--jobs",
        "--parallel-sites",
        "parallel_sites",
        type=click.IntRange(min=1),
        metavar="INTEGER",
        help="Sites worked on at a time.",
    )(function)


def way_option(function: F) -> F:
    """--way: how SIFs come to all sites."""
    return setting_option(
        "ship.way",
        "--way",
        type=click.Choice(["auto", "oras", "docker", "job", "stream"]),
        help="How SIFs come to the sites; default: what each site config says.",
    )(function)


def progress_option(function: F) -> F:
    """--progress: how a run shows what it does."""
    return setting_option(
        "ship.progress",
        "--progress",
        type=click.Choice(["auto", "tty", "plain", "rawjson", "quiet"]),
        help="How to show what goes on, on standard error: a live table, lines, JSON lines, or only failures.",
    )(function)


def all_or_none_option(function: F) -> F:
    """--all-or-none: promote everywhere or nowhere."""
    return setting_option(
        "ship.all_or_none",
        "--all-or-none/--no-all-or-none",
        "all_or_none",
        is_flag=True,
        help="Promote nowhere unless every image has passed at every site.",
    )(function)


def run_options(function: F) -> F:
    """How a run goes about it, and where its report goes."""
    for option in reversed(
        (
            click.option("--retry-failed", is_flag=True, help="Run smoke tests again that this SIF failed before."),
            setting_option(
                "ship.lock_wait",
                "--lock-wait",
                type=click.IntRange(min=0),
                metavar="SECONDS",
                help="Patience with a lock on a site.",
            ),
            jobs_option,
            way_option,
            progress_option,
            log_option,
            click.option("--dry-run", is_flag=True, help="Show what would be done, and touch nothing."),
            click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document."),
            setting_option(
                "report.json",
                "--report",
                "report_path",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Also write the JSON report here.",
            ),
        )
    ):
        function = option(function)
    return function


def detach_option(function: F) -> F:
    """--detach: submit and leave."""
    return click.option(
        "--detach",
        is_flag=True,
        help="Submit the smoke jobs and leave; `hpcbake smoke --collect` and the next ship take them up.",
    )(function)


def read_plan(files: Sequence[str], targets: Sequence[str], overrides: Sequence[str], variables: Sequence[str]) -> Plan:
    """The plan of the bake files in this folder; warnings go to stderr."""
    from hpcbake.bakefile import BakeRequest, resolve  # not above: most verbs of images and sites read no bake file

    pairs: dict[str, str] = {}
    for item in variables:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{item!r} is not NAME=VALUE", param_hint="--var")
        pairs[name] = value
    files, targets = bake_words(files, targets)
    request = BakeRequest(files=tuple(files), targets=tuple(targets), overrides=tuple(overrides), variables=pairs)
    plan = resolve(request, folder=Path.cwd(), environment=os.environ, stdin=sys.stdin.read)
    for warning in plan.warnings:
        place = f"{warning.path}:{warning.line}:{warning.column}: " if warning.path else ""
        click.echo(f"warning: {place}{warning.message}", err=True)
        if warning.help:
            click.echo(f"  help: {warning.help}", err=True)
    return plan


def read_sites(folder: Path, names: Sequence[str]) -> list[Site]:
    """The sites of this folder that were asked for, or all of them.

    With --keep-going-sites those whose config is wrong are left out and told on stderr. Raises ConfigError.
    """
    configuration()  # where the folder itself may come from: a mistake there is told before one that follows from it
    context = click.get_current_context(silent=True)
    left_out: list[ConfigError] | None = [] if may_leave_out(context) else None
    sites = find_sites(folder, names, environment=os.environ, left_out=left_out)
    if context and left_out:
        asked = list(dict.fromkeys(names)) or sorted(path.stem for path in folder.glob("[!.]*.yaml"))
        note_left_out(context, asked, sites, left_out)
    for failure in left_out or ():
        click.echo(f"warning: {printable(failure.message)}; going on without this site", err=True)
        if failure.evidence.get("output"):
            click.echo(indented(str(failure.evidence["output"])), err=True)
    return sites


def read_project(folder: Path) -> Project:
    """What `hpcbake.yaml` of this folder says, on top of the files of user and machine. Raises ConfigError."""
    found = configuration() if folder == Path.cwd() else read_configuration(folder, os.environ)
    return found.project()


def bake_words(files: Sequence[str], targets: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Bake files and targets as asked for, else as configured. BUILDX_BAKE_FILE comes before the project's files."""
    chosen = configuration().choose("bake.files")
    names_files = os.environ.get("BUILDX_BAKE_FILE") and chosen.kind != "environment"
    return (
        tuple(files or (() if names_files else chosen.value)),
        tuple(targets or configuration().value("bake.targets")),
    )
