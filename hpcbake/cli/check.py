"""`hpcbake check`: judge whether an image runs on a site."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from hpcbake import __version__
from hpcbake.check.document import exit_code, printable, render_finding, render_junit, render_sarif, report_document
from hpcbake.check.explain import explain_path, render_tree
from hpcbake.check.judge import judge
from hpcbake.check.policy import POLICY_FILE, apply_policy
from hpcbake.cli.options import read_sites, site_options
from hpcbake.cli.policy import read_policy
from hpcbake.cli.scan import registry_options, scan
from hpcbake.errors import CantWriteError, UsageError
from hpcbake.image.scan import ScannedImage
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport, Severity, Verdict
from hpcbake.sites.profile import find_profile

_OUTPUT = click.Path(dir_okay=False, path_type=Path)
_STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.UNKNOWN: "magenta"}


@click.command("check")
@click.argument("image", metavar="IMAGE|TARGET")
@site_options
@click.option("--profile", "profiles", multiple=True, help="A profile file or shipped profile (rocky-8.10) as a site.")
@registry_options
@click.option(
    "--policy",
    "policy_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Severities and accepted findings of the project; default: {POLICY_FILE}, if there is one.",
)
@click.option("--all", "show_all", is_flag=True, help="Also show what is only information.")
@click.option("--explain", metavar="PATH", help="Show how one file of the image is resolved, and why.")
@click.option("--tree", is_flag=True, help="Show the programs of the image and all that each loads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--sarif", type=_OUTPUT, help="Also write SARIF here.")
@click.option("--junit", type=_OUTPUT, help="Also write JUnit XML here.")
def command(
    image: str,
    site_names: tuple[str, ...],
    site_configs: Path,
    profiles: tuple[str, ...],
    files: tuple[str, ...],
    plain_http: tuple[str, ...],
    mirrors: tuple[str, ...],
    ca_file: str | None,
    no_fact_cache: bool,
    policy_path: Path | None,
    show_all: bool,
    explain: str | None,
    tree: bool,
    as_json: bool,
    sarif: Path | None,
    junit: Path | None,
) -> int:
    """Judge whether an image runs on a site, and say what to change if it does not.

    IMAGE is a reference, a target of the bake file, oci:FOLDER[:TAG], docker-archive:FILE, a SIF, or an unpacked
    root folder. Nothing is executed or unpacked to disk. Exit code 0 fits (with or without warnings), 30 does not,
    31 could not be told, 3 sites differ.
    """
    sites = _choose_sites(site_configs, site_names, profiles)
    plain = {*plain_http, *(host for site in sites for host in site.runtime.plain_http)}
    scanned = scan(
        image,
        files=files,
        plain_http=plain,
        mirrors=mirrors,
        ca_file=ca_file,
        use_cache=not no_fact_cache,
        sites=sites,
    )
    if explain is not None or tree:
        for site in sites:
            if len(sites) > 1:
                click.secho(f"{site.name}:", bold=True)
            click.echo(printable_lines(explain_path(scanned, site, explain) if explain else render_tree(scanned, site)))
        return 0
    policy, today = read_policy(Path(), policy_path), datetime.datetime.now(datetime.timezone.utc).date()
    reports = [apply_policy(judge(scanned, site), policy, today) for site in sites]
    _write(sarif, lambda: render_sarif(scanned, reports, __version__))
    _write(junit, lambda: render_junit(scanned, reports))
    if as_json:
        click.echo(json.dumps(report_document(scanned, reports), indent=2))
    else:
        print_reports(scanned, reports, show_all=show_all)
    return int(exit_code(reports))


def print_reports(image: ScannedImage, reports: Sequence[CompatReport], *, show_all: bool) -> None:
    """One line per site, then every finding once, with the sites it holds for."""
    digest = f" ({image.digest})" if image.digest and image.digest not in image.name else ""
    click.echo(f"{printable(image.name)}{digest}, glibc {reports[0].facts.get('glibc') or '-'}")
    width = max(len(report.site) for report in reports)
    for report in reports:
        counts = {severity: sum(f.severity is severity for f in report.findings) for severity in Severity}
        parts = [
            f"{count} {severity.value}{'s' if count > 1 and severity is not Severity.UNKNOWN else ''}"
            for severity, count in counts.items()
            if count and severity is not Severity.INFO
        ]
        verdict = click.style(f"{report.verdict.value:<7}", fg=_STYLES[report.verdict], bold=True)
        click.echo(f"  {report.site:<{width}}  {verdict}  {', '.join(parts)}".rstrip())
    shown: dict[str, list[str]] = {}
    hidden = 0
    for report in reports:
        for finding in report.findings:
            if "accepted_until" in finding.evidence and not show_all:
                # Never out of sight: it will count again.
                shown.setdefault(f"accepted: {printable(finding.message)} [{finding.rule}]", []).append(report.site)
            elif finding.severity is Severity.INFO and not show_all:
                hidden += 1
            else:
                shown.setdefault(render_finding(finding), []).append(report.site)
    for text, names in shown.items():
        click.echo("\n" + text + (f"\n  at     {', '.join(names)}" if len(reports) > 1 else ""))
    if hidden:
        click.echo(f"\n{hidden} finding{'s' if hidden > 1 else ''} of mere information; --all shows them")


def printable_lines(text: str) -> str:
    """Several lines, each made harmless."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _choose_sites(folder: Path, names: Sequence[str], profiles: Sequence[str]) -> list[Site]:
    """The named sites and profiles; every site of the folder when nothing was named."""
    chosen = [find_profile(text) for text in profiles]
    if names or not chosen:
        chosen += read_sites(folder, names)
    if len({site.name for site in chosen}) != len(chosen):
        raise UsageError("a site and a profile have the same name", remedy="name each only once")
    return chosen


def _write(path: Path | None, render: Callable[[], str]) -> None:
    if path is None:
        return
    try:
        path.write_text(render(), encoding="utf-8")
    except OSError as cause:
        raise CantWriteError(f"{path}: cannot be written: {cause.strerror}", remedy="check the folder") from cause
