"""Python extensions for another Python than the one in the image."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.check.case import Case
from hpcbake.check.roles import PythonModule, find_python_module, find_python_of_library, find_python_version
from hpcbake.check.rule import Cause, Causes, Rule
from hpcbake.model.verdict import Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    """Extensions whose `cpython-3NN` no Python of the image (or of their own folder) can load."""
    pythons = _pythons(case)
    modules = _modules(case)
    loadable = {
        (module.folder, module.module)
        for _, module in modules
        if module.version is None or _is_loadable(module, module.version, pythons)
    }
    causes = Causes()
    for path, module in modules:
        if module.version is None or (module.folder, module.module) in loadable:
            continue
        node = case.image.tree.find_file(path)
        severity = Severity.ERROR if pythons else Severity.WARNING
        origin = case.origin(node[1]) if node else ""
        cause = causes.cause(severity, origin, module.version, module.folder_version)
        cause.add(path, None, wanted=_text(module.version), reader=_text(module.folder_version))
    for cause in causes:
        yield _finding(cause, sorted(pythons))


def _pythons(case: Case) -> set[tuple[int, int]]:
    """Every version of which the image has an interpreter or the library that programs embed."""
    found = [find_python_version(subject.path) for subject in case.cast.programs]
    found += [find_python_of_library(subject.elf.soname) for subject in case.cast.libraries]
    return {version for version in found if version}


def _modules(case: Case) -> list[tuple[str, PythonModule]]:
    found = []
    for subject in case.cast.libraries:
        module = find_python_module(subject.path)
        # Files for another machine or another libc are the matter of other rules.
        if (
            module
            and case.runs_here(subject.elf)
            and "musl" not in module.platform
            and not case.is_private(subject.path)
        ):
            found.append((subject.path, module))
    return found


def _is_loadable(module: PythonModule, version: tuple[int, int], pythons: set[tuple[int, int]]) -> bool:
    if module.folder_version is not None and version != module.folder_version:
        return False
    return version in pythons


def _finding(cause: Cause, pythons: list[tuple[int, int]]) -> Finding:
    wanted, reader = next(iter(cause.details["wanted"])), next(iter(cause.details["reader"]))
    if not pythons:
        state = "but the image has no python"
    elif reader and reader != wanted:
        state = f"but lie in a folder that only Python {reader} reads"
    else:
        state = f"but the image has Python {', '.join(map(_text, pythons))}"
    count = len(cause.paths) > 1
    return Finding(
        rule=RULE.id,
        severity=cause.severity,
        subject=cause.best,
        message=f"{cause.best}{cause.others} {'are' if count else 'is'} for Python {wanted}, "
        f"{state if count else state.replace('lie', 'lies')}",
        remedy=f"use Python {wanted} in the final stage, or install the packages in a stage with the final image's "
        "Python",
        origin=cause.origin,
        paths=cause.sorted_paths(),
        evidence={"wanted": wanted, "pythons": [_text(version) for version in pythons]},
    )


def _text(version: tuple[int, int] | None) -> str:
    return f"{version[0]}.{version[1]}" if version else ""


RULE = Rule(
    "python-abi",
    "Python extensions for another Python version",
    "A compiled extension fits one minor version of Python only. site-packages copied from a python:3.11 stage are "
    "of no "
    "use to a python3.9: ModuleNotFoundError for a module that is there.",
    find,
)
