"""`hpcbake builder`: buildx builders of several machines, so that linux/amd64 is built where it runs natively."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from hpcbake.adapters.builders import BuilderShelf, Machine
from hpcbake.build.document import SITE_PLATFORM
from hpcbake.errors import ExitCode, HpcbakeError, UsageError
from hpcbake.model.builders import BuilderInfo, BuilderNode, BuildPlace
from hpcbake.report.printable import printable

#: What a builder is called where nobody says otherwise.
DEFAULT_NAME = "hpcbake"


@click.group("builder")
def command() -> None:
    """Machines that build: add a native linux/amd64 machine by ssh, and see which node builds what.

    \b
    hpcbake builder add ssh://ada@amd64-host   this machine and that one, as the builder `hpcbake`
    hpcbake builder check                      does every node answer, and is linux/amd64 native?
    hpcbake ship --builder hpcbake             build there; or `builder: hpcbake` in hpcbake.yaml
    """


def _shelf() -> BuilderShelf:
    return BuilderShelf(os.environ, folder=Path.cwd())


_NAME = click.option("--name", default=DEFAULT_NAME, show_default=True, help="The builder's name.")


@command.command("add")
@click.argument("endpoint", metavar="ssh://[USER@]HOST[:PORT]")
@_NAME
@click.option("--platform", help="The platform that the node is for; default: its machine's own.")
@click.option("--node", "node_name", help="The node's name; default: made of the host's.")
@click.option("--no-local", is_flag=True, help="Do not make this machine a node of a new builder.")
@click.option("--no-start", is_flag=True, help="Do not start the nodes now; the first build does.")
@click.option("--driver-opt", "options", multiple=True, metavar="KEY=VALUE", help="As with `docker buildx create`.")
def add(
    endpoint: str,
    name: str,
    platform: str | None,
    node_name: str | None,
    no_local: bool,
    no_start: bool,
    options: tuple[str, ...],
) -> int:
    """Give a builder one more machine, over ssh; a new builder also gets this machine.

    The machine is asked first: it needs Docker, and your ssh must reach it without a question. Adding it again
    changes nothing.
    """
    host = _host_of(endpoint)
    shelf = _shelf()
    machine = shelf.machine(endpoint)
    click.echo(f"{endpoint}: Docker {machine.version}, {machine.platform}")
    info = shelf.find(name)
    if info is not None and any(node.endpoint == endpoint for node in info.nodes):
        click.echo(f"builder {name} has it already: nothing changed")
        return 0
    if info is not None and info.driver != "docker-container":
        raise UsageError(
            f"builder {name!r} has the driver {info.driver}, which takes no nodes by ssh",
            remedy="choose another name: --name",
        )
    wanted = platform or machine.platform
    has_nodes = info is not None
    if not has_nodes and not no_local:
        shelf.add_node(name, f"{name}-here", "", is_first=True, options=options)
        has_nodes = True
    node = node_name or f"{name}-{host}"
    shelf.add_node(name, node, endpoint, platform=wanted, is_first=not has_nodes, options=options)
    click.echo(f"builder {name}: node {node} builds {wanted}")
    if machine.platform.partition("/")[2] != wanted.split("/")[1]:
        click.echo(f"warning: {host} is {machine.platform}: it will emulate {wanted}", err=True)
    if not no_start:
        _start(shelf, name)
    click.echo(f"use it: hpcbake ship --builder {name}, or `builder: {name}` in hpcbake.yaml")
    return 0


def _start(shelf: BuilderShelf, name: str) -> None:
    try:
        _print(shelf.start(name))
    except HpcbakeError:
        click.echo(
            f"builder {name} is recorded and does not start; again: hpcbake builder check --start {name}", err=True
        )
        raise


def _host_of(endpoint: str) -> str:
    """The host of an endpoint as part of a node's name. Raises UsageError for what is no ssh URL."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme != "ssh" or not host or parts.path.strip("/") or parts.password:
        raise UsageError(
            f"{endpoint!r} is not ssh://[USER@]HOST[:PORT]",
            remedy="for example: hpcbake builder add ssh://ada@build.example.org",
        )
    return re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_builders(as_json: bool) -> int:
    """Show all builders, their nodes, and how each builds linux/amd64. Asks no other machine."""
    shelf = _shelf()
    found = [info for name in shelf.names() if (info := shelf.find(name)) is not None]
    if as_json:
        document = {"kind": "hpcbake.builders", "version": 1, "builders": [_document(info) for info in found]}
        click.echo(json.dumps(document, indent=2))
        return 0
    for info in found:
        _print(info)
    return 0


@command.command("check")
@click.argument("name", default=DEFAULT_NAME)
@click.option("--start", "wants_start", is_flag=True, help="Start nodes that do not run yet.")
def check(name: str, wants_start: bool) -> int:
    """Ask every machine of a builder whether it answers and what it is; exit code 11 if one cannot build."""
    shelf = _shelf()
    info = _require(shelf, name)
    problems = 0
    for seen in _look(shelf, info):
        state = "ok  " if seen.problem is None else "FAIL"
        click.echo(f"{state}  {seen.node.name}  {seen.node.endpoint}  {seen.words}")
        if seen.problem is not None:
            problems += 1
            click.echo(f"      fix: {printable(seen.problem.remedy)}")
    if wants_start and not problems:
        info = shelf.start(name)
    place = info.place_of(SITE_PLATFORM)
    click.echo(place.words)
    if place.word == "EMULATED":
        click.echo("      fix: hpcbake builder add ssh://USER@AMD64-HOST")
    return int(ExitCode.PREREQ) if problems else 0


@dataclass(frozen=True)
class _Seen:
    """One node, and its machine or what keeps it from answering."""

    node: BuilderNode
    machine: Machine | None = None
    problem: HpcbakeError | None = None

    @property
    def words(self) -> str:
        if self.problem is not None:
            return printable(self.problem.message)
        assert self.machine is not None
        return f"Docker {self.machine.version}, {self.machine.platform}, {self.node.status or 'not started'}"


def _look(shelf: BuilderShelf, info: BuilderInfo) -> Iterator[_Seen]:
    for node in info.nodes:
        try:
            yield _Seen(node, shelf.machine(node.endpoint))
        except HpcbakeError as error:
            yield _Seen(node, problem=error)


@command.command("remove")
@click.argument("name", default=DEFAULT_NAME)
@click.option("--node", "node_name", help="Only this node of it.")
def remove(name: str, node_name: str | None) -> int:
    """Remove a builder, or one node of it. Images are not touched; the builder's cache goes with it."""
    shelf = _shelf()
    info = _require(shelf, name)
    names = [node.name for node in info.nodes]
    if info.driver == "docker":
        raise UsageError(
            f"builder {name!r} is Docker's own engine and cannot be removed", remedy="see: hpcbake builder list"
        )
    if node_name is None:
        left = shelf.remove(name)
        click.echo(f"builder {name} is gone")
        if left:
            click.echo(f"warning: {printable(left)}: what runs there of it stays", err=True)
    elif node_name not in names:
        raise UsageError(f"builder {name} has no node {node_name!r}", remedy=f"its nodes: {', '.join(names)}")
    elif names == [node_name]:
        raise UsageError(
            f"{node_name} is the only node of {name}", remedy=f"remove the builder: hpcbake builder remove {name}"
        )
    else:
        shelf.leave(name, node_name)
        click.echo(f"builder {name}: node {node_name} is gone")
    return 0


def _require(shelf: BuilderShelf, name: str) -> BuilderInfo:
    info = shelf.find(name)
    if info is None:
        raise UsageError(
            f"there is no builder {name!r}",
            remedy=f"there are: {', '.join(shelf.names())}; or make it: hpcbake builder add ssh://USER@HOST",
        )
    return info


def _print(info: BuilderInfo) -> None:
    click.echo(f"{info.name} ({info.driver}): {_place(info).words}")
    for node in info.nodes:
        platforms = ", ".join(f"{name}*" if name in node.fixed else name for name in node.platforms) or "-"
        click.echo(f"  {node.name}  {node.endpoint}  {node.status or 'not started'}  {platforms}")
        if node.error:
            click.echo(f"    error: {printable(node.error)}")


def _place(info: BuilderInfo) -> BuildPlace:
    return info.place_of(SITE_PLATFORM)


def _document(info: BuilderInfo) -> dict[str, object]:
    place = _place(info)
    return {
        "name": info.name,
        "driver": info.driver,
        "site_platform": {
            "platform": place.platform,
            "how": place.word,
            "node": place.node.name if place.node else None,
        },
        "nodes": [
            {
                "name": node.name,
                "endpoint": node.endpoint,
                "status": node.status,
                "platforms": list(node.platforms),
                "given": list(node.fixed),
                "machine": node.native or None,
                "error": node.error or None,
            }
            for node in info.nodes
        ],
    }
