"""A whole log, line by line: which lines tell of a known cause, which look like trouble and are not known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from hpcbake.catalogue.causes import Cause, find_line_cause

#: A line with one of these words may matter, and is named even when nothing is known of it.
_TROUBLE = re.compile(
    r"\b(?:error|fatal|failed|failure|cannot|can't|denied|refused|killed|abort(?:ed)?|exception|traceback|panic|"
    r"unable|invalid|not found|no such)\b",
    re.IGNORECASE,
)
#: What says that there is no error.
_FINE = re.compile(r"\b(?:0|no) (?:errors?|failures?|failed)\b|\berror[- ]free\b", re.IGNORECASE)
#: hpcbake's own codes, as its messages show them.
_CODE = re.compile(r"\[(HB-[A-Z]+-\d{3})\]")
#: So much of a line is looked at: a progress bar without line ends is no reason to search for minutes.
_MAX_LINE = 4000


class KnownLines(NamedTuple):
    """Lines of a log that tell of one cause, by their numbers; `text` is the first of them."""

    cause: Cause
    numbers: tuple[int, ...]
    text: str


class CodedLines(NamedTuple):
    """Lines of a log that hpcbake itself wrote with a code."""

    code: str
    numbers: tuple[int, ...]
    text: str


class LogReading(NamedTuple):
    """What is known of a log. `unknown` holds lines that look like trouble: number and text."""

    lines: int
    known: tuple[KnownLines, ...]
    coded: tuple[CodedLines, ...]
    unknown: tuple[tuple[int, str], ...]


def read_log(lines: Iterable[str]) -> LogReading:
    """Every cause once, in the order of its first line."""
    known: dict[str, tuple[Cause, list[int], str]] = {}
    coded: dict[str, tuple[list[int], str]] = {}
    unknown: list[tuple[int, str]] = []
    number = 0
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")[:_MAX_LINE]
        codes = _CODE.findall(text)
        for code in codes:
            coded.setdefault(code, ([], text))[0].append(number)
        cause = None if codes else find_line_cause(text)
        if cause is not None:
            known.setdefault(cause.name, (cause, [], text))[1].append(number)
        elif not codes and _TROUBLE.search(text) and not _FINE.search(text):
            unknown.append((number, text))
    return LogReading(
        number,
        tuple(KnownLines(cause, tuple(numbers), text) for cause, numbers, text in known.values()),
        tuple(CodedLines(code, tuple(numbers), text) for code, (numbers, text) in coded.items()),
        tuple(unknown),
    )
