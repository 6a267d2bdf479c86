"""The nightly run as systemd, cron and Slurm's scron take it: texts only, made from what shall run when and where."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass

#: A night that takes longer is ended, or it would meet the next one.
_LONGEST = "20h"
_SCRON_LIMIT = "04:00:00"


@dataclass(frozen=True)
class Schedule:
    """What runs every night: the command with absolute paths, its folder, its whole environment, when, its log,
    and the script that cron starts.

    `name` tells the nights of several projects apart: letters, digits, `-` and `_` only.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    script: Path
    hour: int = 2
    minute: int = 0
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        texts = [str(self.folder), str(self.log), str(self.script), *self.command, *self.environment.values()]
        bad = next((text for text in texts if re.search(r"[\0\n\r]", text)), None)
        if bad is not None:
            raise ConfigError(
                f"{bad!r} holds a line break, which no timer can carry",
                remedy="rename the folder, or unset the variable, and install again",
            )


def schedule_name(folder: Path, key: str) -> str:
    """`hpcbake-nightly-<folder>-<key>`: readable, and unique by the key."""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", folder.name).strip("-")[:40] or "project"
    return f"hpcbake-nightly-{readable}-{key[:8]}"


# ---- systemd ----


def render_service(schedule: Schedule) -> str:
    """The unit that runs one night."""
    lines = [
        "[Unit]",
        f"Description=hpcbake nightly in {_specifiers(str(schedule.folder))}",
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={_specifiers(str(schedule.folder))}",
        *(f"Environment={_unit_word(f'{name}={value}')}" for name, value in sorted(schedule.environment.items())),
        "ExecStart=" + " ".join(_unit_word(word, is_command=True) for word in schedule.command),
        f"TimeoutStartSec={_LONGEST}",
        # The run ends itself within ten seconds and says what is where.
        "TimeoutStopSec=60s",
        "KillMode=mixed",
        "",
    ]
    return "\n".join(lines)


def render_timer(schedule: Schedule) -> str:
    """The timer of that unit. A night that the machine slept through is made up for when it wakes."""
    lines = [
        "[Unit]",
        f"Description=Every night: hpcbake nightly in {_specifiers(str(schedule.folder))}",
        "",
        "[Timer]",
        f"OnCalendar=*-*-* {schedule.hour:02d}:{schedule.minute:02d}:00",
        "Persistent=true",
        f"RandomizedDelaySec={int(schedule.jitter_s)}s",
        "",
        "[Install]",
        "WantedBy=timers.target",
        "",
    ]
    return "\n".join(lines)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _unit_word(text: str, *, is_command: bool = False) -> str:
    """One word as systemd unquotes it again; in a command `$` is doubled too."""
    text = _specifiers(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{text.replace("$", "$$") if is_command else text}"'


# ---- cron and scron ----


def render_script(schedule: Schedule) -> str:
    """The script that cron and scron start: their lines are short (cron takes 999 letters), an environment is not.

    A good night is silent; after a bad one cron mails what it said.
    """
    environment = [f"{name}={value}" for name, value in sorted(schedule.environment.items())]
    jitter = ("--jitter", str(int(schedule.jitter_s))) if schedule.jitter_s else ()
    words = ["/usr/bin/env", "-i", *environment, *schedule.command, *jitter]
    log = shlex.quote(str(schedule.log))
    lines = [
        "#!/bin/sh",
        f"# {schedule.name}: written by `hpcbake nightly --install`, which writes it anew.",
        f"cd {shlex.quote(str(schedule.folder))} || exit 73",
        " \\\n  ".join(map(shlex.quote, words)) + f" >{log} 2>&1",
        "code=$?",
        f'[ "$code" = 0 ] || cat {log}',
        'exit "$code"',
        "",
    ]
    return "\n".join(lines)


def render_cron_block(schedule: Schedule) -> str:
    """The lines for a user's crontab, between markers."""
    return _block(schedule.name, [_cron_line(schedule)])


def render_scron_block(schedule: Schedule) -> str:
    """The lines for a user's scrontab. The job waits for its own smoke jobs, so it asks for little and for long."""
    options = [f"#SCRON --job-name={schedule.name}", f"#SCRON --time={_SCRON_LIMIT}", "#SCRON --ntasks=1"]
    return _block(schedule.name, [*options, _cron_line(schedule)])


def cron_line(block: str) -> str:
    """The command of a block as cron hands it to /bin/sh: `\\%` has become `%`."""
    line = next(line for line in block.splitlines() if line and not line.startswith("#"))
    return line.split(" ", 5)[5].replace("\\%", "%")


def replace_block(table: str, name: str, block: str) -> str:
    """A crontab with this project's block put in, replaced, or (where `block` is empty) taken out.

    Raises ConfigError where a marker stands without the other: somebody has edited them.
    """
    first, last = _markers(name)
    lines = table.splitlines()
    if lines.count(first) != lines.count(last) or lines.count(first) > 1:
        raise ConfigError(
            f"the crontab has the markers of {name} {lines.count(first)} and {lines.count(last)} times",
            remedy=f"correct it by hand: one `{first}`, below it one `{last}`, or neither",
        )
    if first in lines:
        start, end = lines.index(first), lines.index(last)
        lines[start : end + 1] = block.splitlines()
    else:
        lines += block.splitlines()
    return "".join(f"{line}\n" for line in lines)


def has_block(table: str, name: str) -> bool:
    return _markers(name)[0] in table.splitlines()


def _markers(name: str) -> tuple[str, str]:
    return f"# >>> {name}, written by hpcbake >>>", f"# <<< {name} <<<"


def _block(name: str, lines: list[str]) -> str:
    first, last = _markers(name)
    return "".join(f"{line}\n" for line in (first, *lines, last))


def _cron_line(schedule: Schedule) -> str:
    command = f"/bin/sh {shlex.quote(str(schedule.script))}"
    # cron takes a bare % for the end of the command.
    return f"{schedule.minute} {schedule.hour} * * * {command.replace('%', chr(92) + '%')}"
