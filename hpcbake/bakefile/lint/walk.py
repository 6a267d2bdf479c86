"""The walks over targets and stages that several rules share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import Instruction, Stage
from hpcbake.bakefile.lint.case import LintCase, TargetCase, find_reference
from hpcbake.model.reference import ImageReference


def base_images(case: LintCase) -> Iterator[tuple[TargetCase, Stage, ImageReference]]:
    """Every stage that a target needs and that starts from an image, with that image."""
    for target in case.targets:
        for stage in target.used_stages:
            if target.parent_of(stage) is None:
                reference = find_reference(target.image_named(target.base_of(stage)))
                if reference is not None:
                    yield target, stage, reference


def final_instructions(case: LintCase) -> Iterator[tuple[TargetCase, Stage, Instruction]]:
    """Every instruction whose effect is in a target's image, that of the last stage first."""
    for target in case.targets:
        for stage in target.final_chain:
            for instruction in stage.instructions:
                yield target, stage, instruction


def used_instructions(case: LintCase) -> Iterator[tuple[TargetCase, Stage, Instruction]]:
    """Every instruction of every stage that a target needs."""
    for target in case.targets:
        for stage in target.used_stages:
            for instruction in stage.instructions:
                yield target, stage, instruction


def commands_of(script: str) -> Iterator[list[str]]:
    """The simple commands of a shell script as words: cut at line ends, `;`, `&` and `|`, quotes removed."""
    for command in re.split(r"[\n;&|]+", script):
        words = [word.strip("\"'()") for word in command.split()]
        if words:
            yield words


def digest_of(case: LintCase, reference: ImageReference) -> str | None:
    """The digest that the catalogue has for `reference`, asked for once."""
    key = str(reference)
    if key not in case.known_digests:
        assert case.catalogue is not None
        case.known_digests[key] = case.catalogue.find_digest(reference)
    return case.known_digests[key]
