"""The machine that the lab runs on, as the lab's own code sees it: programs to run, nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hpcbake.errors import HpcbakeError, PrereqError
from hpcbake.model.ports import Outcome


class Machine(Protocol):
    """Runs programs. Unit tests give answers instead."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Outcome:
        """Run `argv` to its end. `environ` is added to the environment; with `log`, all output goes to that file.

        A missing program is exit code 127, an exceeded `timeout_s` is 124; both say so in stderr.
        """
        ...

    def find_program(self, name: str) -> str | None: ...


class LocalMachine:
    """This very machine."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Outcome:
        started = time.monotonic()

        def ended(exit_code: int, stdout: bytes = b"", stderr: bytes = b"") -> Outcome:
            return Outcome(exit_code, _text(stdout), _text(stderr), time.monotonic() - started)

        full_environ = {**os.environ, **(environ or {})}
        try:
            if log is None:
                done = subprocess.run(
                    argv, env=full_environ, input=stdin, capture_output=True, timeout=timeout_s, check=False
                )
                return ended(done.returncode, done.stdout, done.stderr)
            with log.open("wb") as file:
                code = subprocess.run(
                    argv, env=full_environ, input=stdin, stdout=file, stderr=file, timeout=timeout_s, check=False
                ).returncode
            return ended(code, b"", log.read_bytes())
        except FileNotFoundError:
            return ended(127, stderr=f"{argv[0]}: no such program".encode())
        except subprocess.TimeoutExpired:
            return ended(124, stderr=f"{argv[0]} took longer than {timeout_s:.0f} s".encode())

    def find_program(self, name: str) -> str | None:
        # sbin is where iptables and friends live, and is missing from the PATH of many a shell.
        return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def require(outcome: Outcome, what: str, *, remedy: str, error: type[HpcbakeError] = PrereqError) -> Outcome:
    """The outcome, if it is a success; else `error` saying that `what` failed, with the last lines as evidence."""
    if outcome.ok:
        return outcome
    raise error(
        f"{what} failed (exit code {outcome.exit_code})",
        remedy=remedy,
        evidence={"output": outcome.tail(15), "exit_code": outcome.exit_code},
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
