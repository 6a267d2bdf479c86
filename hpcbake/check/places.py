"""From a layer's history line back to the line of the Dockerfile that made it.

BuildKit's history leaves out what a developer needs most: the stage that a COPY took its files from, and the line.
Both stand in the Dockerfile, when there is one at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hpcbake.bakefile.dockerfile import Dockerfile, Instruction, Stage
from hpcbake.image.scan import ScannedImage

_MAKES_LAYERS = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})
_VARIABLE = re.compile(r"\\\$(?:\\\{[^}]*\\\}|[A-Za-z_][A-Za-z0-9_]*)")
_BUILD_ARGS = re.compile(r"\|\d+ (?:\S+=\S* )*")
_SHELL = re.compile(r"/bin/(?:ba)?sh (?:-\S+ )*-\S*c ")


def with_places(image: ScannedImage, dockerfile: Dockerfile, target: str | None = None) -> ScannedImage:
    """The image with each layer's instruction as it stands in the Dockerfile, where it can be told.

    `target` is the stage that was built (default: the last). Layers of the base image keep their history line.
    """
    instructions = list(_instructions(dockerfile, target))
    layers = list(image.layers)
    # From the end: the base image's layers come first and match nothing in this file.
    for position in range(len(layers) - 1, -1, -1):
        layer = layers[position]
        if not layer.instruction:
            break
        found = _last_match(instructions, layer.instruction)
        if found is None:
            continue
        instruction = instructions[found]
        del instructions[found:]
        line = dockerfile.source.line_number(instruction.span.start)
        layers[position] = replace(layer, instruction=f"{_written(instruction)} ({dockerfile.source.name}:{line})")
    return replace(image, layers=tuple(layers))


def _instructions(dockerfile: Dockerfile, target: str | None) -> Iterator[Instruction]:
    """What made the layers of the target stage: its own instructions after those of the stages it starts from."""
    stage = dockerfile.find_stage(target) if target else (dockerfile.stages[-1] if dockerfile.stages else None)
    chain: list[Stage] = []
    while stage is not None and stage not in chain:
        chain.insert(0, stage)
        stage = dockerfile.find_stage(stage.base, stage.index)
    for one in chain:
        yield from (instruction for instruction in one.instructions if instruction.name in _MAKES_LAYERS)


def _last_match(instructions: Sequence[Instruction], history: str) -> int | None:
    for index in range(len(instructions) - 1, -1, -1):
        if _is_same(instructions[index], history):
            return index
    return None


def _is_same(instruction: Instruction, history: str) -> bool:
    """Whether a history line may come from this instruction; variables may stand for anything."""
    name, _, text = history.partition(" ")
    if name != instruction.name:
        return False
    text = _SHELL.sub("", _BUILD_ARGS.sub("", text, count=1), count=1) if name == "RUN" else _without_flags(text)
    written = instruction.text if name == "RUN" else " ".join(instruction.words)
    pattern = _VARIABLE.sub(".*?", re.escape(" ".join(written.split())))
    return re.match(pattern, " ".join(text.split())) is not None


def _without_flags(text: str) -> str:
    """History keeps --chown and --chmod of a COPY."""
    return re.sub(r"^(?:--\S+ )+", "", text)


def _written(instruction: Instruction) -> str:
    flags = "".join(f"--{flag.name}={flag.value} " if flag.value else f"--{flag.name} " for flag in instruction.flags)
    text = " ".join(instruction.text.split())
    return f"{instruction.name} {flags}{text if len(text) <= 200 else text[:200] + '…'}"
