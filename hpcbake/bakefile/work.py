"""How much work the expressions of one request may make: steps, and the size of what they build.

Ten lines can ask for a string of a terabyte, or for a loop that ends next year. buildx tries; hpcbake says no while
the machine still answers. What is refused here ends the run: `try` does not see it.
"""

from __future__ import annotations

from hpcbake.bakefile import codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.values import ListValue, MapValue, ObjectValue, SetValue, TupleValue, Value

#: Expressions evaluated, each time they are: a matrix of 2,000 targets with 30 expressions each takes 60,000.
MAX_STEPS = 500_000
#: One value: its characters, and 16 for each element, counted as often as it occurs.
MAX_SIZE = 10_000_000
#: All values that were built, each without what its elements were already counted for.
MAX_TOTAL = 100_000_000

_PER_ELEMENT = 16


class Work:
    """Counts what one request has cost so far."""

    __slots__ = ("steps", "total")

    def __init__(self) -> None:
        self.steps = 0
        self.total = 0

    def refuse_steps(self, source: SourceFile, node: object) -> BakeFileError:
        """The error for an expression that is one too many."""
        return _refused(source, node, f"the expressions of these files take more than {MAX_STEPS} steps")

    def refuse_text(self, source: SourceFile, node: object) -> BakeFileError:
        """The error for a string that is too long."""
        return _refused(source, node, f"this makes a string of more than {MAX_SIZE} characters")

    def refuse_arguments(self, source: SourceFile, node: object) -> BakeFileError:
        """The error for a call that is given too much."""
        most = MAX_SIZE // _PER_ELEMENT
        message = f"the arguments of this call have more than {most} elements, or {MAX_SIZE} characters, at all levels"
        return _refused(source, node, message)

    def count(self, source: SourceFile, node: object, value: Value) -> Value:
        """`value`, which an expression has just built. Raises BakeFileError if it is too large."""
        if isinstance(value, str):
            self.total += len(value)
            if len(value) > MAX_SIZE:
                raise self.refuse_text(source, node)
        elif isinstance(value, (TupleValue, ListValue, SetValue, ObjectValue, MapValue)):
            self.total += _PER_ELEMENT * len(value.items)
            if size_of(value) > MAX_SIZE:
                most = MAX_SIZE // _PER_ELEMENT
                message = f"this makes a value of more than {most} elements, or {MAX_SIZE} characters, at all levels"
                raise _refused(source, node, message)
        if self.total > MAX_TOTAL:
            raise _refused(source, node, f"the values of these files take more than {MAX_TOTAL} characters")
        return value


def size_of(value: Value) -> int:
    """Characters and elements at all levels; what occurs twice counts twice. Remembered by collections."""
    if isinstance(value, str):
        return _PER_ELEMENT + len(value)
    if isinstance(value, (TupleValue, ListValue, SetValue)):
        if value.size < 0:
            value.size = _PER_ELEMENT + sum(map(size_of, value.items))
        return value.size
    if isinstance(value, (MapValue, ObjectValue)):
        if value.size < 0:
            value.size = _PER_ELEMENT + sum(map(size_of, value.items.values())) + sum(map(len, value.items))
        return value.size
    return _PER_ELEMENT


def _refused(source: SourceFile, node: object, message: str) -> BakeFileError:
    span = Span(source, getattr(node, "start", 0), getattr(node, "end", 1))
    return BakeFileError(Diagnostic(codes.LIMIT, message, span, "make less at a time, or write the result out"))
