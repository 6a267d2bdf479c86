"""`hpcbake sites restrict`: a key that runs hpcbake's own scripts at a site, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from hpcbake.cli.options import configs_option, read_sites
from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.site import Site
from hpcbake.sites.gate import MORE_SCRIPTS, authorized_keys_line

_KEY_LINE = re.compile(r"(?:ssh-|ecdsa-sha2-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [^\r\n]*)?")


@click.command("restrict")
@click.argument("name")
@configs_option
@click.option(
    "--key", "key_file", type=click.Path(dir_okay=False, path_type=Path), help="The public key (.pub) to restrict."
)
@click.option(
    "--from", "sources", metavar="PATTERNS", help="Addresses that the key may come from: 192.0.2.7,10.1.0.0/16."
)
@click.option("--allow", "more", multiple=True, type=click.Choice(MORE_SCRIPTS), help="A script beyond those of ship.")
@click.option("--install", is_flag=True, help="Put the gate on the site now, with a login that has a shell.")
@click.option("--show", is_flag=True, help="Print the gate instead, to be read or to be installed by hand.")
def command(
    name: str,
    site_configs: Path,
    key_file: Path | None,
    sources: str | None,
    more: tuple[str, ...],
    install: bool,
    show: bool,
) -> None:
    """Restrict a key at the site NAME to hpcbake's own scripts: for nightly runs and CI.

    The gate is a shell program for the key's forced command. It carries the scripts of this version of hpcbake, and the
    values that the site config decides; whatever else the key asks for is refused and logged. Prints the line for
    ~/.ssh/authorized_keys. Install it again after an update of hpcbake or a change of the site config.

    \b
    hpcbake sites restrict alder --install --key nightly.pub --from 192.0.2.7
    """
    from hpcbake import __version__
    from hpcbake.deliver.admit import site_gate

    (site,) = read_sites(site_configs, [name])
    if site.login.transport == "local":
        raise UsageError(f"{name}: its transport is local: no key is involved", remedy="name a site behind ssh")
    if sources is not None and not re.fullmatch(r"[A-Za-z0-9.:*?!/,_-]+", sources):
        raise UsageError(
            f"--from {sources!r} is no list of patterns", remedy="write it as in --from 192.0.2.7,10.1.0.0/16"
        )
    key = read_public_key(key_file) if key_file else ""
    gate = site_gate(site, made_by=f"hpcbake {__version__}", more=more)
    if show:
        click.echo(gate, nl=False)
        return
    if install:
        _install(site, gate, sources)
    if not key:
        if not install:
            raise UsageError("nothing to do", remedy="say --key FILE.pub, --install or --show")
        return
    if not sources:
        click.echo("note: without --from the key works from every address", err=True)
    click.echo(f"for ~/.ssh/authorized_keys at {site.name}, in place of any other line with this key:", err=True)
    click.echo(authorized_keys_line(site, key, sources=sources or ""), nl=False)
    if not site.login.gate:
        click.echo(f"then write `gate: true` under `login` in {site.path}, where this key is used", err=True)


def _install(site: Site, gate: str, sources: str | None) -> None:
    from hpcbake.cli.world import connect
    from hpcbake.deliver.admit import install_gate

    # The key at hand has a shell, whatever the config says of the key that is to be restricted.
    site = replace(site, login=replace(site.login, gate=False))
    node = connect(site)
    try:
        installed = install_gate(site, gate, node=node)
    finally:
        node.close()
    click.echo(f"installed {site.name}:{installed.path}", err=True)
    if not sources and installed.seen_from:
        click.echo(f"note: the site sees this machine as {installed.seen_from}", err=True)


def read_public_key(path: Path) -> str:
    """The one line of a public key's file. Raises ConfigError: also for a private key, which stays where it is."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'no text'}",
            remedy="name the public half of a key: ssh-keygen -t ed25519 makes both",
            kind="config.unreadable",
        ) from error
    if not _KEY_LINE.fullmatch(text):
        is_private = "PRIVATE KEY" in text
        raise UsageError(
            f"{path} is {'the private half of a key' if is_private else 'not one public key'}",
            remedy="name the file that ends with .pub: one line, such as `ssh-ed25519 AAAA… me`",
        )
    return text
