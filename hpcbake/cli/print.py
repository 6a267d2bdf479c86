"""`hpcbake print`: the plan that bake files make, as `docker buildx bake --print` shows it, without Docker."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from hpcbake.errors import UsageError

#: Flags that may stand alone or carry `=true` / `=false`, as Go programs take them.
_GO_FLAGS = frozenset({"--push", "--load", "--no-cache", "--pull", "--print", "--check"})


class GoFlagsCommand(click.Command):
    """A command whose boolean flags may be written `--no-cache` or `--no-cache=false`, as docker's are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        spelt_out = [f"{arg}=true" if arg in _GO_FLAGS else arg for arg in args[:end]]
        return super().parse_args(ctx, [*spelt_out, *args[end:]])


@click.command("print", cls=GoFlagsCommand, short_help="Show the plan: bake files with everything resolved.")
@click.argument("targets", nargs=-1)
@click.option(
    "-f", "--file", "files", multiple=True, metavar="FILE", help="Bake file; repeatable; - is standard input."
)
@click.option("--set", "overrides", multiple=True, metavar="PATTERN.KEY=VALUE", help="Override a value; += appends.")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable of the bake file.")
@click.option("--push", type=bool, help="Push every image output.")
@click.option("--load", type=bool, help="Load every image into docker.")
@click.option("--no-cache", type=bool, help="Build without cache.")
@click.option("--pull", type=bool, help="Always pull base images.")
@click.option("--sbom", metavar="VALUE", help="Shorthand for --set '*.attest=type=sbom'.")
@click.option("--provenance", metavar="VALUE", help="Shorthand for --set '*.attest=type=provenance'.")
@click.option("--call", metavar="METHOD", help="check, outline or targets instead of build.")
@click.option("--check", type=bool, help="Shorthand for --call=check.")
@click.option("--print", "print_", type=bool, help="What this verb does anyway.")
@click.option("--list", "list_", metavar="KIND", help="List targets or variables; type=targets,format=json.")
def command(
    targets: tuple[str, ...],
    files: tuple[str, ...],
    overrides: tuple[str, ...],
    variables: tuple[str, ...],
    push: bool | None,
    load: bool | None,
    no_cache: bool | None,
    pull: bool | None,
    sbom: str | None,
    provenance: str | None,
    call: str | None,
    check: bool | None,
    print_: bool | None,
    list_: str | None,
) -> None:
    """Show the plan that the bake files make: variables, functions, matrices, inheritance and overrides resolved.

    The output is the JSON of `docker buildx bake --print`. Warnings go to standard error.
    """
    from hpcbake.bakefile import BakeRequest

    if print_ and list_ is not None:
        raise UsageError("--print and --list are mutually exclusive", remedy="leave one of them away")
    request = BakeRequest(
        files=files,
        targets=targets,
        overrides=overrides,
        variables=parse_variables(variables),
        push=push,
        load=load,
        no_cache=no_cache,
        pull=pull,
        sbom=sbom,
        provenance=provenance,
        call="check" if check else call,
    )
    if list_ is not None:
        _print_list(request, list_)
    else:
        _print_plan(request)


def _print_plan(request: object) -> None:
    from hpcbake.bakefile import BakeRequest, render_plan, resolve
    from hpcbake.bakefile.source import printable

    assert isinstance(request, BakeRequest)
    plan = resolve(
        request, folder=Path(), environment=os.environ, stdin=sys.stdin.read, local_platform=local_platform()
    )
    for warning in plan.warnings:
        place = f"{warning.path}:{warning.line}:{warning.column}: " if warning.path else ""
        click.echo(printable(f"warning: {place}{warning.message} [{warning.code}]"), err=True)
        if warning.help:
            click.echo(printable(f"help: {warning.help}"), err=True)
    click.echo(render_plan(plan))


def _print_list(request: object, text: str) -> None:
    from hpcbake.bakefile import BakeRequest
    from hpcbake.bakefile.listing import parse_list_request, render_targets, render_variables
    from hpcbake.bakefile.resolve import read_request

    assert isinstance(request, BakeRequest)
    asked = parse_list_request(text)
    read = read_request(
        request, folder=Path(), environment=os.environ, stdin=sys.stdin.read, local_platform=local_platform()
    )
    if asked.kind == "targets":
        click.echo(render_targets(read.model, asked.format))
    else:
        click.echo(render_variables(read.variables, asked.format))


def parse_variables(texts: tuple[str, ...]) -> Mapping[str, str]:
    """`NAME=VALUE` texts as a mapping, the last of a name winning. Raises UsageError for anything else."""
    variables: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if text and not (equals and name):
            raise UsageError(f"--var {text} is not NAME=VALUE", remedy="write for example --var TAG=1.2")
        if text:
            variables[name] = value
    return variables


def local_platform() -> str:
    """This machine's platform as BAKE_LOCAL_PLATFORM spells it."""
    machine = platform.machine().lower()
    architecture = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}.get(machine, machine)
    return f"{platform.system().lower()}/{architecture}"
