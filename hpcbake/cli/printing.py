"""What `hpcbake print` does, once its words have been read."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcbake.errors import HpcbakeError, UsageError

if TYPE_CHECKING:
    from hpcbake.bakefile import BakeRequest
    from hpcbake.model.plan import PlanWarning

#: New objects between two searches for circular garbage. The default of a few hundred is for programs that run for
#: long; a plan is made, printed and gone, and searching took a tenth of the time.
_GARBAGE_THRESHOLD = 200_000
_MOST_WARNINGS = 50


def print_words(words: Mapping[str, Any]) -> None:
    """Print the plan, or the list, that the parameters of the verb ask for."""
    from hpcbake.bakefile import BakeRequest

    gc.set_threshold(_GARBAGE_THRESHOLD)
    list_ = words["list_"]
    if words["print_"] and list_ is not None:
        raise UsageError("--print and --list are mutually exclusive", remedy="leave one of them away")
    files, targets = _files_and_targets(words)
    request = BakeRequest(
        files=files,
        targets=targets,
        overrides=words["overrides"],
        variables=parse_variables(words["variables"]),
        push=words["push"],
        load=words["load"],
        no_cache=words["no_cache"],
        pull=words["pull"],
        sbom=words["sbom"],
        provenance=words["provenance"],
        call="check" if words["check"] else words["call"],
    )
    print_line(_plan_text(request) if list_ is None else _list_text(request, list_))


def _files_and_targets(words: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was asked for, else what the project says; reading YAML takes longer than a plan, so a look comes first."""
    try:
        is_said = b"bake" in Path("hpcbake.yaml").read_bytes()
    except OSError:
        is_said = False
    if not is_said and not {"HPCBAKE_BAKE_FILES", "HPCBAKE_BAKE_TARGETS"} & os.environ.keys():
        return words["files"], words["targets"]
    from hpcbake.cli.options import bake_words

    return bake_words(words["files"], words["targets"])


def print_line(text: str) -> None:
    """`text` to standard output as UTF-8, whatever the locale, and at once: a reader who went away is noticed here."""
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{text}\n".encode(errors="replace"))
    sys.stdout.buffer.flush()


def _plan_text(request: BakeRequest) -> str:
    from hpcbake.bakefile.render import render_plan
    from hpcbake.bakefile.resolve import plan_of, read_request

    folder = Path()
    read = read_request(
        request, folder=folder, environment=os.environ, stdin=sys.stdin.read, local_platform=local_platform()
    )
    try:
        plan = plan_of(read, request, folder=folder, environment=os.environ)
    except HpcbakeError:
        # A mistyped block may well be why a target is missing.
        _show_warnings([warning.as_plan_warning() for warning in read.warnings])
        raise
    _show_warnings(plan.warnings)
    return render_plan(plan)


def _show_warnings(warnings: Sequence[PlanWarning]) -> None:
    if warnings:
        from hpcbake.bakefile.source import printable

        for warning in warnings[:_MOST_WARNINGS]:
            place = f"{warning.path}:{warning.line}:{warning.column}: " if warning.path else ""
            print(printable(f"warning: {place}{warning.message} [{warning.code}]"), file=sys.stderr)  # noqa: T201
            if warning.help:
                print(printable(f"help: {warning.help}"), file=sys.stderr)  # noqa: T201
        if len(warnings) > _MOST_WARNINGS:
            print(f"… and {len(warnings) - _MOST_WARNINGS} more warnings", file=sys.stderr)  # noqa: T201


def _list_text(request: BakeRequest, text: str) -> str:
    from hpcbake.bakefile.listing import parse_list_request, render_targets, render_variables
    from hpcbake.bakefile.resolve import read_request

    asked = parse_list_request(text)
    read = read_request(
        request, folder=Path(), environment=os.environ, stdin=sys.stdin.read, local_platform=local_platform()
    )
    if asked.kind == "targets":
        return render_targets(read.model, asked.format)
    return render_variables(read.variables, asked.format)


def parse_variables(texts: tuple[str, ...]) -> Mapping[str, str]:
    """`NAME=VALUE` texts as a mapping, the last of a name winning. Raises UsageError for anything else."""
    variables: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if text and not (equals and name):
            raise UsageError(f"--var {text} is not NAME=VALUE", remedy="write for example --var TAG=1.2")
        if text:
            variables[name] = value
    return variables


def local_platform() -> str:
    """This machine's platform as BAKE_LOCAL_PLATFORM spells it."""
    if hasattr(os, "uname"):
        machine = os.uname().machine
    else:
        import platform

        machine = platform.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
    system = {"win32": "windows"}.get(sys.platform, sys.platform)
    return f"{system}/{names.get(machine.lower(), machine.lower())}"
