"""Puts files into a folder: all of them or none, and never over one that is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hpcbake.errors import CantWriteError, UsageError
from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class Placed:
    """The files that were written, and where the old ones lie that were replaced."""

    written: tuple[str, ...]
    backups: tuple[str, ...] = ()


def place_files(folder: Path, files: Mapping[str, str], *, replace: Sequence[str] = ()) -> Placed:
    """Write all `files` (text by relative path) into `folder`, which is made if need be.

    Those in `replace` may be there: each is kept beside its successor. Raises UsageError for any other that is there,
    CantWriteError when a file cannot be written; nothing has changed then.
    """
    _refuse_present(folder, files, replace)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder, so that moving into it is a rename.
        staging = Path(tempfile.mkdtemp(prefix=".hpcbake-init-", dir=folder if folder.is_dir() else folder.parent))
        try:
            _write_all(staging, files)
            if not folder.exists():
                staging.chmod(0o777 & ~_umask())
                staging.rename(folder)
                return Placed(tuple(sorted(files)))
            return _move_in(staging, folder, sorted(files))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise CantWriteError(
            f"cannot write {error.filename or folder}: {error.strerror}; nothing was written",
            remedy="check the folder's owner, mode and free space",
            kind="state.cantwrite",
        ) from error


def _refuse_present(folder: Path, files: Mapping[str, str], replace: Sequence[str]) -> None:
    unknown = sorted(set(replace) - set(files))
    if unknown:
        raise UsageError(
            f"--force {unknown[0]}: no such file would be written", remedy=f"these would: {', '.join(sorted(files))}"
        )
    blocked = [name for name in sorted(files) if os.path.lexists(folder / name) and name not in replace]
    if blocked:
        forces = " ".join(f"--force {name}" for name in blocked)
        raise UsageError(
            f"{', '.join(blocked)} {'is' if len(blocked) == 1 else 'are'} there already; nothing was written",
            remedy=f"keep a bake file: --template existing; or replace, the old one is kept: {forces}",
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_all(staging: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _move_in(staging: Path, folder: Path, names: Sequence[str]) -> Placed:
    """Each file by a link, which is refused where somebody was faster. What was done is undone when one fails."""
    aside: list[tuple[Path, Path]] = []
    linked: list[Path] = []
    made: list[Path] = []
    try:
        for name in names:
            target = folder / name
            made += _make_parents(target, folder)
            aside += _set_aside(target)
            _give_name(staging / name, target)
            linked.append(target)
    except BaseException:
        for target in linked:
            target.unlink(missing_ok=True)
        for target, backup in reversed(aside):
            backup.rename(target)
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise
    return Placed(tuple(names), tuple(str(backup.relative_to(folder)) for _, backup in aside))


def _give_name(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with target.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))


def _make_parents(target: Path, folder: Path) -> list[Path]:
    """The folders that had to be made for `target`, the outermost first."""
    missing = [parent for parent in target.parents if parent.is_relative_to(folder) and not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
    return missing[::-1]


def _set_aside(target: Path) -> list[tuple[Path, Path]]:
    """Move what is there to the first free name `FILE.old-N`; nothing where nothing is."""
    if not os.path.lexists(target):
        return []
    number = 1
    while os.path.lexists(backup := target.with_name(f"{target.name}.old-{number}")):
        number += 1
    target.rename(backup)
    return [(target, backup)]
