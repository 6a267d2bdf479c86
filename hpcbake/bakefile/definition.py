"""What bake files define before inheritance, overrides and groups are resolved.

This is the border between the two halves of the front end: the language half (`read_definitions`) evaluates
every expression and gives plain Python values; the resolution half merges them into a Plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.model.record import Record

#: A target's attribute, converted to the attribute's type. Lists of `str | dict` are the entries of cache-from,
#: cache-to, output, secret, ssh and attest, each in the form it was written in: a string, or an object of strings
#: (`paths` of ssh is a list of strings).
AttributeValue = None | str | bool | list[str] | dict[str, str | None] | list[str | dict[str, Any]]


class TargetDefinition(Record):
    """One target block after matrix expansion.

    `attributes` is keyed by the HCL names (`cache-from`, `inherits`, …) and holds only what is set: an attribute
    that is absent or null is not there. `spans` says where each of them was written, `span` where the block was.
    """

    name: str
    attributes: Mapping[str, AttributeValue]
    spans: Mapping[str, Span]
    span: Span


class GroupDefinition(Record):
    """One group block, or the group that a matrix makes of its expansions (`is_matrix`)."""

    name: str
    targets: tuple[str, ...]
    description: str
    span: Span
    is_matrix: bool = False


class VariableDefinition(Record):
    """One declared variable as `--list=variables` shows it.

    `type_name` is friendly (`list of string`); `value` is the string itself or JSON text of any other value,
    None for null.
    """

    name: str
    type_name: str
    value: str | None
    description: str


class Definitions(Record):
    """Everything that a set of HCL and JSON bake files defines, in file order."""

    targets: tuple[TargetDefinition, ...] = ()
    groups: tuple[GroupDefinition, ...] = ()
    variables: tuple[VariableDefinition, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def read_definitions(
    files: Sequence[SourceFile],
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str],
    command_context: str,
    local_platform: str,
) -> Definitions:
    """Evaluate HCL and HCL-JSON files as one body.

    `environment` overrides declared variables, `variables` (from `--var`) overrides the environment;
    `command_context` and `local_platform` become BAKE_CMD_CONTEXT and BAKE_LOCAL_PLATFORM.
    Raises BakeFileError with everything that is wrong.
    """
    from hpcbake.bakefile.program import evaluate_files

    return evaluate_files(
        files,
        environment=environment,
        variables=variables,
        command_context=command_context,
        local_platform=local_platform,
    )
