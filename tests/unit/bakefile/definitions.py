"""Definitions made by hand, for tests of what happens after a bake file was read."""

from __future__ import annotations

from hpcbake.bakefile.definition import AttributeValue, GroupDefinition, TargetDefinition
from hpcbake.bakefile.model import BakeModel, build_model
from hpcbake.bakefile.source import SourceFile, Span

SOURCE = SourceFile("docker-bake.hcl", 'target "app" {\n  inherits = ["base"]\n}\n')
SPAN = Span(SOURCE, 0, 12)


def target(name: str, **attributes: AttributeValue) -> TargetDefinition:
    """A target block; `_` in an attribute's name stands for `-`."""
    named = {key.replace("_", "-"): value for key, value in attributes.items()}
    return TargetDefinition(name, named, dict.fromkeys(named, SPAN), SPAN)


def group(name: str, *targets: str, description: str = "", is_matrix: bool = False) -> GroupDefinition:
    """A group block."""
    return GroupDefinition(name, targets, description, SPAN, is_matrix)


def model(*definitions: TargetDefinition | GroupDefinition) -> BakeModel:
    """The model of these blocks, in this order."""
    return build_model(
        [d for d in definitions if isinstance(d, TargetDefinition)],
        [d for d in definitions if isinstance(d, GroupDefinition)],
    )
