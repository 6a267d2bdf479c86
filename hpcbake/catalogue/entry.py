"""One entry of the catalogue of errors: a code that never changes its meaning, and what a person needs to know."""

from __future__ import annotations

from typing import NamedTuple

from hpcbake.errors import ExitCode


class Entry(NamedTuple):
    """`looks` is a message as it is printed; `remedy` is what to do about it, in the order in which to try."""

    code: str
    kind: str
    exits: tuple[ExitCode, ...]
    means: str
    looks: str
    remedy: str

    @property
    def anchor(self) -> str:
        """The name of its place in docs/reference/errors.md."""
        return self.code.lower()
