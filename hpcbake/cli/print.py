"""`hpcbake print`: the plan that bake files make, as `docker buildx bake --print` shows it, without Docker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hpcbake.cli.print_words import FLAG, GO_FLAGS, OPTIONS, TEXTS
from hpcbake.cli.printing import print_words

F = TypeVar("F", bound=Callable[..., Any])


class GoFlagsCommand(click.Command):
    """A command whose boolean flags may be written `--no-cache` or `--no-cache=false`, as docker's are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        spelt_out = [f"{arg}=true" if arg in GO_FLAGS else arg for arg in args[:end]]
        return super().parse_args(ctx, [*spelt_out, *args[end:]])


def _print_options(function: F) -> F:
    for option in reversed(OPTIONS):
        function = click.option(
            *option.spellings,
            option.name,
            multiple=option.kind == TEXTS,
            type=bool if option.kind == FLAG else str,
            metavar=option.metavar,
            help=option.help,
        )(function)
    return function


@click.command("print", cls=GoFlagsCommand, short_help="Show the plan: bake files with everything resolved.")
@click.argument("targets", nargs=-1)
@_print_options
def command(**words: object) -> None:
    """Show the plan that the bake files make: variables, functions, matrices, inheritance and overrides resolved.

    The output is the JSON of `docker buildx bake --print`. Warnings go to standard error.
    """
    print_words(words)
