"""What all bake files together define, before anything is selected: targets in normal form, and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.attributes import Attributes, normal_attribute
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.definition import GroupDefinition, TargetDefinition
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.merge import merge
from hpcbake.bakefile.source import Span
from hpcbake.model.record import Record


class MergedTarget(Record):
    """One target after all its blocks in all files were merged; not inherited yet."""

    name: str
    attributes: Attributes
    spans: Mapping[str, Span]
    span: Span

    def span_of(self, attribute: str) -> Span:
        """Where `attribute` was last written, or where the target was."""
        return self.spans.get(attribute, self.span)


class BakeModel(Record):
    """Targets and groups by name. `all_groups` also holds the ones that a group of the same name hides."""

    targets: Mapping[str, MergedTarget] = MappingProxyType({})
    groups: Mapping[str, GroupDefinition] = MappingProxyType({})
    all_groups: tuple[GroupDefinition, ...] = ()


def build_model(definitions: Iterable[TargetDefinition], groups: Iterable[GroupDefinition]) -> BakeModel:
    """Merge target blocks of one name, and let later groups replace earlier ones.

    A group that a matrix made never hides one that was written. Raises BakeFileError for entries that cannot be read.
    """
    problems: list[Diagnostic] = []
    targets: dict[str, MergedTarget] = {}
    for definition in definitions:
        new = _normal_target(definition, problems)
        old = targets.get(new.name)
        targets[new.name] = _merge_targets(old, new) if old else new
    if problems:
        raise BakeFileError(problems)
    ordered = _groups_in_order(groups)
    by_name: dict[str, GroupDefinition] = {}
    for group in ordered:
        by_name.setdefault(group.name, group)
    return BakeModel(targets, by_name, tuple(ordered))


def _groups_in_order(groups: Iterable[GroupDefinition]) -> list[GroupDefinition]:
    written: dict[str, GroupDefinition] = {}
    made: list[GroupDefinition] = []
    for group in groups:
        if group.is_matrix:
            made.append(group)
        else:
            written[group.name] = group
    return [*written.values(), *made]


def _normal_target(definition: TargetDefinition, problems: list[Diagnostic]) -> MergedTarget:
    attributes: Attributes = {}
    for name, value in definition.attributes.items():
        if value is None:
            continue
        try:
            attributes[name] = normal_attribute(name, value)
        except MalformedValueError as malformed:
            problems.append(
                Diagnostic(
                    codes.ENTRY,
                    f"{name} of target {definition.name}: {malformed.message}",
                    definition.spans.get(name, definition.span),
                    malformed.help,
                    detail=malformed.detail,
                )
            )
    return MergedTarget(definition.name, attributes, definition.spans, definition.span)


def _merge_targets(old: MergedTarget, new: MergedTarget) -> MergedTarget:
    return MergedTarget(old.name, merge(old.attributes, new.attributes), {**old.spans, **new.spans}, new.span)
