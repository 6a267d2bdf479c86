"""Small frozen values that cost nothing to define.

A dataclass compiles code for every class when its module is loaded; for the classes that every run needs that would
be a good part of the time `hpcbake print` takes. A Record only notes the names of its fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options: object) -> Any:
        """Says to type checkers only: the annotations of a subclass are the parameters of its constructor."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Record:
    """A frozen value with named fields, given by place or by name; equal to others of its class by its fields."""

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
    else:
        _fields = ()

        def __init_subclass__(cls) -> None:
            cls._fields = (*cls._fields, *cls.__annotations__)

        def __init__(self, *values: object, **named: object) -> None:
            names, state = self._fields, self.__dict__
            if len(values) > len(names):
                raise TypeError(f"{type(self).__name__} has only the fields {', '.join(names)}")
            state.update(zip(names, values, strict=False))
            for name, value in named.items():
                if name not in names or name in state:
                    raise TypeError(f"{type(self).__name__} has no field {name}, or has it already")
                state[name] = value
            if len(state) < len(names):
                self._take_defaults()

        def _take_defaults(self) -> None:
            for name in self._fields:
                if name not in self.__dict__:
                    try:
                        self.__dict__[name] = getattr(type(self), name)
                    except AttributeError:
                        raise TypeError(f"{type(self).__name__} needs {name}") from None

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen; {name} cannot be set")

        def __delattr__(self, name: str) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen; {name} cannot be deleted")

    def _values(self) -> tuple[Any, ...]:
        state = self.__dict__
        return tuple([state[name] for name in self._fields])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and isinstance(other, Record) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self._values(), strict=True))
        return f"{type(self).__name__}({fields})"


__all__ = ["Record", "dataclass_transform"]
