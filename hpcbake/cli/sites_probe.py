"""`hpcbake sites probe`: looks at a login node and drafts its site config."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import click

from hpcbake.cli.options import configs_option, read_sites
from hpcbake.errors import CantWriteError, UsageError
from hpcbake.model.site import Login, Site, Store


@click.command("probe")
@click.argument("target")
@configs_option
@click.option("--name", help="Name of the site; default: from the file's name or the host's.")
@click.option("--ssh-config", type=click.Path(dir_okay=False), help="ssh_config to use instead of ~/.ssh/config.")
@click.option("--transport", type=click.Choice(["fabric", "openssh", "local"]), help="How to get there.")
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
    site = _find_site(target, site_configs, ssh_config, transport)
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


def _find_site(target: str, folder: Path, ssh_config: str | None, transport: str | None) -> Site:
    """The declared site of this name, or a stand-in for a login that nobody declared yet."""
    if (folder / f"{target}.yaml").is_file() and not (ssh_config or transport):
        return read_sites(folder, [target])[0]
    match = re.fullmatch(r"(?:([A-Za-z_][A-Za-z0-9._\\-]*)@)?([A-Za-z0-9_][A-Za-z0-9._-]*)(?::([0-9]{1,5}))?", target)
    if not match:
        raise UsageError(f"{target!r} is neither a site nor USER@HOST[:PORT]", remedy="write it as you would for ssh")
    user, host, port = match.groups()
    login = Login(
        host, transport=transport or "fabric", user=user, port=int(port) if port else None, ssh_config=ssh_config
    )
    return Site(host, login, Store("/"))


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
