"""A late dataclass is a dataclass: only when it is made differs."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from dataclasses import field
from functools import cached_property
from typing import Any, ClassVar

import pytest

from hpcbake.model.late import dataclass


@dataclass(frozen=True)
class Point:
    """Two numbers."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)

    @cached_property
    def double(self) -> int:
        return 2 * self.x


@dataclass(frozen=True, order=True)
class Version:
    number: int


@dataclass(frozen=True)
class Far(Point):
    z: int = 3


@dataclass(eq=False)
class Loose:
    n: int = 0


@dataclass
class Bare:
    n: int = 0


class Undecorated(Far):
    """Inherits."""


def is_made(cls: type) -> bool:
    return isinstance(cls.__dict__["__dataclass_fields__"], dict)


def test_it_is_made_when_it_is_worth_it() -> None:
    """Not when the class is defined, nor for a few values; for many, for whoever asks for the fields or sees one."""

    @dataclass(frozen=True)
    class Many:
        n: int

    @dataclass(frozen=True)
    class Asked:
        n: int

    @dataclass(frozen=True)
    class Shown:
        n: int

    assert not is_made(Many)
    assert Many(1) == Many(1) != Many(2)
    assert hash(Many(1)) == hash(Many(n=1))
    assert not is_made(Many)
    first = Many(7)
    assert len({Many(number % 9) for number in range(1000)}) == 9
    assert is_made(Many)
    assert first == Many(7)
    assert hash(first) == hash(Many(7))
    assert [item.name for item in dataclasses.fields(Asked)] == ["n"]
    assert is_made(Asked)
    assert repr(Shown(3)).endswith("Shown(n=3)")
    assert is_made(Shown)


class Plain:
    """Bodies of dataclasses, each with arguments that are right and some that are not."""

    class Defaults:
        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list)
        d: ClassVar[int] = 4

    class Compared:
        a: int
        seen: int = field(default=0, compare=False, repr=False)

    class After:
        a: int
        kept: list[int]

        def __post_init__(self) -> None:
            self.kept.append(self.a)

    class Equal:
        a: int

        def __eq__(self, other: object) -> bool:
            return True

    class Named:
        a: int
        b: int = field(kw_only=True, default=1)

    class Made:
        a: int
        b: int = field(init=False, default=5)

    class Hashed:
        a: int
        b: int = field(default=1, hash=False)

    class Shown:
        a: int

        def __repr__(self) -> str:
            return "shown"

    class Empty:
        pass


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"eq": False}, {"order": True}, {"unsafe_hash": True}])
@pytest.mark.parametrize("body", [body for body in vars(Plain).values() if isinstance(body, type)])
def test_first_values_are_as_later_ones(body: type, options: dict[str, bool]) -> None:
    """Whatever is asked of a first value, a dataclass made at once answers the same, errors by kind."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        *(((), {}), ((1,), {}), ((1, [2]), {}), ((1, [2], [3]), {}), ((1, 2, 3, 4), {})),
        *(((), {"a": 1}), ((1,), {"a": 1}), ((1,), {"b": 2}), ((1,), {"none": 2}), ((), {"b": 1, "a": 2})),
    ]

    def ask(decorate: Any, given: tuple[Any, ...], named: dict[str, Any]) -> list[object]:
        names = {name: value for name, value in vars(body).items() if name not in ("__dict__", "__weakref__")}
        try:
            cls = decorate(type(body.__name__, (), names), **options)
        except TypeError:  # ordered, and with an order of its own
            return ["refused"]
        answers: list[object] = []

        def one() -> Any:
            return cls(*copy.deepcopy(given), **named)

        questions: list[Any] = [
            *(lambda: vars(one()), lambda: one() == one(), lambda: one() == cls(9, [2]), lambda: one() == object()),
            *(lambda: isinstance(hash(one()), int), lambda: repr(one()), lambda: one() < one()),
            *(lambda: cls.__match_args__, lambda: setattr(one(), "a", 5), lambda: dataclasses.asdict(one())),
        ]
        for question in questions:
            try:
                answers.append(question())
            except Exception as error:  # noqa: BLE001  (its kind is the answer)
                answers.append(type(error))
        return answers

    for given, named in calls:
        assert ask(dataclass, given, named) == ask(dataclasses.dataclass, given, named), (given, named)


def test_values_are_those_of_a_dataclass() -> None:
    """By place and by name, defaults made anew, equal by fields, hashable when frozen, shown, replaced, unpacked."""
    point = Point(1)
    assert (point.x, point.y, point.names, point.kind, point.double) == (1, 2, [], "point", 2)
    assert Point(1).names is not point.names
    assert point == Point(x=1, y=2)
    assert point != Point(2)
    assert repr(point) == "Point(x=1, y=2, names=[])"
    assert hash(Version(1)) == hash(Version(1))
    assert Version(1) < Version(2)
    assert dataclasses.replace(point, x=5) == Point(5)
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "names": []}
    assert dataclasses.is_dataclass(Point)
    assert Point.__match_args__ == ("x", "y", "names")
    match point:
        case Point(x, 2):
            assert x == 1
        case _:
            pytest.fail("did not match")


def test_mutable_and_without_equality() -> None:
    """The options are dataclass's own."""
    loose = Loose()
    loose.n = 4
    assert loose.n == 4
    assert loose != Loose(4)
    assert len({loose, Loose(4)}) == 2
    assert Bare(1) == Bare(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Bare(1))


@pytest.mark.parametrize("arguments", [(), (1, 2, [], 4)])
def test_wrong_arguments_are_refused(arguments: tuple[Any, ...]) -> None:
    """As by any dataclass, also for the first value."""

    @dataclass(frozen=True)
    class Fresh:
        x: int
        y: int = 2

    with pytest.raises(TypeError):
        Fresh(*arguments)
    with pytest.raises(TypeError):
        Fresh(1, z=3)  # type: ignore[call-arg]


def test_frozen_is_frozen() -> None:
    """No field can be set or deleted; a subclass that is none may have other names of its own."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Point(1), "x", 3)  # noqa: B010  (as a type checker does not see it)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Point(1), "new", 3)  # noqa: B010
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(Far(1), "x")
    value = Undecorated(1)
    value.other = 3  # type: ignore[attr-defined]
    del value.other  # type: ignore[attr-defined]
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.x = 4  # type: ignore[misc]
    assert (value.x, value.z) == (1, 3)


def test_a_class_inherits_from_one_that_is_not_made_yet() -> None:
    """Its fields come first."""

    @dataclass(frozen=True)
    class Base:
        a: int

    @dataclass(frozen=True)
    class Derived(Base):
        b: int = 5

    assert Derived(1) == Derived(1, 5)
    assert Base(2).a == 2


def test_copies_and_pickles() -> None:
    """Values travel as those of any class."""
    assert copy.deepcopy(Far(1)) == Far(1)
    assert pickle.loads(pickle.dumps(Version(3))) == Version(3)


def test_many_threads_make_the_first_value() -> None:
    """Every one of them gets a whole value."""
    for _ in range(20):

        @dataclass(frozen=True)
        class Shared:
            a: int
            b: int = 2

        start = threading.Barrier(8)
        values: list[object] = []

        def make(cls: type = Shared, start: threading.Barrier = start, values: list[object] = values) -> None:
            start.wait(10)
            values.append(cls(1))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert values == [Shared(1)] * 8
