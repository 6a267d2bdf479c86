"""`hpcbake lab`: a real miniature cluster on this machine."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from hpcbake.errors import ExitCode

if TYPE_CHECKING:
    from hpcbake.lab import LabRun, LabSettings


@click.group(name="lab")
def command() -> None:
    """A real miniature cluster on this machine: two Slurm sites, a bastion and two registries.

    Choices are made by HPCBAKE_LAB_… variables; docs/lab.md lists them.
    """


@command.command()
def up() -> None:
    """Bring the lab up, or find that it is."""
    from hpcbake import lab

    run = _run()
    record = lab.up(run)
    state = run.settings.state
    click.echo(f"registries   {record.registry} (plain), {record.registry_tls} (TLS and password)")
    click.echo(f"ssh          ssh -F {state}/ssh_config alder   (or birch, bastion)")
    click.echo(f"shell        . {state}/lab.env")


@command.command()
@click.option("--purge", is_flag=True, help="Also drop the engine, the images and whatever else is cached.")
def down(*, purge: bool) -> None:
    """Take the lab down: no container, process, network, mount or packet filter rule of it stays."""
    from hpcbake import lab

    lab.down(_run(), purge=purge)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="The same as a JSON document.")
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Show what is up, with the versions read from the machines. Exit code 11 unless everything is."""
    from hpcbake import lab

    found = lab.status(_run())
    click.echo(json.dumps(found.document(), indent=2) if as_json else lab.render_status(found), nl=as_json)
    context.exit(int(ExitCode.OK if found.is_up else ExitCode.PREREQ))


@command.command(context_settings={"allow_interspersed_args": False})
@click.argument("node")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def shell(node: str, words: tuple[str, ...]) -> None:
    """Open a shell on NODE (or run WORDS there): by ssh as alice, or as root where no sshd runs."""
    from hpcbake import lab

    argv, environ = lab.shell_command(_run(), node, words[1:] if words[:1] == ("--",) else words)
    os.execvpe(argv[0], argv, {**os.environ, **environ})  # noqa: S606  (the shell takes over this terminal)


@command.command()
def reset() -> None:
    """Empty the sites' stores, queues and job histories and the registries, without building anything."""
    from hpcbake import lab

    lab.reset(_run())


def _settings() -> LabSettings:
    from hpcbake import lab

    return lab.read_settings(os.environ, uid=os.getuid(), gid=os.getgid())


def _run() -> LabRun:
    from hpcbake import lab

    return lab.new_run(_settings(), lab.Progress(lambda line: click.echo(line, err=True)))
