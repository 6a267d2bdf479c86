"""Dataclasses that are made when the first value of theirs is.

A dataclass compiles code for every class when its module is loaded, about a millisecond each; a run loads more than a
hundred and fifty of them and makes values of half. `dataclass` of this module puts that off until somebody makes a
value of the class or asks for its fields; from then on it is what `dataclasses.dataclass` makes of it, no slower and no
other.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """`dataclasses.dataclass`, later. A class with slots, which is another one afterwards, is made at once."""
        if cls is None:
            return lambda cls: dataclass(cls, **options)
        if "__init__" in cls.__dict__ or options.get("slots"):
            return dataclasses.dataclass(cls, **options)
        late = _Late(cls, options)
        cls.__dataclass_fields__ = late
        cls.__init__ = late.first_init()
        if options.get("frozen"):
            cls.__setattr__, cls.__delattr__ = _frozen(cls, "assign to"), _frozen(cls, "delete")
        return cls


#: What a class has of its own, whatever a dataclass makes of it.
_OWN = frozenset(("__dict__", "__weakref__", "__dataclass_fields__", "__init__", "__setattr__", "__delattr__"))
#: Many threads may want the first value; one makes the class. Again, because making one may make those it inherits.
_LOCK = threading.RLock()


class _Late:
    """Stands where the fields of a dataclass are kept: whoever asks for them, or makes a value, completes the class."""

    def __init__(self, cls: type, options: dict[str, bool]) -> None:
        self._cls, self._options = cls, options

    def __get__(self, value: object, owner: Any) -> object:
        self.complete()
        return owner.__dataclass_fields__

    def first_init(self) -> Any:
        """The `__init__` until there is one."""

        def __init__(self_: Any, /, *values: object, **named: object) -> None:  # noqa: N807
            self.complete()
            self._cls.__init__(self_, *values, **named)  # type: ignore[misc]  # it is the class's own by now

        return __init__

    def complete(self) -> None:
        """Give the class what dataclass gives a twin of it. `__init__` comes last: until then nobody has a value."""
        cls: Any = self._cls
        with _LOCK:
            if cls.__dict__["__dataclass_fields__"] is not self:
                return
            own = {name: value for name, value in cls.__dict__.items() if name not in _OWN}
            twin = dataclasses.dataclass(type(cls)(cls.__name__, cls.__bases__, own), **self._options)
            made = {name: value for name, value in vars(twin).items() if own.get(name, _OWN) is not value}
            for name in own.keys() - vars(twin).keys():  # what stood for a default that is made anew each time
                delattr(cls, name)
            first = made.pop("__init__")
            for name, value in made.items():
                if name not in ("__dict__", "__weakref__", "__setattr__", "__delattr__"):
                    setattr(cls, name, value)
            cls.__init__ = first


def _frozen(cls: type, act: str) -> Any:
    """The `__setattr__` or `__delattr__` of a frozen dataclass."""

    def refuse(self: Any, name: str, *value: object) -> None:
        if type(self) is cls or name in cls.__dataclass_fields__:  # type: ignore[attr-defined]
            raise dataclasses.FrozenInstanceError(f"cannot {act} field {name!r}")
        getattr(super(cls, self), "__setattr__" if value else "__delattr__")(name, *value)

    return refuse


__all__ = ["dataclass"]
