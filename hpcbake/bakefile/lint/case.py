"""What lint rules look at: a plan, and for each of its targets the Dockerfile with everything resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Protocol

from hpcbake.bakefile.dockerfile import Dockerfile, Instruction, Stage, expand
from hpcbake.bakefile.model import BakeModel
from hpcbake.bakefile.render import unescape_template
from hpcbake.bakefile.source import Span
from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.plan import Plan, Target
from hpcbake.model.reference import ImageReference, parse_image_reference

_IMAGE_CONTEXT = "docker-image://"
_MAX_DEPTH = 100


class BaseCatalogue(Protocol):
    """What a registry knows of a base image. Asked only when the user wants to go online."""

    def find_digest(self, reference: ImageReference) -> str | None:
        """The digest that `reference` stands for now, or None when there is no such image. Raises RegistryError."""
        ...


@dataclass(frozen=True)
class TargetCase:
    """One target of the plan with its Dockerfile, if that is a local file that could be read."""

    target: Target
    spans: Mapping[str, Span]
    span: Span | None
    folder: Path
    dockerfile: Dockerfile | None = None
    #: Why there is no Dockerfile although the target names a local one.
    missing: str = ""

    @property
    def name(self) -> str:
        return self.target.name

    def span_of(self, attribute: str) -> Span | None:
        """Where `attribute` of the target was written, else where the target was."""
        return self.spans.get(attribute, self.span)

    @cached_property
    def build_args(self) -> dict[str, str]:
        value = self.target.attributes.get("args")
        return {k: unescape_template(str(v)) for k, v in value.items()} if isinstance(value, dict) else {}

    @cached_property
    def contexts(self) -> dict[str, str]:
        value = self.target.attributes.get("contexts")
        return {k.lower(): str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    @cached_property
    def variables(self) -> dict[str, str]:
        """The global arguments of the Dockerfile as this target sets them, and BuildKit's own."""
        platforms = self.target.platforms or ("linux/amd64",)
        own = {
            "BUILDPLATFORM": "linux/amd64",
            "TARGETPLATFORM": platforms[0],
            "TARGETOS": "linux",
            "TARGETARCH": "amd64",
        }
        return {**own, **(self.dockerfile.variables(self.build_args) if self.dockerfile else {})}

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self.dockerfile.stages if self.dockerfile else ()

    @cached_property
    def final_stage(self) -> Stage | None:
        """The stage that becomes the image: the one that `target` names, else the last."""
        if not self.stages or self.dockerfile is None:
            return None
        wanted = str(self.target.attributes.get("target") or "")
        return self.dockerfile.find_stage(wanted) if wanted else self.stages[-1]

    def base_of(self, stage: Stage) -> str:
        """What `stage` starts from with arguments replaced: a stage's name, an image, or empty."""
        return expand(stage.base, self.variables)

    def parent_of(self, stage: Stage) -> Stage | None:
        """The earlier stage that `stage` starts from, or None when that is an image."""
        base = self.base_of(stage)
        return self.dockerfile.find_stage(base, stage.index) if self.dockerfile and not base.isdecimal() else None

    def chain_of(self, stage: Stage | None) -> list[Stage]:
        """`stage` and the stages that it starts from, itself first."""
        chain: list[Stage] = []
        while stage is not None and len(chain) < _MAX_DEPTH:
            chain.append(stage)
            stage = self.parent_of(stage)
        return chain

    @cached_property
    def final_chain(self) -> list[Stage]:
        """The stages whose instructions end up in the image."""
        return self.chain_of(self.final_stage)

    def image_of(self, stage: Stage) -> str:
        """The image that `stage` rests on at last, as written; empty for scratch and for what another target makes."""
        chain = self.chain_of(stage)
        return self.image_named(self.base_of(chain[-1])) if chain else ""

    def image_named(self, base: str) -> str:
        """The image behind a FROM: a named context of the target may stand in for it."""
        replaced = self.contexts.get(base.lower())
        if replaced is not None:
            return replaced.removeprefix(_IMAGE_CONTEXT) if replaced.startswith(_IMAGE_CONTEXT) else ""
        return "" if base == "scratch" else base

    def reference_of(self, stage: Stage) -> ImageReference | None:
        """The image that `stage` rests on, parsed; None when there is none or it cannot be known."""
        return find_reference(self.image_of(stage))

    @cached_property
    def used_stages(self) -> list[Stage]:
        """The stages that the image needs: its own chain, and whatever that copies or mounts from."""
        used: dict[int, Stage] = {}
        waiting = [self.final_stage] if self.final_stage else []
        while waiting:
            stage = waiting.pop()
            if stage.index in used:
                continue
            used[stage.index] = stage
            parent = self.parent_of(stage)
            waiting += [parent] if parent else []
            waiting += [source for _, source in self.sources_of(stage)]
        return [used[index] for index in sorted(used)]

    def sources_of(self, stage: Stage) -> Iterator[tuple[Instruction, Stage]]:
        """The stages that instructions of `stage` copy or mount from."""
        assert self.dockerfile is not None
        for instruction in stage.instructions:
            for name in from_names(instruction):
                source = self.dockerfile.find_stage(expand(name, self.variables), stage.index)
                if source is not None:
                    yield instruction, source


@dataclass(frozen=True)
class LintCase:
    """Everything that rules may look at."""

    plan: Plan
    model: BakeModel
    targets: tuple[TargetCase, ...]
    folder: Path
    today: date
    catalogue: BaseCatalogue | None = None
    #: Filled by rules that ask the catalogue, so that each reference is asked for once.
    known_digests: dict[str, str | None] = field(default_factory=dict)


def from_names(instruction: Instruction) -> Iterator[str]:
    """The names behind `--from=` and `--mount=…,from=`."""
    for flag in instruction.flags:
        if flag.name == "from":
            yield flag.value
        elif flag.name == "mount":
            for part in flag.value.split(","):
                key, _, value = part.partition("=")
                if key.strip().lower() == "from":
                    yield value.strip()


def find_reference(text: str) -> ImageReference | None:
    """`text` as an image reference, or None when it is none."""
    if not text:
        return None
    try:
        return parse_image_reference(text)
    except ConfigError:
        return None
