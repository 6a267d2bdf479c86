"""The click group of all verbs: `hpcbake --help`, and every verb but a plain `hpcbake print`."""

from __future__ import annotations

import importlib

import click

from hpcbake.cli.examples import add_examples
from hpcbake.cli.main import VERBS

#: The verbs by what one wants to do, the common path first.
TASKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Begin, and ship", ("init", "plan", "ship", "status")),
    ("Live with it", ("report", "history", "rollback", "gc", "nightly")),
    ("Look before", ("doctor", "validate", "lint", "print", "check", "diff")),
    ("One step at a time", ("build", "deliver", "smoke", "promote")),
    ("Clusters, builders, settings", ("sites", "builder", "config", "lab")),
    ("Help", ("explain", "completion")),
)


class VerbGroup(click.Group):
    """A click group that imports a verb when it is called, and lists all of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(VERBS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return add_examples(cmd_name, command)

    def invoke(self, ctx: click.Context) -> object:
        code = super().invoke(ctx)
        if not ctx.meta:
            return code
        from hpcbake.cli.left_out import with_left_out

        return with_left_out(code, ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        grouped = {verb for _, verbs in TASKS for verb in verbs}
        others = tuple(verb for verb in VERBS if verb not in grouped)
        for title, verbs in (*TASKS, *((("Other", others),) if others else ())):
            with formatter.section(title):
                formatter.write_dl([(verb, VERBS[verb][1]) for verb in verbs], col_max=12)


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    if context.params.get("verbose"):
        from hpcbake.cli.version import describe_versions

        click.echo(describe_versions(), nl=False)
    else:
        from hpcbake import __version__  # takes a moment to look up

        click.echo(f"hpcbake, version {__version__}")
    context.exit()


@click.command(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="\b\nExamples:\n"
    "  hpcbake plan                  what ship would do at every site\n"
    "  hpcbake ship --site alder     build, check, deliver, test and promote, at one site\n"
    "  hpcbake explain HB-PULL-007   what an error means, and what to do\n\n"
    "Exit codes: 0 fine, 3 partly, 10 your files, 30 does not fit, 40 unreachable, 50 smoke test failed; "
    "all of them: docs/reference/exit-codes.md",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
# Eager, so that it is known when --version answers, wherever it stands.
@click.option("--verbose", is_flag=True, is_eager=True, help="With --version: also of every tool that matters.")
def hpcbake(verbose: bool) -> None:
    """From a bake file to a tested, promoted SIF on every HPC cluster, with one command."""
    if verbose:
        raise click.UsageError("`--verbose` here goes with `--version`")
