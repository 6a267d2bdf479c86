"""What cron leaves out of the environment, put back: HOME, USER, the usual folders of programs."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

#: cron gives /usr/bin:/bin; docker and apptainer often lie elsewhere.
USUAL_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def complete_environment(environment: MutableMapping[str, str], *, uid: int, program_folder: str = "") -> None:
    """Add what is missing; what is there stays as it is."""
    with suppress(KeyError):  # a container's uid without a name
        entry = pwd.getpwuid(uid)
        for name, value in (("HOME", entry.pw_dir), ("USER", entry.pw_name), ("LOGNAME", entry.pw_name)):
            if not environment.get(name):
                environment[name] = value
    folders = [folder for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    wanted = (program_folder, *USUAL_FOLDERS) if program_folder else USUAL_FOLDERS
    environment["PATH"] = os.pathsep.join([*folders, *(folder for folder in wanted if folder not in folders)])


def prepare_for_cron() -> None:
    """Before a run that nobody watches: a whole environment, and output that no locale can stop."""
    program = Path(sys.argv[0])
    folder = str(program.parent) if program.is_absolute() and program.name != "__main__.py" else ""
    complete_environment(os.environ, uid=os.getuid(), program_folder=folder)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
