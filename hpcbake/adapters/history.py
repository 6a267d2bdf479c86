"""The history of runs in SQLite: small, bounded, written by every run, read by reports.

Nothing rests on it that could not be made again: a damaged file is set aside and filled from the kept reports. Several
processes may write at once (WAL, and patience with each other's locks).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hpcbake.errors import CantWriteError, HpcbakeError, StateError
from hpcbake.model.history import PastCell, PastFigure, PastReport
from hpcbake.model.late import dataclass

#: The schema below. A file with a higher number was written by a later hpcbake and is left alone.
VERSION = 1


@dataclass(frozen=True)
class Bounds:
    """How much is kept: about five years of nights, and cells and figures of about 60 MB."""

    runs: int = 2_000
    cells: int = 200_000
    figures: int = 400_000


_PATIENCE_S = 15.0

_SCHEMA = """
CREATE TABLE runs (
  id TEXT PRIMARY KEY, project TEXT NOT NULL, command TEXT NOT NULL, host TEXT NOT NULL, user TEXT NOT NULL,
  started TEXT NOT NULL, ended TEXT NOT NULL, duration_s REAL NOT NULL, code INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_of_project ON runs (project, started);
CREATE TABLE cells (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, image TEXT NOT NULL, site TEXT NOT NULL,
  outcome TEXT NOT NULL, changed INTEGER NOT NULL, digest TEXT NOT NULL, stage TEXT NOT NULL, kind TEXT NOT NULL,
  message TEXT NOT NULL, PRIMARY KEY (run, image, site)
) WITHOUT ROWID;
CREATE TABLE figures (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, image TEXT NOT NULL, site TEXT NOT NULL,
  test TEXT NOT NULL, job TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (run, image, site, test, job, name)
) WITHOUT ROWID;
"""


class RunHistory:
    """The file, opened. Use as a context: `with RunHistory(path) as history`."""

    def __init__(self, path: Path, bounds: Bounds | None = None) -> None:
        """Raises CantWriteError when there can be no such file, StateError when a later hpcbake has written it."""
        self._path = path
        self.bounds = bounds or Bounds()
        #: Was the file there and could not be read? Then it has been set aside and an empty one begun.
        self.was_damaged = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise self._trouble(error) from error
            self.was_damaged = True
            self._set_aside()
            try:
                self._database = self._open()
            except (sqlite3.Error, OSError) as again:
                raise self._trouble(again) from again
        except OSError as error:
            raise self._trouble(error) from error

    def __enter__(self) -> RunHistory:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    # ---- writing ----

    def add(self, reports: Sequence[PastReport]) -> None:
        """Keep these runs; one that is known already is replaced. The oldest go where there are too many."""
        with self._trouble_told(), self._writing():
            for report in reports:
                self._add(report)
            self._prune()

    def _add(self, report: PastReport) -> None:
        run = self._database.execute
        run("DELETE FROM runs WHERE id = ?", (_clean(report.id),))
        values = (
            *(report.id, report.project, report.command, report.host, report.user, report.started, report.ended),
            *(report.duration_s, report.code),
        )
        run(f"INSERT INTO runs VALUES ({_marks(values)})", tuple(map(_clean, values)))  # noqa: S608  (marks only)
        for cell in report.cells:
            row = (
                *(report.id, cell.image, cell.site, cell.outcome, int(cell.changed), cell.digest),
                *(cell.stage, cell.kind, cell.message[:500]),
            )
            run(f"INSERT OR REPLACE INTO cells VALUES ({_marks(row)})", tuple(map(_clean, row)))  # noqa: S608
        for figure in report.figures:
            line = (
                *(report.id, figure.image, figure.site, figure.test, figure.job, figure.name, figure.unit),
                figure.value,
            )
            run(f"INSERT OR REPLACE INTO figures VALUES ({_marks(line)})", tuple(map(_clean, line)))  # noqa: S608

    def _prune(self) -> None:
        """Remove the oldest runs until every bound holds."""
        run = self._database.execute
        run(
            "DELETE FROM runs WHERE id IN (SELECT id FROM runs ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?)",
            (self.bounds.runs,),
        )
        for count, bound in (
            ("SELECT count(*) FROM cells", self.bounds.cells),
            ("SELECT count(*) FROM figures", self.bounds.figures),
        ):
            while run(count).fetchone()[0] > bound:
                run("DELETE FROM runs WHERE id IN (SELECT id FROM runs ORDER BY started, id LIMIT 20)")

    # ---- reading ----

    def known(self) -> frozenset[str]:
        """The ids of all runs that are kept."""
        with self._trouble_told():
            return frozenset(row[0] for row in self._database.execute("SELECT id FROM runs"))

    def reports(self, project: str | None, *, last: int, image: str = "") -> list[PastReport]:
        """The newest runs of this project, or of all, with their cells and without figures; of one image, if named."""
        with self._trouble_told():
            rows = self._database.execute(
                "SELECT id, project, command, host, user, started, ended, duration_s, code FROM runs "
                "WHERE (?1 IS NULL OR project = ?1) AND (?2 = '' OR id IN (SELECT run FROM cells WHERE image = ?2)) "
                "ORDER BY started DESC, id DESC LIMIT ?3",
                (_clean(project), _clean(image), last),
            ).fetchall()
            return [replace(PastReport(*row), cells=self._cells(row[0], image)) for row in rows]

    def _cells(self, run: str, image: str) -> tuple[PastCell, ...]:
        rows = self._database.execute(
            "SELECT image, site, outcome, changed, digest, stage, kind, message FROM cells "
            "WHERE run = ?1 AND (?2 = '' OR image = ?2) ORDER BY image, site",
            (_clean(run), _clean(image)),
        )
        return tuple(PastCell(row[0], row[1], row[2], bool(row[3]), *row[4:]) for row in rows)

    def figures(self, project: str | None) -> list[PastFigure]:
        """Figures of the project's runs, oldest first. A job counts once, however many runs remember it."""
        with self._trouble_told():
            rows = self._database.execute(
                "SELECT image, site, test, job, name, unit, value, min(started) AS first FROM figures "
                "JOIN runs ON runs.id = figures.run WHERE ?1 IS NULL OR project = ?1 "
                "GROUP BY image, site, test, job, name ORDER BY first, job",
                (_clean(project),),
            )
            return [PastFigure(*row[:7]) for row in rows]

    # ---- the file ----

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)
        try:
            _set_wal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA foreign_keys = ON")
            self._database = database
            with self._writing():
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version = {VERSION}")
            if version > VERSION:
                raise StateError(
                    f"{self._path}: the history of runs was written by a later hpcbake",
                    remedy="use that one, or move the file away: it is made anew from the kept reports",
                    kind="state.newer",
                )
            # A file may be damaged where nobody has looked yet.
            (health,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                raise sqlite3.DatabaseError("malformed")
        except BaseException:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _set_aside(self) -> None:
        """Move the damaged file out of the way; the one that was moved before is gone then."""
        for ending in ("-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._path, f"{self._path}.damaged")  # noqa: PTH105  (as the names are made)

    @contextlib.contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> HpcbakeError:
        words = error.strerror if isinstance(error, OSError) else str(error)
        return CantWriteError(
            f"{self._path}: the history of runs cannot be used: {words}",
            remedy="make room or mend the permissions; reports are kept without it",
        )


def _set_wal(database: sqlite3.Connection) -> None:
    """Readers and one writer at a time do not wait for each other. Who changes the mode first does it for all."""
    deadline = time.monotonic() + _PATIENCE_S
    while database.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return  # a file system that cannot keeps the mode it has
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Is the file itself at fault? A lock, a full disk or a missing permission is not."""
    return "malformed" in str(error) or "not a database" in str(error) or "no such table" in str(error)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _clean(value: object) -> object:
    """Text that SQLite takes: what was no UTF-8 is spelled out."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
