"""Which files a bake run reads, in which order, and what language each of them is in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.places import CWD, is_remote_url
from hpcbake.bakefile.source import COMPOSE, HCL, JSON, SourceFile
from hpcbake.errors import UsageError
from hpcbake.model.record import Record

#: Without -f and BUILDX_BAKE_FILE all of these that exist are read and merged, in this order.
DEFAULT_NAMES: Final = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
)

#: A file beyond this size is not a bake file somebody wrote.
LARGEST_FILE_BYTES: Final = 16 * 2**20

Stdin = Callable[[], str]


class RawFile(Record):
    """The text of a file, and its name as it was given (`-` for standard input)."""

    name: str
    text: str


def read_files(
    names: Iterable[str], *, folder: Path, environment: Mapping[str, str], stdin: Stdin | None = None
) -> list[RawFile]:
    """The files to read for `-f` names (none means the defaults), zero-byte files left out.

    Raises BakeFileError when a file is missing, unreadable, too large or not UTF-8, or when there is none at all.
    """
    asked = [name.removeprefix(CWD) for name in names]
    if asked:
        found = [_read(name, folder, stdin) for name in asked]
    else:
        found = _read_unasked(folder, environment, stdin)
    files = [file for file in found if file is not None]
    if not files:
        raise BakeFileError(
            Diagnostic(
                codes.NO_FILE,
                f"there is no bake file in {_shown(folder)}"
                if not asked
                else f"nothing is written in {', '.join(asked)}",
                help="create docker-bake.hcl there, or name a file with -f",
                detail="couldn't find a bake definition",
            )
        )
    return files


def _shown(folder: Path) -> str:
    return "the current folder" if folder == Path() else str(folder)


def _read_unasked(folder: Path, environment: Mapping[str, str], stdin: Stdin | None) -> list[RawFile | None]:
    from_environment = names_from_environment(environment)
    if from_environment:
        return [_read(name, folder, stdin, because=" (from BUILDX_BAKE_FILE)") for name in from_environment]
    return [_read(name, folder, stdin) for name in DEFAULT_NAMES if _exists(folder / name)]


def names_from_environment(environment: Mapping[str, str]) -> list[str]:
    """The files that BUILDX_BAKE_FILE lists, separated by BUILDX_BAKE_PATH_SEPARATOR or as PATH is; blanks dropped."""
    separator = environment.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep
    names = environment.get("BUILDX_BAKE_FILE", "").split(separator)
    return [name.strip() for name in names if name.strip()]


def _exists(path: Path) -> bool:
    """Whether buildx would try to read `path`: anything but "no such file" counts."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _read(name: str, folder: Path, stdin: Stdin | None, because: str = "") -> RawFile | None:
    if name == "-":
        if stdin is None:
            raise UsageError("-f - reads standard input, and there is none here", remedy="name a file with -f")
        return RawFile(name, _checked(name, stdin()))
    if is_remote_url(name):
        raise UsageError(
            f"{name} is a remote bake definition, which hpcbake does not fetch",
            remedy="clone the repository and name the file with -f",
        )
    try:
        with (folder / name).open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise BakeFileError(
            Diagnostic(
                codes.UNREADABLE_FILE,
                f"{name}{because} cannot be read: {reason}",
                help="check the path; relative ones start at the current folder",
                detail=f"open {name}: {reason.lower()}",
            )
        ) from error
    if len(content) > LARGEST_FILE_BYTES:
        raise _too_large(name)
    return RawFile(name, _decode(name, content)) if content else None


def _decode(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(name, content.count(b"\n", 0, error.start) + 1, content[error.start]) from error


def _checked(name: str, text: str) -> str:
    """Standard input hides bytes that are no UTF-8 in lone surrogates: they are found here."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise _not_utf8(name, line, ord(text[error.start]) & 0xFF) from error
    if len(text) > LARGEST_FILE_BYTES:
        raise _too_large(name)
    return text


def _not_utf8(name: str, line: int, byte: int) -> BakeFileError:
    return BakeFileError(
        Diagnostic(
            codes.FILE_ENCODING,
            f"{name}:{line}: byte {byte:#04x} is not UTF-8",
            help="save the file as UTF-8",
            detail="Invalid character encoding",
        )
    )


def _too_large(name: str) -> BakeFileError:
    return BakeFileError(
        Diagnostic(
            codes.LARGE_FILE,
            f"{name} is larger than {LARGEST_FILE_BYTES // 2**20} MiB, the most that hpcbake reads",
            help="keep data out of the bake file; pass it to the build with a context or an argument",
        )
    )


def classify(file: RawFile, *, is_compose: Callable[[str], bool]) -> SourceFile:
    """`file` with its language: by its name, else by what can be made of its content.

    `is_compose` tells whether a text is a valid compose file; it is asked only when the name says nothing.
    """
    name = file.name.lower()
    if name.endswith((".yml", ".yaml")):
        return SourceFile(file.name, file.text, COMPOSE)
    if file.name.endswith(".json"):
        return SourceFile(file.name, file.text, JSON)
    if file.name.endswith(".hcl"):
        return SourceFile(file.name, file.text, HCL)
    if is_compose(file.text):
        return SourceFile(file.name, file.text, COMPOSE)
    # No HCL body starts with a brace and every JSON bake file does.
    looks_like_json = file.text.lstrip("\ufeff \t\r\n").startswith("{")
    return SourceFile(file.name, file.text, JSON if looks_like_json else HCL)
