"""The nearest known word for one that is not known: what turns "not found" into "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable

#: Beyond so many known words the search for a near one would take longer than the answer is worth.
_MOST_WORDS = 2000
_MOST_LISTED = 12


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, or None."""
    words = list(known)
    if len(words) > _MOST_WORDS or len(word) > 200:
        return None
    folded = {w.lower().replace("_", "-"): w for w in reversed(words)}
    exact = folded.get(word.lower().replace("_", "-"))
    if exact is not None:
        return exact
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str], *, what: str) -> str:
    """A help line for an unknown `word`: the nearest known one, else the first few there are."""
    words = sorted(set(known))
    near = nearest(word, words)
    if near is not None:
        return f"did you mean {near}?"
    if not words:
        return f"there are no {what}s"
    listed = ", ".join(words[:_MOST_LISTED])
    more = f" and {len(words) - _MOST_LISTED} more" if len(words) > _MOST_LISTED else ""
    return f"there is: {listed}{more}"
