"""`inherits`: a target on top of its parents, each of them resolved first.

A parent's `--set` overrides apply to the parent, so children inherit them unless they set the same thing. buildx
passes over a circle in silence (the target that is being resolved contributes nothing to itself); so do we, with a
warning. The walk is iterative: a chain of a hundred thousand parents is data, not a reason to fall over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.attributes import Attributes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.merge import merge, normalise
from hpcbake.bakefile.model import BakeModel, MergedTarget
from hpcbake.bakefile.suggestion import did_you_mean

#: What is not circular is resolved once; what is, anew for every target that leads into it. This ends that.
MOST_CIRCULAR_STEPS = 100_000

#: Applies the overrides of one target to its attributes.
Override = Callable[[str, Attributes], Attributes]


class Inheritance:
    """Resolves targets of one model, remembering what it has resolved; `warnings` grows with every circle it meets."""

    def __init__(self, model: BakeModel, override: Override) -> None:
        self.model = model
        self.override = override
        self.warnings: list[Diagnostic] = []
        self._resolved: dict[str, Attributes] = {}
        self._circles: set[str] = set()
        self._circular_steps = 0

    def resolve(self, name: str) -> Attributes:
        """The attributes of target `name` with everything inherited and overridden, and the final defaults.

        Raises BakeFileError when the target or a parent of it does not exist.
        """
        attributes = dict(self._with_parents(name))
        attributes.pop("inherits", None)
        attributes.setdefault("context", ".")
        if not attributes.get("dockerfile"):
            attributes["dockerfile"] = "Dockerfile"
        return attributes

    def _with_parents(self, start: str) -> Attributes:
        known = self._resolved.get(start)
        if known is not None:
            return known
        walk: dict[str, Attributes | None] = {}  # None: being resolved
        circular: set[str] = set()  # what must not be remembered, because it depends on where the walk began
        stack: list[tuple[str, Iterator[str]]] = []
        self._enter(start, walk, stack)
        while stack:
            name, parents = stack[-1]
            parent = next(parents, None)
            if parent is None:
                stack.pop()
                walk[name] = self._finish(name, walk, circular)
            elif parent in self._resolved:
                walk[parent] = self._resolved[parent]
            elif parent not in walk:
                self._require(parent, self.model.targets[name])
                self._enter(parent, walk, stack)
            elif walk[parent] is None:
                self._warn_of_circle(name, parent, [name for name, _ in stack])
                circular.add(name)
        self._circular_steps += len(circular)
        if self._circular_steps > MOST_CIRCULAR_STEPS:
            raise self._too_circular(start)
        result = walk[start]
        assert result is not None
        return result

    def _too_circular(self, name: str) -> BakeFileError:
        return BakeFileError(
            Diagnostic(
                codes.CIRCULAR_LIMIT,
                f"targets inherit each other in circles that take more than {MOST_CIRCULAR_STEPS:,} steps to follow",
                self.model.targets[name].span_of("inherits"),
                "break the circles: what a circle means depends on where one enters it",
            )
        )

    def _enter(self, name: str, walk: dict[str, Attributes | None], stack: list[tuple[str, Iterator[str]]]) -> None:
        walk[name] = None
        stack.append((name, iter(parents_of(self.model.targets[name]))))

    def _finish(self, name: str, walk: Mapping[str, Attributes | None], circular: set[str]) -> Attributes:
        attributes: Attributes = {}
        target = self.model.targets[name]
        for parent in parents_of(target):
            if parent in circular:
                circular.add(name)
            inherited = walk.get(parent)
            if inherited is not None:
                attributes = merge(attributes, inherited)
        attributes = merge(attributes, target.attributes)
        attributes.pop("inherits", None)
        attributes = normalise(self.override(name, attributes))
        if name not in circular:
            self._resolved[name] = attributes
        return attributes

    def _require(self, parent: str, child: MergedTarget) -> None:
        if parent in self.model.targets:
            return
        if parent in self.model.groups:
            help_line = f"{parent} is a group; inherits takes targets only"
        else:
            help_line = did_you_mean(parent, self.model.targets, what="target")
        raise BakeFileError(
            Diagnostic(
                codes.UNKNOWN_PARENT,
                f"target {child.name} inherits {parent}, which is not a target",
                child.span_of("inherits"),
                help_line,
                detail=f"failed to find target {parent}",
            )
        )

    def _warn_of_circle(self, child: str, parent: str, path: list[str]) -> None:
        """Warn once of the circle that closes from `child` to `parent`, however many of its targets are resolved."""
        circle = set(path[path.index(parent) :])
        if circle & self._circles:
            return
        self._circles |= circle
        target = self.model.targets[child]
        self.warnings.append(
            Diagnostic(
                codes.CIRCULAR_INHERITS,
                f"target {child} inherits {parent}, which inherits {child} again",
                target.span_of("inherits"),
                "buildx ignores the second turn in silence; remove one of the two",
            )
        )


def parents_of(target: MergedTarget) -> list[str]:
    """The names in a target's `inherits`, in order."""
    return cast(list[str], target.attributes.get("inherits") or [])
