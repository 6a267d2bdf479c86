"""Text of unknown origin made fit to show: what a login node or a job printed must not steer a terminal or a page."""

from __future__ import annotations

import re

#: Control characters but tab and newline, C1 controls, marks that turn the direction of text, and halves of surrogate
#: pairs and two noncharacters, which no stream or no XML can hold.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""The text with every control character shown as an escape (`\x1b`)."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)
