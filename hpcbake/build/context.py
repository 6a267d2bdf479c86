"""The files of a local build context, each by its content: what BuildKit would be sent, and nothing else."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hpcbake.build.dockerignore import Ignores, parse_ignores
from hpcbake.errors import ConfigError

_CHUNK_BYTES = 1024 * 1024
#: Of contexts with more files than this only one sum is kept, so that no record grows without bound.
MOST_FILES_BY_NAME = 20_000


def read_ignores(folder: Path, dockerfile: Path | None = None) -> Ignores:
    """The ignore file of a context: the Dockerfile's own (`<Dockerfile>.dockerignore`) where there is one."""
    own = [dockerfile.with_name(f"{dockerfile.name}.dockerignore")] if dockerfile else []
    for path in (*own, folder / ".dockerignore"):
        try:
            return parse_ignores(path.read_text(encoding="utf-8", errors="replace"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _unreadable(path, error) from error
    return Ignores()


def sum_up_context(folder: Path, ignores: Ignores) -> dict[str, str]:
    """Path → kind, mode and content of everything in the context, as short texts; times and owners do not count.

    Raises ConfigError for what cannot be read: the build could not either.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"build context {folder}: no such folder", remedy="mend `context` in the bake file", kind="config.missing"
        )
    entries = ((path, _entry(folder / path)) for path in sorted(_paths(folder, "", ignores)))
    found = {path: entry for path, entry in entries if entry}
    if len(found) <= MOST_FILES_BY_NAME:
        return found
    whole = hashlib.sha256()
    for path, entry in found.items():
        whole.update(f"{path}\0{entry}\0".encode("utf-8", "surrogateescape"))
    return {f"({len(found)} files)": whole.hexdigest()[:32]}


def _paths(folder: Path, below: str, ignores: Ignores) -> Iterator[str]:
    """Files, links and folders that go along; a folder that a link names is not entered."""
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(folder / below, error) from error
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if not ignores.excludes(path):
            yield path
        if entry.is_dir(follow_symlinks=False) and not ignores.excludes_all_below(path):
            yield from _paths(folder, path, ignores)


def _entry(path: Path) -> str:
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return f"link {path.readlink()}"
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            return f"folder {mode:o}"
        if stat.S_ISREG(found.st_mode):
            return f"{mode:o} {_sum_up(path)}"
    except FileNotFoundError:  # gone since the folder was listed
        return ""
    except OSError as error:
        raise _unreadable(path, error) from error
    return f"other {stat.S_IFMT(found.st_mode):o}"


def _sum_up(path: Path) -> str:
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
    return checksum.hexdigest()[:32]


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"build context: {path} cannot be read: {error.strerror}",
        remedy="mend its permissions, or leave it out in .dockerignore",
        kind="config.unreadable",
    )
