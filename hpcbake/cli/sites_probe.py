"""`hpcbake sites probe`: looks at a login node and drafts its site config."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import click

from hpcbake.cli.options import configs_option
from hpcbake.cli.site_target import find_target, target_options
from hpcbake.errors import CantWriteError, UsageError


@click.command("probe")
@click.argument("target")
@configs_option
@target_options
@click.option("--name", help="Name of the site; default: from the file's name or the host's.")
@click.option("--registry", "registries", multiple=True, metavar="HOST", help="Ask whether it reaches this registry.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the draft here; default: standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def command(
    target: str,
    site_configs: Path,
    name: str | None,
    ssh_config: str | None,
    transport: str | None,
    registries: tuple[str, ...],
    output: Path | None,
    force: bool,
) -> None:
    """Log in once at TARGET and draft a site config from what is there, for you to read and keep.

    TARGET is USER@HOST[:PORT], an alias of your ssh configuration, or a site of the folder. Looks, and changes
    nothing on the site. A file that exists is not replaced without --force.
    """
    from hpcbake.cli.world import connect
    from hpcbake.sites import parse_site
    from hpcbake.sites.draft import render_draft, site_name
    from hpcbake.sites.probe import probe_site

    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} exists", remedy="choose another file, or replace it with --force")
    _check_registries(registries)
    site = find_target(target, site_configs, ssh_config, transport)
    chosen = name or (output.stem if output else None) or (site.name if site.path else site_name(site.login.host))
    node = connect(site)
    try:
        probed = probe_site(site, node, registries=registries)
    finally:
        node.close()
    draft = render_draft(probed, site, name=chosen, day=time.strftime("%Y-%m-%d", time.gmtime()))
    parse_site(draft, f"{chosen}.yaml", environment=os.environ)  # what does not read well is not handed out
    if output is None:
        click.echo(draft, nl=False)
        return
    _write(output, draft)
    click.echo(f"wrote {output}: read it, then run: hpcbake sites check {chosen}", err=True)


def _check_registries(registries: tuple[str, ...]) -> None:
    for registry in registries:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?", registry):
            raise UsageError(
                f"--registry {registry!r} is not HOST[:PORT]", remedy="name the host alone, without a path"
            )


def _write(path: Path, content: str) -> None:
    """Complete or not at all: an old draft is replaced by rename."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise CantWriteError(
            f"cannot write {path}: {error.strerror}", remedy="choose another file with -o", kind="state.cantwrite"
        ) from error
