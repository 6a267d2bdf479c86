"""Text of unknown origin made fit for a terminal: what a login node or a job printed must not steer it."""

from __future__ import annotations

import re

#: Control characters but tab and newline, C1 controls, and halves of surrogate pairs, which no stream can encode.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text with every control character shown as an escape (`\x1b`)."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)
