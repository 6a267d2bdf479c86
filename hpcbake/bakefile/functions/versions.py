"""The home folder and version comparison."""

from __future__ import annotations

import re
from pathlib import Path

from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.types import STRING
from hpcbake.bakefile.values import Value

FUNCTIONS: Registry = {}


@register(FUNCTIONS, "homedir")
def _homedir() -> Value:
    try:
        return str(Path.home())
    except RuntimeError:
        raise FunctionError("this user has no home folder") from None


_CONSTRAINT = re.compile(r"\s*(=|!=|>|<|>=|=>|<=|=<|~|~>|\^|)\s*(v?[0-9xX*][^\s,|]*)\s*")


@register(FUNCTIONS, "semvercmp", Parameter("version", STRING), Parameter("constraint", STRING))
def _semvercmp(version: str, constraint: str) -> Value:
    from hpcbake.bakefile.semver import SemverError, satisfies

    try:
        return satisfies(version, constraint)
    except SemverError as error:
        raise FunctionError(str(error)) from None
