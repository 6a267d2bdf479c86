"""`.env` and `env_file`: lines of `KEY=value`, with quotes, comments, and `${VAR}` inside."""

from __future__ import annotations

import re
from typing import Final

from hpcbake.bakefile.compose.substitution import Lookup, substitute
from hpcbake.bakefile.csvfields import MalformedValueError

_BLANKS: Final = " \t\v\f\r\x85\xa0"
_ESCAPE = re.compile(r'\\(?:([abcfnrtv$"\\])|0(\d{0,3}))')
_ESCAPED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}


def parse_dotenv(text: str, lookup: Lookup) -> dict[str, str]:
    """The variables of `text` in order. A key without `=` takes the value that `lookup` has, if any.

    Values may use variables of `lookup` and earlier ones of the file, the former first. Raises MalformedValueError.
    """
    found: dict[str, str] = {}
    reader = _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n"))

    def known(name: str) -> str | None:
        value = lookup(name)
        return found.get(name) if value is None else value

    while reader.skip_to_statement():
        key, has_value = reader.key()
        if " " in key:
            raise MalformedValueError(f"line {reader.line}: key cannot contain a space", help="write KEY=value")
        value = reader.value(known) if has_value else lookup(key)
        if value is not None:
            found[key] = value
    return found


class _Reader:
    """A position in the text of an env file."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def skip_to_statement(self) -> bool:
        """Move past blank lines and comments; False at the end."""
        while self.at < len(self.text):
            if self.text[self.at].isspace():
                self.at += 1
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return True
        return False

    def key(self) -> tuple[str, bool]:
        """The name that starts here, and whether a value follows."""
        if self.text.startswith("export", self.at) and self.text[self.at + 6 : self.at + 7] in (*_BLANKS, ""):
            self.at += 6
            self._skip_blanks()
        start = self.at
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in "=:\n":
                key = self.text[start : self.at].rstrip()
                self.at += 1
                if character != "\n":
                    self._skip_blanks()
                return key, character != "\n"
            if not (character in _BLANKS or character in "_.-[]" or character.isalnum()):
                raise MalformedValueError(
                    f"line {self.line}: unexpected character {character!r} in variable name",
                    help="names are letters, digits and _ . -",
                )
            self.at += 1
        return self.text[start:].rstrip(), False

    def _skip_blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _BLANKS:
            self.at += 1

    def value(self, lookup: Lookup) -> str:
        """The value that starts here, expanded."""
        quote = self.text[self.at : self.at + 1]
        if quote in ("'", '"'):
            raw = self._quoted(quote)
            return raw if quote == "'" else substitute(_unescape(raw), lookup)
        end = self.text.find("\n", self.at)
        raw = self.text[self.at :] if end < 0 else self.text[self.at : end]
        self.at = len(self.text) if end < 0 else end
        return substitute(raw.partition(" #")[0].rstrip(), lookup)

    def _quoted(self, quote: str) -> str:
        start, line = self.at, self.line
        characters: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\\" and self.text[self.at + 1 : self.at + 2] == quote:
                characters.append(quote)
                self.at += 2
                continue
            self.at += 1
            if character == quote:
                return "".join(characters)
            characters.append(character)
        shown = self.text[start:].partition("\n")[0]
        raise MalformedValueError(f"line {line}: unterminated quoted value {shown}", help=f"add the closing {quote}")


def _unescape(text: str) -> str:
    """The escape sequences of a double-quoted value; `\\$` becomes `$$`, which expansion leaves as one `$`."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$$"
        if match.group(1) is not None:
            return _ESCAPED.get(match.group(1), match.group(0))
        return chr(int(match.group(2) or "0", 8) & 0xFF)

    return _ESCAPE.sub(replace, text)
