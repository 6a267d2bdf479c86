"""One known cause of trouble: the text that tells it, and what to do."""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """`name` is stable and unique; `pattern` is searched with MULTILINE; `kind` is one of the catalogue.

    `meaning` is part of a sentence: "cannot pull X: <meaning>".
    """

    name: str
    pattern: str
    kind: str
    meaning: str
    remedy: str
