"""Room for nested expressions: Python's default of 1,000 frames is less than bake files may need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hpcbake.bakefile import codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic

#: Python frames; expressions of 200 levels in chains of definitions stay far below.
_FRAMES = 20_000


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Raise the limit while evaluating; what still exceeds it becomes a BakeFileError."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    except RecursionError:
        message = "expressions, functions or values nest too deep to be evaluated"
        raise BakeFileError(
            Diagnostic(codes.LIMIT, message, help="break long chains of definitions into lists")
        ) from None
    finally:
        sys.setrecursionlimit(before)
