"""Upper, lower and title case one character at a time, as Go does it: `ß` has no upper case of one character."""

from __future__ import annotations

import unicodedata


def _simple(character: str, mapped: str) -> str:
    return mapped if len(mapped) == 1 else character


def to_upper(text: str) -> str:
    """Every character in upper case."""
    return text.upper() if text.isascii() else "".join(_simple(c, c.upper()) for c in text)


def to_lower(text: str) -> str:
    """Every character in lower case, wherever in a word it stands."""
    if text.isascii():
        return text.lower()
    return "".join("i" if c == "İ" else _simple(c, c.lower()) for c in text)


def to_title(text: str) -> str:
    """The first letter of each word in title case, the rest as it is."""
    result: list[str] = []
    previous = " "
    for character in text:
        result.append(_simple(character, character.title()) if _separates(previous) else character)
        previous = character
    return "".join(result)


def _separates(character: str) -> bool:
    """Does a new word begin after this character? ASCII: after all but letters, digits and underscore."""
    if character.isascii():
        return not (character.isalnum() or character == "_")
    if unicodedata.category(character)[0] == "L" or unicodedata.category(character) == "Nd":
        return False
    return character.isspace()
