"""`hpcbake nightly --install`: the timer, with the environment that the run needs, once it is sure to work."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hpcbake.adapters.crontab import Crontab
from hpcbake.adapters.processes import run_program
from hpcbake.adapters.systemd import UserUnits
from hpcbake.bakefile import BakeRequest
from hpcbake.bakefile.definition import VariableDefinition
from hpcbake.bakefile.resolve import read_request
from hpcbake.cli.files import write_whole
from hpcbake.cli.options import bake_words
from hpcbake.errors import CantWriteError, PrereqError, UsageError
from hpcbake.model.late import dataclass
from hpcbake.ship.schedule import (
    Schedule,
    has_block,
    render_cron_block,
    render_script,
    render_scron_block,
    render_service,
    render_timer,
    replace_block,
    schedule_name,
)
from hpcbake.ship.unattended import kept_environment, left_behind, night_words

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("systemd", "cron", "scrontab")
_PROGRAMS = {"cron": "crontab", "scrontab": "scrontab"}
_CHECK_S = 600.0


@dataclass(frozen=True)
class TimerChoices:
    """What the flags say of the timer. `install` and `uninstall` are a kind of timer, or None."""

    install: str | None
    uninstall: str | None
    print_only: bool
    check: bool
    at: str

    def __post_init__(self) -> None:
        if sum(map(bool, (self.install, self.uninstall, self.check))) > 1:
            raise UsageError("--install, --uninstall and --check exclude each other", remedy="give one of them")
        if self.print_only and not self.install:
            raise UsageError("--print shows a timer", remedy="say which: --install cron --print")

    @property
    def is_wanted(self) -> bool:
        return bool(self.install or self.uninstall or self.check)


def timer_options(function: F) -> F:
    """--install, --uninstall, --print, --check, --at: the timer instead of the run."""
    kinds = click.Choice(KINDS)
    for option in reversed(
        (
            click.option("--install", type=kinds, help="Try what the night needs, then set up this timer."),
            click.option("--uninstall", type=kinds, help="Take this folder's timer away."),
            click.option("--print", "print_only", is_flag=True, help="With --install: show the timer, change nothing."),
            click.option(
                "--check", is_flag=True, help="Try here and now what an unattended run needs; change nothing."
            ),
            click.option(
                "--at",
                metavar="HH:MM",
                default="",
                callback=_time_of_day,
                help="With --install: when it begins; default: the project's `nightly.at`, or 02:00.",
            ),
        )
    ):
        function = option(function)
    return function


def _time_of_day(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9]", value):
        raise click.BadParameter(f"{value!r} is not a time of day such as 02:30")
    return value


def read_variables(
    files: Sequence[str], targets: Sequence[str], overrides: Sequence[str], variables: Sequence[str]
) -> Sequence[VariableDefinition]:
    """The variables that the bake files declare: the environment may set them, so it must at night."""
    pairs = dict(item.partition("=")[::2] for item in variables)
    files, targets = bake_words(files, targets)
    request = BakeRequest(tuple(files), tuple(targets), tuple(overrides), pairs)
    return read_request(request, folder=Path.cwd(), environment=os.environ).variables


def make_schedule(
    folder: Path, kept: Path, words: Sequence[str], variables: Sequence[str], at: str, jitter_s: float
) -> Schedule:
    """The schedule of this project. `words` is the command line after `nightly`, `kept` its folder of nights."""
    hour, _, minute = at.partition(":")
    return Schedule(
        name=schedule_name(folder, kept.name),
        folder=folder,
        command=(*this_program(), "nightly", *night_words(words)),
        environment=kept_environment(os.environ, variables),
        log=kept / "last-night.log",
        script=kept / "nightly.sh",
        hour=int(hour),
        minute=int(minute),
        jitter_s=jitter_s,
    )


def this_program() -> tuple[str, ...]:
    """How to start this very hpcbake from anywhere, by absolute paths."""
    script = Path(sys.argv[0]).absolute()
    if script.is_file() and os.access(script, os.X_OK) and script.name != "__main__.py":
        return (str(script),)
    return (sys.executable, "-m", "hpcbake")


def print_schedule(kind: str, schedule: Schedule) -> None:
    """What would be installed, and where."""
    if kind == "systemd":
        folder = UserUnits(os.environ).folder
        click.echo(f"# {folder / schedule.name}.service\n{render_service(schedule)}")
        click.echo(f"# {folder / schedule.name}.timer\n{render_timer(schedule)}", nl=False)
        return
    click.echo(f"# {schedule.script}\n{render_script(schedule)}")
    click.echo(f"# {_PROGRAMS[kind]}\n{_block(kind, schedule)}", nl=False)


def install(kind: str, schedule: Schedule, variables: Sequence[str]) -> None:
    """Try the night first, in the environment it will have; then install. Raises PrereqError when it would not work."""
    for name in left_behind(os.environ, variables):
        click.echo(
            f"warning: {name} looks like a secret and is not written into a timer: put it where the run finds it "
            "(docker login, a credential helper, a file that only you can read)",
            err=True,
        )
    _try_it(schedule)
    if kind == "systemd":
        units = UserUnits(os.environ)
        timer = f"{schedule.name}.timer"
        units.install({f"{schedule.name}.service": render_service(schedule), timer: render_timer(schedule)}, timer)
        click.echo(f"installed {units.folder / timer}: every night at {schedule.hour:02d}:{schedule.minute:02d}")
        click.echo(f"see it:   systemctl --user list-timers {timer}")
        click.echo(f"its log:  journalctl --user -u {schedule.name}.service")
        _tell_of_linger(units)
        return
    table = Crontab(_PROGRAMS[kind], os.environ)
    wanted = replace_block(table.read(), schedule.name, _block(kind, schedule))
    _write_script(schedule)
    table.write(wanted)
    click.echo(f"installed in your {_PROGRAMS[kind]}: every night at {schedule.hour:02d}:{schedule.minute:02d}")
    click.echo(f"see it:   {_PROGRAMS[kind]} -l")
    click.echo(f"its log:  {schedule.log}, from the last night; runs are in `hpcbake report`")


def uninstall(kind: str, name: str) -> None:
    """Take the timer away. Raises UsageError when there is none."""
    if kind == "systemd":
        gone = UserUnits(os.environ).uninstall((f"{name}.service", f"{name}.timer"), f"{name}.timer")
    else:
        table = Crontab(_PROGRAMS[kind], os.environ)
        before = table.read()
        gone = has_block(before, name)
        if gone:
            table.write(replace_block(before, name, ""))
    if not gone:
        raise UsageError(
            f"no nightly run of this folder is installed with {kind}",
            remedy="run this in the project's folder, and name the timer that it was installed with",
        )
    click.echo(f"{name} is no longer installed with {kind}; what is on sites stays as it is")


def _block(kind: str, schedule: Schedule) -> str:
    return render_cron_block(schedule) if kind == "cron" else render_scron_block(schedule)


def _write_script(schedule: Schedule) -> None:
    try:
        schedule.script.parent.mkdir(parents=True, exist_ok=True)
        write_whole(schedule.script, render_script(schedule))
        schedule.script.chmod(0o700)
    except OSError as error:
        raise CantWriteError(
            f"{schedule.script}: {error.strerror}", remedy="make room, or set HPCBAKE_STATE to another folder"
        ) from error


def _try_it(schedule: Schedule) -> None:
    """`hpcbake nightly --check` as the timer would start it: another environment, no terminal, no agent."""
    click.echo("trying everything that the night needs, in the environment that it will have:")
    outcome = run_program(
        [*schedule.command, "--check"], timeout_s=_CHECK_S, environment=schedule.environment, folder=schedule.folder
    )
    click.echo(outcome.stdout, nl=False)
    click.echo(outcome.stderr, nl=False, err=True)
    if not outcome.ok:
        raise PrereqError(
            "the nightly run would not work unattended, so nothing was installed",
            remedy="mend what says FAIL above, then install again",
            kind="config.unattended",
        )


def _tell_of_linger(units: UserUnits) -> None:
    user = os.environ.get("USER", "")
    if units.lingers(user) is not True:
        click.echo(
            f"help: your units run only while you are logged in, until this is done once: loginctl enable-linger {user}"
        )
