"""The catalogue of errors: every kind of failure by a code that never changes, with what it means and what to do.

`HB-<AREA>-<NNN>`: numbers are given once. A kind that goes away leaves its number unused (RETIRED), so that a code in
an old log never comes to mean something else. The codes HB-BAKE are those of `hpcbake.bakefile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from hpcbake import errors
from hpcbake.catalogue.build import BUILD
from hpcbake.catalogue.check import CHECK
from hpcbake.catalogue.conf import CONF
from hpcbake.catalogue.entry import Entry
from hpcbake.catalogue.pull import PULL
from hpcbake.catalogue.registry import REG
from hpcbake.catalogue.run import LAB, RUN
from hpcbake.catalogue.slurm import SLURM, SMOKE
from hpcbake.catalogue.ssh import SSH
from hpcbake.catalogue.store import SITE, STORE
from hpcbake.errors import HpcbakeError

__all__ = ["AREAS", "ENTRIES", "RETIRED", "Entry", "error_code", "failure_class", "find_entry", "with_code"]

#: area → what its errors are about, in the order of the reference page.
AREAS: Mapping[str, str] = {
    "CONF": "Your files, your command line, and what this machine must have",
    "BUILD": "Building",
    "REG": "Registries, as this machine sees them",
    "CHECK": "Images, and whether they fit",
    "SSH": "The way to the login nodes",
    "PULL": "How a SIF comes to a site",
    "SITE": "What a site lacks",
    "STORE": "The store of a site, and who works on it",
    "SLURM": "Slurm",
    "SMOKE": "Smoke tests",
    "RUN": "The run itself, and this machine",
    "LAB": "The lab",
}

ENTRIES: tuple[Entry, ...] = (
    *CONF, *BUILD, *REG, *CHECK, *SSH, *PULL, *SITE, *STORE, *SLURM, *SMOKE, *RUN, *LAB,
)  # fmt: skip

#: Codes that were given once and mean nothing any more.
RETIRED: frozenset[str] = frozenset()


@cache
def _codes() -> Mapping[str, str]:
    return {entry.kind: entry.code for entry in ENTRIES}


def error_code(kind: str) -> str:
    """The code of this kind; an empty text for one that the catalogue does not know (a report of a newer version)."""
    return _codes().get(kind, "")


def with_code(message: str, kind: str) -> str:
    """The message with its code behind the first line: `no site 'adler' [HB-CONF-002]`.

    What is wrong in a bake file has finer codes of its own, which the message shows.
    """
    code = error_code(kind)
    first, line_end, rest = message.partition("\n")
    return message if not code or "[HB-" in message else f"{first} [{code}]{line_end}{rest}"


def failure_class(kind: str) -> type[HpcbakeError]:
    """The exception that a failure of this kind is: the one of its exit code."""
    exits = next(entry.exits for entry in ENTRIES if entry.kind == kind)
    return next(
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, HpcbakeError) and value.exit_code is exits[0]
    )


def find_entry(word: str) -> Entry | None:
    """The entry of a code or a kind, in any case."""
    wanted = word.strip().lower()
    return next((entry for entry in ENTRIES if wanted in (entry.code.lower(), entry.kind)), None)
