"""A user's crontab, or the one that Slurm runs (`scrontab`): read whole, written whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hpcbake.adapters.processes import run_program
from hpcbake.errors import PrereqError
from hpcbake.model.ports import Outcome

_TIMEOUT_S = 60.0
_MISSING = {
    "crontab": "install cron, or take another timer: --install systemd",
    "scrontab": "scrontab comes with Slurm 20.11 and newer; on this machine take --install cron",
}


class Crontab:
    """The table of this user. `program` is crontab or scrontab."""

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        self._program = program
        # The words that tell "there is none yet" from a failure are English.
        self._environment = {**environment, "LC_ALL": "C"}

    def read(self) -> str:
        """The table; empty where the user has none. Raises PrereqError."""
        outcome = self._run("-l")
        if outcome.ok:
            return outcome.stdout
        if "no crontab" in outcome.stderr.lower() or not outcome.stderr.strip():
            return ""
        raise self._refused(outcome.stderr)

    def write(self, table: str) -> None:
        """Replace the table. Raises PrereqError with the program's own words."""
        descriptor, name = tempfile.mkstemp(prefix="hpcbake-crontab-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(table)
            outcome = self._run(name)
        finally:
            Path(name).unlink(missing_ok=True)
        if not outcome.ok:
            raise self._refused(outcome.stderr)

    def _run(self, *words: str) -> Outcome:
        return run_program(
            [self._program, *words],
            timeout_s=_TIMEOUT_S,
            environment=self._environment,
            missing_remedy=_MISSING.get(self._program, ""),
        )

    def _refused(self, words: str) -> PrereqError:
        return PrereqError(
            f"{self._program} says no: {words.strip() or 'nothing'}",
            remedy="mend what it names, or ask the administrators; `--print` shows the lines to enter by hand",
            kind="config.timer",
        )
