"""What a function is: its parameters, and what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpcbake.bakefile.types import ANY, Type
from hpcbake.bakefile.values import Value
from hpcbake.model.record import Record


class FunctionError(Exception):
    """The function cannot do what it was asked. `argument` is the number of the argument at fault, if it is one's."""

    def __init__(self, message: str, argument: int | None = None, advice: str = "") -> None:
        super().__init__(message)
        self.argument = argument
        self.advice = advice


class Parameter(Record):
    """One parameter. Arguments are converted to `type`; null is refused unless `nullable`."""

    name: str
    type: Type = ANY
    nullable: bool = False


class Function(Record):
    """`compute` is called with the converted arguments, one by one.

    A `special` function is called with the evaluator and the call's node instead, and decides itself what to evaluate.
    """

    name: str
    parameters: tuple[Parameter, ...]
    variadic: Parameter | None
    compute: Callable[..., Value]
    special: Callable[[Any, Any], Value] | None = None


Registry = dict[str, Function]
Compute = Callable[..., Value]


def register(
    registry: Registry, name: str, *parameters: Parameter, variadic: Parameter | None = None
) -> Callable[[Compute], Compute]:
    """Decorator: add a function to a module's registry."""

    def add(compute: Compute) -> Compute:
        registry[name] = Function(name, parameters, variadic, compute)
        return compute

    return add
