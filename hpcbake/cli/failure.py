"""How a failure looks on the terminal, and which exit code it gives."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import traceback

import click

from hpcbake.catalogue import with_code
from hpcbake.errors import BugError, CantWriteError, ExitCode, HpcbakeError
from hpcbake.report.printable import printable

#: What a stream answers that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def report_failure(failure: BaseException) -> int:
    """Print what, where and what next on stderr; return the exit code. A traceback goes to a file, never the screen."""
    if isinstance(failure, HpcbakeError):
        click.echo(f"error: {printable(with_code(failure.message, failure.kind))}", err=True)
        detail = failure.evidence.get("output")
        if detail:
            click.echo(indented(str(detail)), err=True)
        if failure.remedy:
            click.echo(f"help: {printable(failure.remedy)}", err=True)
        return int(failure.exit_code)
    if isinstance(failure, click.exceptions.Abort):
        click.echo("interrupted", err=True)
        return int(ExitCode.INT)
    if isinstance(failure, click.exceptions.Exit):
        return failure.exit_code
    if isinstance(failure, click.ClickException):
        failure.show(file=sys.stderr)
        return int(ExitCode.USAGE)
    if isinstance(failure, BrokenPipeError):
        # The reader (head, less) went away. Point stdout at nothing so that interpreter exit stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    if isinstance(failure, OSError) and failure.errno in _FULL and not failure.filename:
        # One of the streams that we were given: a file on a full disk, /dev/full, a dead terminal.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        with contextlib.suppress(OSError):
            words = f"standard output or standard error cannot be written: {failure.strerror}"
            click.echo(f"error: {with_code(words, CantWriteError.kind)}\nhelp: make room, or write elsewhere", err=True)
        return int(ExitCode.CANTWRITE)
    path = _write_crash_file(failure)
    words = f"hpcbake stumbled over itself: {type(failure).__name__}: {printable(str(failure))}"
    click.echo(
        f"error: {with_code(words, BugError.kind)}\nhelp: this is a bug; please report it with {path}",
        err=True,
    )
    return int(ExitCode.BUG)


def indented(text: str) -> str:
    """Several lines of evidence as they stand under a message."""
    return "\n".join(f"  | {printable(line)}" for line in text.splitlines())


def _write_crash_file(failure: BaseException) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="hpcbake-crash-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(failure)))
        return file.name
