"""`hpcbake sites`: the clusters that are declared, what each declaration comes to, and how to make one."""

from __future__ import annotations

import importlib

import click

from hpcbake.cli.examples import add_examples

#: subcommand → its module: each is imported only when it is called.
_SUBCOMMANDS = {
    "list": "hpcbake.cli.sites_list",
    "show": "hpcbake.cli.sites_show",
    "check": "hpcbake.cli.sites_check",
    "probe": "hpcbake.cli.sites_probe",
    "trust": "hpcbake.cli.sites_trust",
    "restrict": "hpcbake.cli.sites_restrict",
}


class _SitesGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _SUBCOMMANDS:
            return None
        command = importlib.import_module(_SUBCOMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return add_examples(f"sites {cmd_name}", command)


@click.group("sites", cls=_SitesGroup)
def command() -> None:
    """The clusters: what is declared, whether it holds, and how to declare one."""
