"""Several builders as one: each target goes to its own, once."""

from __future__ import annotations

import pytest

from hpcbake.build.assigned import AssignedBuilder
from hpcbake.errors import BuildError


class Fake:
    """A builder that notes what it was asked for."""

    def __init__(self, *, by_digest: bool = True, fault: Exception | None = None) -> None:
        self.by_digest, self.fault = by_digest, fault
        self.asked: list[tuple[str, list[str]]] = []

    def pushes_by_digest(self) -> bool:
        return self.by_digest

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        self.asked.append((document, targets))
        if self.fault:
            raise self.fault
        return {target: {"by": id(self)} for target in targets}


def test_each_target_goes_to_its_builder() -> None:
    """One call for all targets of a builder; the answer is in the order that was asked for."""
    one, two = Fake(), Fake()
    both = AssignedBuilder({None: one, "big": two}, lambda target: "big" if target.startswith("big") else None)
    found = both.bake("{}", ["big-a", "small", "big-b"])
    assert list(found) == ["big-a", "small", "big-b"]
    assert (one.asked, two.asked) == ([("{}", ["small"])], [("{}", ["big-a", "big-b"])])
    assert found["small"] == {"by": id(one)}


@pytest.mark.parametrize("by_digest", [True, False])
def test_by_digest_only_if_all_can(by_digest: bool) -> None:
    """The definition that they get is one."""
    assert AssignedBuilder({None: Fake(), "b": Fake(by_digest=by_digest)}, str).pushes_by_digest() is by_digest


def test_a_failure_is_the_builders_own() -> None:
    """It is not hidden."""
    both = AssignedBuilder({"a": Fake(fault=BuildError("broke"))}, lambda _: "a")
    with pytest.raises(BuildError, match="broke"):
        both.bake("{}", ["app"])
