"""`hpcbake sites trust`: shows the host keys on the way to a site and writes down those that you accept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpcbake.cli.options import configs_option
from hpcbake.cli.site_target import find_target, target_options
from hpcbake.errors import SiteTrustError, UsageError

if TYPE_CHECKING:
    from hpcbake.adapters.host_key_scan import OfferedKey, ScannedHop


@click.command("trust")
@click.argument("target")
@configs_option
@target_options
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    metavar="SHA256:…",
    help="Accept a key with this fingerprint without asking; for each hop that is new.",
)
def command(
    target: str, site_configs: Path, ssh_config: str | None, transport: str | None, fingerprints: tuple[str, ...]
) -> None:
    """Show the host key of every hop on the way to TARGET, and accept it if you say so.

    TARGET is a site of the folder, or USER@HOST[:PORT]. Compare each fingerprint with what the site publishes.
    An accepted key becomes a line of your known_hosts file. A key that differs from an accepted one is never
    accepted: ask the site, then remove the old line yourself.
    """
    from hpcbake.adapters.host_key_scan import HostKeyScanner

    for text in fingerprints:
        if not text.startswith("SHA256:"):
            raise UsageError(f"--fingerprint {text!r} does not begin with SHA256:", remedy="copy it as ssh shows it")
    site = find_target(target, site_configs, ssh_config, transport)
    if site.login.transport == "local":
        click.echo(f"{site.name}: no network on the way, nothing to trust")
        return
    scanner = HostKeyScanner(site)
    try:
        for index, hop in enumerate(scanner.hops):
            role = "login node" if index == len(scanner.hops) - 1 else "jump host"
            click.echo(f"{role} {hop.alias} ({hop.address})")
            _settle(scanner.scan(index), site.name, fingerprints)
    finally:
        scanner.close()


def _settle(scanned: ScannedHop, site: str, fingerprints: tuple[str, ...]) -> None:
    """One hop: known, refused, or accepted now."""
    from hpcbake.adapters.host_key_errors import host_key_error
    from hpcbake.adapters.known_hosts import Standing, accept_host_key

    key, judgement = scanned.worst
    if judgement.standing is Standing.ACCEPTED:
        by = ", ".join(line.place for line in judgement.lines if not line.revoked)
        click.echo(f"  {_key_text(key)}  accepted already ({by})")
        return
    if judgement.standing is not Standing.UNKNOWN:
        raise host_key_error(scanned.hop, judgement, key.kind, key.key, site)
    for offered in scanned.offered:
        click.echo(f"  {_key_text(offered)}")
    accepted = _accepted(scanned, fingerprints)
    path = accept_host_key(scanned.hop, [(item.kind, item.key) for item in accepted])
    click.echo(f"  written to {path}")


def _accepted(scanned: ScannedHop, fingerprints: tuple[str, ...]) -> list[OfferedKey]:
    """The keys that the operator vouches for, by fingerprint or by word. Raises SiteTrustError where there is none."""
    hop = scanned.hop
    if fingerprints:
        accepted = [key for key in scanned.offered if key.fingerprint in fingerprints]
        if not accepted:
            raise SiteTrustError(
                f"{hop.alias} ({hop.address}) offers no key with a fingerprint that was given; nothing was written",
                remedy="compare the fingerprints above with the site's documentation; do not connect if they differ",
                kind="ssh.host-key-unknown",
            )
        return accepted
    if not sys.stdin.isatty():
        raise SiteTrustError(
            f"{hop.alias} ({hop.address}) is not known, and there is no terminal to ask on; nothing was written",
            remedy="give the fingerprint that the site publishes: --fingerprint SHA256:…",
            kind="ssh.host-key-unknown",
        )
    if not click.confirm("  Does the site publish one of these fingerprints for this host? Accept them", default=False):
        raise SiteTrustError(
            f"{hop.alias} ({hop.address}) was not accepted; nothing was written",
            remedy="ask the site for its host key's fingerprint",
            kind="ssh.host-key-unknown",
        )
    return list(scanned.offered)


def _key_text(key: OfferedKey) -> str:
    return f"{key.kind:<20} {key.fingerprint}"
