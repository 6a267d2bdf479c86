"""What is known of a log: for `hpcbake explain -` and `hpcbake explain FILE`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hpcbake.catalogue import error_code
from hpcbake.catalogue.causes.log import LogReading, read_log
from hpcbake.errors import UsageError
from hpcbake.report.printable import printable

#: So many lines are listed that look like trouble and are not known; the rest is counted.
_SHOWN_UNKNOWN = 20
_SHOWN_NUMBERS = 8
_SHOWN_TEXT = 160


def is_log(word: str) -> bool:
    """Does this word name standard input or a file, rather than a topic?"""
    return word == "-" or "/" in word or Path(word).is_file()


def read_log_of(word: str) -> LogReading:
    """The log that a word names. Raises UsageError when it cannot be read."""
    if word == "-":
        return read_log(_lines(sys.stdin.buffer))
    try:
        with Path(word).open("rb") as file:
            return read_log(_lines(file))
    except OSError as error:
        raise UsageError(
            f"{word}: cannot be read: {error.strerror}",
            remedy="name a log file, or - for standard input; names that can be explained: hpcbake explain --list",
        ) from error


def _lines(raw: Iterable[bytes]) -> Iterator[str]:
    return (line.decode("utf-8", "backslashreplace") for line in raw)


def log_document(word: str, reading: LogReading) -> dict[str, Any]:
    """As a member of a JSON document."""
    return {
        "log": word,
        "lines": reading.lines,
        "known": [
            {
                "cause": found.cause.name,
                "kind": found.cause.kind,
                "error_code": error_code(found.cause.kind),
                "means": found.cause.meaning,
                "remedy": found.cause.remedy,
                "lines": list(found.numbers),
                "text": found.text,
            }
            for found in reading.known
        ],
        "codes": [{"error_code": found.code, "lines": list(found.numbers)} for found in reading.coded],
        "not_known": [{"line": number, "text": text} for number, text in reading.unknown],
    }


def render_log(reading: LogReading) -> str:
    """What is known line by line, then what looks like trouble and is not known."""
    parts = []
    for found in reading.known:
        cause = found.cause
        parts.append(
            f"{_numbers(found.numbers)}: {cause.meaning} [{error_code(cause.kind)}]\n"
            f"  | {_short(found.text)}\n  help: {cause.remedy}"
        )
    for coded in reading.coded:
        parts.append(f"{_numbers(coded.numbers)}: hpcbake explain {coded.code}\n  | {_short(coded.text)}")
    if reading.unknown:
        shown = [f"  {number}: {_short(text)}" for number, text in reading.unknown[:_SHOWN_UNKNOWN]]
        more = len(reading.unknown) - len(shown)
        shown += [f"  … and {more} more"] if more else []
        parts.append("\n".join(["not known, and may matter:", *shown]))
    known = sum(len(numbers) for numbers in [*(k.numbers for k in reading.known), *(c.numbers for c in reading.coded)])
    lines = "1 line" if reading.lines == 1 else f"{reading.lines} lines"
    parts.append(f"{lines} read, {known} known{'' if known else ': nothing here is known to hpcbake'}")
    return "\n\n".join(parts)


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN_NUMBERS]))
    more = f" and {len(numbers) - _SHOWN_NUMBERS} more" if len(numbers) > _SHOWN_NUMBERS else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _short(text: str) -> str:
    shown = printable(text.strip())
    # What a program of today found out stands at the end of its line.
    return shown if len(shown) <= _SHOWN_TEXT else f"{shown[:40]} … {shown[43 - _SHOWN_TEXT :]}"
