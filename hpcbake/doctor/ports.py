"""This machine as the doctor sees it: programs with a deadline, and room in folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from hpcbake.doctor.bounded import no_answer
from hpcbake.errors import ExitCode, PrereqError
from hpcbake.model.ports import Outcome
from hpcbake.sites.examine import Line, fail

#: What one program may take.
PROGRAM_S = 20.0


class Room(Protocol):
    """A folder, or the nearest one above it that is there: its file system, free bytes, and whether one may write."""

    @property
    def path(self) -> str: ...
    @property
    def filesystem(self) -> str: ...
    @property
    def free_bytes(self) -> int: ...
    @property
    def is_writable(self) -> bool: ...
    @property
    def options(self) -> str: ...


class Machine(Protocol):
    """This machine, as the doctor sees it."""

    environment: Mapping[str, str]
    python: str
    encoding: str

    def run(self, argv: Sequence[str], *, timeout_s: float) -> Outcome:
        """Run a program; exit code 124 stands for "deadline passed". Raises PrereqError when it is not there."""
        ...

    def room(self, path: str) -> Room: ...


def try_program(machine: Machine, topic: str, argv: Sequence[str]) -> Outcome | Line:
    """What a program said, or the line for one that is not there or does not answer."""
    try:
        outcome = machine.run(argv, timeout_s=PROGRAM_S)
    except PrereqError as error:
        return fail(topic, error.message, error.remedy, ExitCode.PREREQ)
    if outcome.exit_code == 124:
        return no_answer(topic, PROGRAM_S, f"see what it waits for: {' '.join(argv)}")
    return outcome
