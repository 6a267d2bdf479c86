"""Versions compared as numbers: 2.9 comes before 2.34, and 2.40 is not 2.4."""

from __future__ import annotations

import re

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass

# A part of more digits than any version has is no number that Python would read.
_VERSION = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*(?![0-9])")


@dataclass(frozen=True, order=True)
class Version:
    """A dotted version number. Ordering is numeric, part by part; `str()` gives the text it was read from."""

    parts: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.parts))


def parse_version(text: str) -> Version:
    """Read `2.34` or `4.18.0`. Raises ConfigError for anything else."""
    if not _VERSION.fullmatch(text):
        raise ConfigError(
            f"{text!r} is not a version number",
            remedy="write digits and dots, quoted in YAML: '2.28'",
            kind="config.version",
        )
    return Version(tuple(int(part) for part in text.split(".")))


def find_leading_version(text: str) -> Version | None:
    """The version number that `text` starts with (`4.18.0-553.el8` → 4.18.0), or None."""
    match = _VERSION.match(text)
    return parse_version(match.group()) if match else None


def symbol_version_key(name: str) -> tuple[str, tuple[int, ...], str]:
    """Sorts the version names of symbols: GLIBC_2.4 before GLIBC_2.34, each family by itself."""
    family, _, number = name.partition("_")
    version = find_leading_version(number)
    return family, version.parts if version else (), number
