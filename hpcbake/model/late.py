"""Dataclasses whose code is made when it is worth it.

A dataclass compiles code for every class when its module is loaded, about a millisecond each; a run loads more than a
hundred and fifty of them, makes values of half, and of most of these a few. `dataclass` of this module puts that off:
the first values are filled in, compared and hashed by a loop over the fields. Whoever does so many times, shows a value
or asks for the fields completes the class; from then on it is what `dataclasses.dataclass` makes of it, no slower and
no other.
"""

from __future__ import annotations

import dataclasses
import inspect
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
        for name, method in late.first_methods():
            setattr(cls, name, method)
        if options.get("frozen"):
            cls.__setattr__, cls.__delattr__ = _frozen(cls, "assign to"), _frozen(cls, "delete")
        return cls


#: What a class has of its own, whatever a dataclass makes of it.
_OWN = frozenset(("__dict__", "__weakref__", "__dataclass_fields__", "__init__", "__setattr__", "__delattr__"))
#: Options with which the first value is made as any other.
_PLAIN_OPTIONS = frozenset(("eq", "frozen"))
#: So often a loop goes over the fields, some microseconds more each time than compiled code, which takes a millisecond.
_FEW = 200
#: Many threads may want the first value; one makes the class. Again, because making one may make those it inherits.
_LOCK = threading.RLock()


class _Late:
    """Stands where the fields of a dataclass are kept: whoever asks for them, or makes a value, completes the class."""

    def __init__(self, cls: type, options: dict[str, bool]) -> None:
        self._cls, self._options = cls, options
        self._loops = 0
        #: Name and default of each field; None where the first value is to be made as any other.
        self._fields = self._plain_fields()
        self._first_methods: dict[str, Any] = {}

    def __get__(self, value: object, owner: Any) -> object:
        self.complete()
        return owner.__dataclass_fields__

    def first_init(self) -> Any:
        """The `__init__` until there is one."""

        def __init__(self_: Any, /, *values: object, **named: object) -> None:  # noqa: N807
            if not self._fill(self_, values, named):
                self.complete()
                self._cls.__init__(self_, *values, **named)  # type: ignore[misc]  # it is the class's own by now

        return __init__

    def first_methods(self) -> list[tuple[str, Any]]:
        """What compares, shows and hashes the first values, until there are methods for it. Some classes have none."""
        if self._fields is None:
            return []
        wanted: dict[str, Any] = {"__repr__": self._first_repr()}
        if self._options.get("eq", True):
            wanted["__eq__"] = self._first_eq()
            # None as for any class whose values are compared and may change
            wanted["__hash__"] = self._first_hash() if self._options.get("frozen") else None
        self._first_methods = {name: method for name, method in wanted.items() if name not in self._cls.__dict__}
        self._first_methods["__match_args__"] = tuple(name for name, _ in self._fields)
        return list(self._first_methods.items())

    def complete(self) -> None:
        """Give the class what dataclass gives a twin of it. `__init__` comes last: until then nobody has a value."""
        cls: Any = self._cls
        with _LOCK:
            if cls.__dict__["__dataclass_fields__"] is not self:
                return
            own = {name: value for name, value in cls.__dict__.items() if name not in _OWN}
            for name, method in self._first_methods.items():
                if own.get(name, _OWN) is method:
                    del own[name]
            twin = dataclasses.dataclass(type(cls)(cls.__name__, cls.__bases__, own), **self._options)
            made = {name: value for name, value in vars(twin).items() if own.get(name, _OWN) is not value}
            for name in own.keys() - vars(twin).keys():  # what stood for a default that is made anew each time
                delattr(cls, name)
            first = made.pop("__init__")
            for name, value in made.items():
                if name not in ("__dict__", "__weakref__", "__setattr__", "__delattr__"):
                    setattr(cls, name, value)
            cls.__init__ = first

    def _first_repr(self) -> Any:
        def __repr__(self_: Any) -> str:  # noqa: N807
            self.complete()
            return repr(self_)

        return __repr__

    def _first_eq(self) -> Any:
        def __eq__(self_: Any, other: Any) -> Any:  # noqa: N807
            if other.__class__ is not self_.__class__:
                return NotImplemented
            return self._compared(self_) == self._compared(other)

        return __eq__

    def _first_hash(self) -> Any:
        def __hash__(self_: Any) -> int:  # noqa: N807
            return hash(self._compared(self_))

        return __hash__

    def _compared(self, value: Any) -> tuple[object, ...]:
        """What tells a value from another one."""
        self._loops += 1
        if self._loops >= _FEW:
            self.complete()
        return tuple(getattr(value, name) for name, default in self._fields or () if _is_compared(default))

    def _plain_fields(self) -> list[tuple[str, Any]] | None:
        """Fields in order, with what dataclass will take for a default, or None for a class that is not so simple."""
        cls = self._cls
        if cls.__bases__ != (object,) or not _PLAIN_OPTIONS.issuperset(self._options):
            return None
        if "__eq__" in cls.__dict__ or "__hash__" in cls.__dict__:  # what dataclass makes of that has rules of its own
            return None
        fields = []
        for name, kind in inspect.get_annotations(cls).items():
            if not isinstance(kind, str) or "InitVar" in kind or "KW_ONLY" in kind:
                return None
            if "ClassVar" in kind:
                continue
            default = cls.__dict__.get(name, dataclasses.MISSING)
            if isinstance(default, dataclasses.Field) and (not default.init or default.kw_only is True):
                return None
            if isinstance(default, dataclasses.Field) and default.hash is not None:
                return None
            if default.__class__.__hash__ is None:  # a list for all: dataclass says what is wrong with that
                return None
            fields.append((name, default))
        return fields

    def _fill(self, value: Any, given: tuple[object, ...], named: dict[str, object]) -> bool:
        """Give a new value its fields, if these are the right arguments; otherwise the real `__init__` says so."""
        fields = self._fields
        if fields is None or self._loops >= _FEW or len(given) > len(fields):
            return False
        filled = dict(zip((name for name, _ in fields), given, strict=False))
        count = len(named)
        for name, default in fields[len(given) :]:
            if name in named:
                filled[name] = named[name]
                count -= 1
            elif isinstance(default, dataclasses.Field):
                if default.default_factory is not dataclasses.MISSING:
                    filled[name] = default.default_factory()
                elif default.default is not dataclasses.MISSING:
                    filled[name] = default.default
                else:
                    return False
            elif default is dataclasses.MISSING:
                return False
            else:
                filled[name] = default
        if count:
            return False
        self._loops += 1
        value.__dict__.update(filled)
        after = getattr(value, "__post_init__", None)
        if after is not None:
            after()
        return True


def _is_compared(default: object) -> bool:
    return not isinstance(default, dataclasses.Field) or default.compare


def _frozen(cls: type, act: str) -> Any:
    """The `__setattr__` or `__delattr__` of a frozen dataclass."""

    def refuse(self: Any, name: str, *value: object) -> None:
        if type(self) is cls or name in cls.__dataclass_fields__:  # type: ignore[attr-defined]
            raise dataclasses.FrozenInstanceError(f"cannot {act} field {name!r}")
        getattr(super(cls, self), "__setattr__" if value else "__delattr__")(name, *value)

    return refuse


__all__ = ["dataclass"]
