"""The bake files of a project: everything wrong in any of their targets, and the targets they define."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hpcbake.bakefile import BakeRequest
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.lookup import LARGEST_FILE_BYTES
from hpcbake.bakefile.resolve import ReadFiles, plan_of, read_request
from hpcbake.errors import HpcbakeError
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import Severity
from hpcbake.validation.problem import Problem, problem_of_diagnostic
from hpcbake.validation.single import decode

#: Beyond so many targets each one is not resolved alone to find what is wrong with it.
_MOST_ALONE = 200


@dataclass(frozen=True)
class BakeLook:
    """What the bake files define; None where that could not be found out."""

    targets: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


def look_at_bake_files(
    names: Sequence[str], folder: Path, environment: Mapping[str, str], local_platform: str
) -> BakeLook:
    """Read and resolve every target of these files of `folder`."""
    if not names:
        return BakeLook()
    request = BakeRequest(files=tuple(names))
    shown = str(folder / names[0])
    unreadable = tuple(filter(None, (_wrong_bytes(folder / name) for name in names)))
    if unreadable:
        return BakeLook(problems=unreadable)
    try:
        read = read_request(request, folder=folder, environment=environment, local_platform=local_platform)
    except BakeFileError as error:
        return BakeLook(problems=_of_diagnostics(error.diagnostics, folder, shown))
    except HpcbakeError as error:
        return BakeLook(problems=(Problem(shown, 1, 1, error.message, error.remedy),))
    wrong, warnings = _resolve_all(read, request, folder, environment)
    problems = (
        *_of_diagnostics(tuple(wrong), folder, shown),
        *_of_diagnostics(warnings, folder, shown, Severity.WARNING),
    )
    return BakeLook(frozenset(read.model.targets), frozenset(read.model.groups), problems)


def _wrong_bytes(path: Path) -> Problem | None:
    """What is no text. Whatever else keeps a file from being read, the bake reader tells."""
    try:
        with path.open("rb") as stream:
            decoded = decode(str(path), stream.read(LARGEST_FILE_BYTES))
    except (OSError, ValueError):
        return None
    return decoded if isinstance(decoded, Problem) else None


def _resolve_all(
    read: ReadFiles, request: BakeRequest, folder: Path, environment: Mapping[str, str]
) -> tuple[dict[Diagnostic, None], Sequence[Diagnostic]]:
    """What is wrong when every target and group is asked for, each mistake once; and what the reader warns of."""
    names = [*read.model.groups, *read.model.targets]
    wrong: dict[Diagnostic, None] = {}
    try:
        if names:
            plan_of(read, _asking_for(request, names), folder=folder, environment=environment)
    except BakeFileError as error:
        wrong.update(dict.fromkeys(error.diagnostics))
        for name in names[:_MOST_ALONE]:
            try:
                plan_of(read, _asking_for(request, [name]), folder=folder, environment=environment)
            except BakeFileError as more:
                wrong.update(dict.fromkeys(more.diagnostics))
    return wrong, read.warnings


def _asking_for(request: BakeRequest, targets: Sequence[str]) -> BakeRequest:
    return BakeRequest(files=request.files, targets=tuple(targets))


def _of_diagnostics(
    found: Sequence[Diagnostic], folder: Path, path: str, severity: Severity = Severity.ERROR
) -> tuple[Problem, ...]:
    problems = [problem_of_diagnostic(item, path, severity) for item in found]
    return tuple(
        problem if problem.path == path else replace(problem, path=str(folder / problem.path)) for problem in problems
    )
