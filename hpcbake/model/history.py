"""Runs over time: what the history of runs keeps of each, long after its report is gone."""

from __future__ import annotations

from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class PastFigure:
    """One figure of one passed smoke job."""

    image: str
    site: str
    test: str
    job: str
    name: str
    unit: str
    value: float


@dataclass(frozen=True)
class PastCell:
    """How one image ended at one site. `stage`, `kind` and `message` are empty where it ended well."""

    image: str
    site: str
    outcome: str
    changed: bool
    digest: str = ""
    stage: str = ""
    kind: str = ""
    message: str = ""


@dataclass(frozen=True)
class PastReport:
    """One run that came to its end; times are UTC texts."""

    id: str
    project: str
    command: str
    host: str
    user: str
    started: str
    ended: str
    duration_s: float
    code: int
    cells: tuple[PastCell, ...] = ()
    figures: tuple[PastFigure, ...] = ()
