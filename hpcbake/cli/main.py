"""The `hpcbake` command: finds the verb, and turns every failure into its exit code.

Verbs are imported only when they are called, so that `hpcbake --help` stays as quick as a bare click program.
"""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

#: verb → (module, one-line help). The order is the order of `hpcbake --help`: the common path first.
VERBS: dict[str, tuple[str, str]] = {
    "ship": (
        "hpcbake.cli.ship",
        "Bring images from the bake file to every site: build, check, deliver, smoke, promote.",
    ),
    "status": ("hpcbake.cli.status", "Show what is on every site."),
    "print": ("hpcbake.cli.print", "Show the plan: bake files with everything resolved."),
    "lint": ("hpcbake.cli.lint", "Look for what will hurt on a cluster, before anything is built."),
    "build": ("hpcbake.cli.build", "Build and push the targets; print the digests."),
    "check": ("hpcbake.cli.check", "Judge whether an image runs on a site."),
    "diff": ("hpcbake.cli.diff", "Show what a new image needs and offers that an old one did not."),
    "deliver": ("hpcbake.cli.deliver", "Put the SIF of a digest into the store of every site."),
    "smoke": ("hpcbake.cli.smoke", "Run the smoke tests of a delivered SIF on compute nodes."),
    "promote": ("hpcbake.cli.promote", "Make a smoke-tested SIF the current one."),
    "lab": ("hpcbake.cli.lab", "A real miniature cluster on this machine."),
}


class VerbGroup(click.Group):
    """A click group that imports a verb when it is called, and lists all of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(VERBS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from hpcbake import __version__  # takes a moment to look up

        click.echo(f"hpcbake, version {__version__}")
        context.exit()


@click.command(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 fine, 3 partly, 10 your files, 30 does not fit, 40 unreachable, 50 smoke test failed; "
    "all of them: docs/reference/exit-codes.md",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def hpcbake() -> None:
    """From a bake file to a tested, promoted SIF on every HPC cluster, with one command."""


def main() -> NoReturn:
    """Run the command line and exit with the code that the outcome's class has."""
    try:
        code = hpcbake.main(standalone_mode=False)
    except Exception as failure:  # noqa: BLE001  (the one border where everything ends up)
        from hpcbake.cli.failure import report_failure

        sys.exit(report_failure(failure))
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
