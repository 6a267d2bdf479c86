"""Would the nightly run work while nobody watches? All that it needs is tried, in the environment it will have."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from hpcbake.adapters.buildx import Buildx
from hpcbake.adapters.credentials import DockerCredentials
from hpcbake.adapters.registry import RegistryClient
from hpcbake.adapters.registry_http import is_loopback
from hpcbake.build.document import Shipment
from hpcbake.cli.sites_check import Examined, examine
from hpcbake.errors import ExitCode, HpcbakeError
from hpcbake.model.late import dataclass
from hpcbake.model.reference import ImageReference
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.sites.examine import Level, Line, fail, ok, warn

_NO_AGENT = (
    "at night there is no agent and nobody to type: make a key without a passphrase for these runs, "
    'let the site restrict it (from="…" in authorized_keys), and name it as IdentityFile in the ssh config'
)


@dataclass(frozen=True)
class NightInputs:
    """What a night works on: targets that are built, or images that are followed; sites; variables of bake files."""

    shipments: tuple[Shipment, ...]
    images: tuple[ImageReference, ...]
    sites: tuple[Site, ...]
    variables: tuple[str, ...]


def check_unattended(inputs: NightInputs, state: Path, builder: str | None) -> int:
    """Print ok, warn or FAIL for all that the night needs, each with what to do; 11 when something fails."""
    shipments, images, sites = inputs.shipments, inputs.images, inputs.sites
    lines = [_state(state)]
    if shipments:
        lines.append(_docker(builder))
    references = [shipment.tags[0] for shipment in shipments] or list(images)
    plain = frozenset(host for site in sites for host in site.runtime.plain_http)
    lines += _registries(references, plain)
    lines += _agent(sites)
    _show("this machine", lines)
    with ThreadPoolExecutor(max_workers=16) as pool:
        examined = list(pool.map(examine, sites))
    for item in examined:
        _show(item.name, _site_lines(item))
    failed = sum(line.level is Level.FAIL for line in (*lines, *(line for item in examined for line in item.lines)))
    if failed:
        click.echo(f"{failed} of this would fail at night")
    return int(ExitCode.PREREQ if failed else ExitCode.OK)


def _state(state: Path) -> Line:
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state) as file:
            file.write(b"x" * 65536)
            file.flush()
    except OSError as error:
        return fail("state", f"{state}: {error.strerror}", "make room, or set HPCBAKE_STATE to another folder")
    return ok("state", str(state))


def _docker(builder: str | None) -> Line:
    try:
        Buildx(folder=Path.cwd(), environment=os.environ, builder=builder).pushes_by_digest()
    except HpcbakeError as error:
        detail = error.evidence.get("output")
        return fail("builder", f"{error.message}\n{detail}" if detail else error.message, error.remedy)
    where = os.environ.get("DOCKER_HOST", "the default socket")
    return ok("builder", f"{builder or 'the default builder'} by {where} answers")


def _registries(references: Sequence[ImageReference], plain: frozenset[str]) -> list[Line]:
    """Per repository: is there a login, does the registry answer to it?"""
    logins = DockerCredentials.from_environment(os.environ)
    client = RegistryClient.from_environment(os.environ, plain_http=plain)
    lines: list[Line] = []
    for reference in {reference.name: reference for reference in references}.values():
        try:
            login = logins.find(reference.registry)
            client.head_manifest(reference)
        except HpcbakeError as error:
            lines.append(fail("registry", f"{reference.name}: {error.message}", error.remedy))
            continue
        if login is not None:
            lines.append(ok("registry", f"{reference.name}: login from {login.source}"))
        elif is_loopback(reference.registry):
            lines.append(ok("registry", f"{reference.name}: answers without a login"))
        else:
            text = f"{reference.name}: answers, and there is no login, which a push may need"
            lines.append(warn("registry", text, f"docker login {reference.registry}"))
    return lines


def _agent(sites: Sequence[Site]) -> list[Line]:
    if "SSH_AUTH_SOCK" in os.environ and any(site.login.transport != "local" for site in sites):
        text = "an ssh agent is at hand here and may not be at night: what follows may rest on it"
        return [warn("agent", text, "`hpcbake nightly --install` tries everything without the agent")]
    return []


def _site_lines(item: Examined) -> list[Line]:
    """What is wrong at a site, or one line that nothing is."""
    found = [
        Line(line.topic, line.level, line.text, _NO_AGENT if "authentication" in line.text.lower() else line.fix)
        if line.level is Level.FAIL and line.topic == "login" and line.code is ExitCode.SITE_TRUST
        else line
        for line in item.lines
        if line.level is not Level.OK or line.topic == "login"
    ]
    return found or [ok("site", "as its config says")]


_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def _show(name: str, lines: Sequence[Line]) -> None:
    click.echo(click.style(name, bold=True))
    for line in lines:
        head, *rest = printable(line.text).split("\n")
        click.echo(f"  {click.style(f'{line.level.value:<5}', fg=_COLOURS[line.level])} {line.topic:<10} {head}")
        for more in rest:
            click.echo(f"                   | {more}")
        if line.fix and line.level is not Level.OK:
            click.echo(f"                   help: {printable(line.fix)}")
