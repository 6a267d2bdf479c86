"""Several builders in the place of one: each target is built by its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpcbake.model.ports import Builder


class AssignedBuilder:
    """A Builder that hands each target to the builder that the project names for it; one call per builder."""

    def __init__(self, builders: Mapping[str | None, Builder], name_of: Callable[[str], str | None]) -> None:
        self._builders = builders
        self._name_of = name_of

    def pushes_by_digest(self) -> bool:
        """Only if all of them can: the definition is one."""
        return all(builder.pushes_by_digest() for builder in self._builders.values())

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        """Builder by builder, in the order in which targets first need one. Raises what a builder raises."""
        found: dict[str, dict[str, object]] = {}
        for name in dict.fromkeys(map(self._name_of, targets)):
            own = [target for target in targets if self._name_of(target) == name]
            found.update(self._builders[name].bake(document, own))
        return {target: found[target] for target in targets}
