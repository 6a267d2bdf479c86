"""JSON text with positions: what HCL's JSON form needs and Python's json module does not keep."""

from __future__ import annotations

import re

from hpcbake.bakefile import codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.model.late import dataclass

#: Objects and arrays may nest so deep.
MAX_DEPTH = 200

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class JsonScalar:
    """true, false, null, or a number as written (str)."""

    value: bool | str | None
    start: int
    end: int


@dataclass(frozen=True)
class JsonText:
    """A string, unescaped. `places` gives the offset of each of its characters in the file."""

    value: str
    places: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class JsonProperty:
    """One `"name": value` of an object."""

    key: JsonText
    value: JsonNode

    @property
    def name(self) -> str:
        return self.key.value

    @property
    def start(self) -> int:
        return self.key.start

    @property
    def name_end(self) -> int:
        return self.key.end


@dataclass(frozen=True)
class JsonObject:
    members: tuple[JsonProperty, ...]
    start: int
    end: int


@dataclass(frozen=True)
class JsonArray:
    items: tuple[JsonNode, ...]
    start: int
    end: int


JsonNode = JsonScalar | JsonText | JsonObject | JsonArray


def read_json(source: SourceFile) -> JsonNode:
    """The one value of a JSON file. Raises BakeFileError at the first thing that is not JSON."""
    reader = _JsonReader(source)
    value = reader.value(0)
    reader.expect_end()
    return value


class _JsonReader:
    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._text = source.text
        self._at = 1 if source.text.startswith("\ufeff") else 0

    def _error(self, message: str, advice: str = "", start: int | None = None, length: int = 1) -> BakeFileError:
        at = self._at if start is None else start
        return BakeFileError(Diagnostic(codes.JSON_SYNTAX, message, Span(self._source, at, at + length), advice))

    def _skip(self) -> str:
        """Skip blanks; the character that follows, or "" at the end."""
        match = _BLANK.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def expect_end(self) -> None:
        if self._skip():
            raise self._error("the JSON value ends before this", "a file holds one object")

    def value(self, depth: int) -> JsonNode:
        if depth > MAX_DEPTH:
            message = f"JSON nests deeper than {MAX_DEPTH} levels"
            raise BakeFileError(Diagnostic(codes.LIMIT, message, Span(self._source, self._at, self._at + 1)))
        character = self._skip()
        if character == "{":
            return self._object(depth)
        if character == "[":
            return self._array(depth)
        if character == '"':
            return self.string()
        number = _NUMBER.match(self._text, self._at)
        if number is not None:
            self._at = number.end()
            return JsonScalar(number.group(), number.start(), number.end())
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return JsonScalar(value, self._at - len(word), self._at)
        if not character:
            raise self._error("the file ends where a value is expected")
        raise self._error(
            f"{character!r} begins no JSON value", "JSON has strings in double quotes, numbers, true, false, null"
        )

    def _object(self, depth: int) -> JsonObject:
        start = self._at
        self._at += 1
        members: list[JsonProperty] = []
        if self._skip() == "}":
            self._at += 1
            return JsonObject((), start, self._at)
        while True:
            if self._skip() != '"':
                advice = (
                    "remove the comma" if members and self._text[self._at : self._at + 1] == "}" else "quote the key"
                )
                raise self._error("a key in double quotes is expected", advice)
            key = self.string()
            if self._skip() != ":":
                raise self._error("a `:` is expected after the key")
            self._at += 1
            members.append(JsonProperty(key, self.value(depth + 1)))
            if self._separator("}"):
                return JsonObject(tuple(members), start, self._at)

    def _array(self, depth: int) -> JsonArray:
        start = self._at
        self._at += 1
        items: list[JsonNode] = []
        if self._skip() == "]":
            self._at += 1
            return JsonArray((), start, self._at)
        while True:
            if self._skip() == "]":
                raise self._error("JSON allows no comma before `]`", "remove the comma")
            items.append(self.value(depth + 1))
            if self._separator("]"):
                return JsonArray(tuple(items), start, self._at)

    def _separator(self, closing: str) -> bool:
        """Read a comma (False) or the closing bracket (True)."""
        character = self._skip()
        if character not in (",", closing):
            if not character:
                raise self._error(f"the file ends before `{closing}`")
            raise self._error(
                f"`,` or `{closing}` is expected here",
                'JSON has no comments; use a key "//"' if character in "/#" else "",
            )
        self._at += 1
        return character == closing

    def string(self) -> JsonText:
        """A string; the reader stands at its opening quote."""
        start = self._at
        self._at += 1
        pieces: list[str] = []
        places: list[int] = []
        while True:
            plain = _PLAIN.match(self._text, self._at)
            if plain is not None:
                pieces.append(plain.group())
                places.extend(range(plain.start(), plain.end()))
                self._at = plain.end()
            character = self._text[self._at : self._at + 1]
            if character == '"':
                self._at += 1
                places.append(self._at - 1)
                return JsonText("".join(pieces), tuple(places), start, self._at)
            if character != "\\":
                raise self._error("this string is not closed on its line", "write \\n for a line break", start)
            place = self._at
            piece = self._escape()
            pieces.append(piece)
            places.extend([place] * len(piece))

    def _escape(self) -> str:
        selector = self._text[self._at + 1 : self._at + 2]
        if selector in _ESCAPES and selector:
            self._at += 2
            return _ESCAPES[selector]
        if selector != "u":
            raise self._error(f"\\{selector} is not a JSON escape sequence", "write \\\\ for a backslash", length=2)
        first = self._unit()
        if 0xD800 <= first < 0xDC00 and self._text.startswith("\\u", self._at):
            second = self._unit()
            if 0xDC00 <= second < 0xE000:
                return chr(0x10000 + (first - 0xD800 << 10) + second - 0xDC00)
            return "\ufffd" + (chr(second) if not 0xD800 <= second < 0xE000 else "\ufffd")
        return "\ufffd" if 0xD800 <= first < 0xE000 else chr(first)

    def _unit(self) -> int:
        digits = self._text[self._at + 2 : self._at + 6]
        if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            raise self._error("\\u needs four hexadecimal digits", length=2)
        self._at += 6
        return int(digits, 16)
