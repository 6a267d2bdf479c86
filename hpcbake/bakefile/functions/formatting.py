"""`format` and `formatlist`: C's printf, with a few verbs of Go's."""

from __future__ import annotations

import re

from hpcbake.bakefile.convert import ConversionError, convert
from hpcbake.bakefile.functions.arguments import sequence
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.functions.strings import LONGEST
from hpcbake.bakefile.gofloat import format_float
from hpcbake.bakefile.jsonvalue import JsonError, quote_json, to_json
from hpcbake.bakefile.number import Number, NumberError
from hpcbake.bakefile.source import count_graphemes, split_graphemes
from hpcbake.bakefile.types import BOOL, NUMBER, STRING
from hpcbake.bakefile.values import ListValue, Null, Value, string
from hpcbake.model.record import Record

FUNCTIONS: Registry = {}
_FORMAT, _ARGS = Parameter("format", STRING), Parameter("args", nullable=True)
_VERB = re.compile(r"%([ +\-0#]*)(\*|[0-9]+)?(?:\.([0-9]*))?(?:\[([1-9][0-9]*)\])?(.)?", re.DOTALL)
_WIDEST = 100_000


class Verb(Record):
    """One `%…` of a format string."""

    raw: str
    flags: str
    width: int | None
    precision: int | None
    mode: str

    def padded(self, text: str) -> str:
        """The text filled up to the width, counted in grapheme clusters."""
        missing = (self.width or 0) - count_graphemes(text)
        if missing <= 0:
            return text
        fill = ("0" if "0" in self.flags else " ") * missing
        return text + fill if "-" in self.flags else fill + text


@register(FUNCTIONS, "format", _FORMAT, variadic=_ARGS)
def _format(pattern: str, *args: Value) -> Value:
    return string(format_text(pattern, args))


@register(FUNCTIONS, "formatlist", _FORMAT, variadic=_ARGS)
def _formatlist(pattern: str, *args: Value) -> Value:
    """Lists among the arguments are gone through in step; all others are used again and again."""
    columns = [None if isinstance(arg, Null) else sequence(arg) for arg in args]
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) > 1:
        raise FunctionError("the lists must have the same length")
    rounds = lengths.pop() if lengths else 1
    texts: list[Value] = []
    length = 0
    for number in range(rounds):
        row = [arg if column is None else column[number] for arg, column in zip(args, columns, strict=True)]
        texts.append(string(format_text(pattern, row)))
        length += len(str(texts[-1]))
        if length > LONGEST:
            raise FunctionError(f"the results would have more than {LONGEST} characters")
    return ListValue(STRING, tuple(texts))


def format_text(pattern: str, args: list[Value] | tuple[Value, ...]) -> str:
    """The format string with its verbs replaced. Raises FunctionError."""
    pieces: list[str] = []
    at, following, highest, length = 0, 1, 0, 0
    while (percent := pattern.find("%", at)) >= 0:
        pieces.append(pattern[at:percent])
        match = _VERB.match(pattern, percent)
        assert match is not None
        at = match.end()
        if match.group() == "%%":
            pieces.append("%")
            continue
        verb, index = _parse_verb(match)
        position = index or following
        if not 1 <= position <= len(args):
            raise FunctionError(f'"{verb.raw}" needs argument {position}, but there are {len(args)}')
        pieces.append(_formatted(verb, args[position - 1]))
        length += len(pieces[-1])
        if length > LONGEST:
            raise FunctionError(f"the result would have more than {LONGEST} characters")
        following, highest = position + 1, max(highest, position)
    pieces.append(pattern[at:])
    if highest < len(args):
        used = "none" if not highest else f"only {highest}"
        raise FunctionError(
            f"it is given {len(args)} arguments but uses {used}", advice="add a verb such as %s for each"
        )
    return "".join(pieces)


def _parse_verb(match: re.Match[str]) -> tuple[Verb, int]:
    flags, width, precision, index, mode = match.groups()
    if mode is None or width == "*":
        raise FunctionError(f'"{match.group()}" is not a complete verb', 0, "write %% for a literal percent sign")
    if mode not in "vtbdoxXeEfgGsq":
        raise FunctionError(
            f'there is no verb %{mode} (in "{match.group()}")', 0, "the usual ones are %s, %d, %v and %q"
        )
    if any(len(digits or "") > len(str(_WIDEST)) for digits in (width, precision, index)):
        raise FunctionError(f"a width of more than {_WIDEST}", 0)
    size = int(width) if width else None
    places = None if precision is None else int(precision or 0)
    if (size or 0) > _WIDEST or (places or 0) > _WIDEST:
        raise FunctionError(f'"{match.group()}" is wider than {_WIDEST}', 0)
    return Verb(match.group(), flags, size, places, mode), int(index or 0)


def _formatted(verb: Verb, value: Value) -> str:
    if isinstance(value, Null) and verb.mode != "v":
        raise FunctionError(f'null cannot be formatted by "{verb.raw}"', advice="use %v, which writes null")
    if verb.mode == "v":
        return verb.padded(_as_is(verb, value))
    try:
        if verb.mode == "t":
            return "true" if convert(value, BOOL) is True else "false"
        if verb.mode in "sq":
            return _text(verb, convert(value, STRING))
        number = convert(value, NUMBER)
    except ConversionError as error:
        raise FunctionError(f'an argument does not fit "{verb.raw}": {error}') from None
    assert isinstance(number, Number)
    return _number(verb, number)


def _as_is(verb: Verb, value: Value) -> str:
    if "#" not in verb.flags:
        if isinstance(value, str):
            return value
        if isinstance(value, Number):
            return format_float(value, "g", None)
    try:
        return to_json(value)
    except JsonError as error:
        raise FunctionError(f'an argument does not fit "{verb.raw}": {error}') from None


def _text(verb: Verb, value: Value) -> str:
    assert isinstance(value, str)
    if verb.precision:
        value = "".join(split_graphemes(value)[: verb.precision])
    return verb.padded(quote_json(value) if verb.mode == "q" else value)


def _number(verb: Verb, number: Number) -> str:
    if verb.mode in "bdoxX":
        if not number.is_integer:
            raise FunctionError(f'"{verb.raw}" needs a whole number')
        if verb.precision == 0 and number.is_zero:
            return ""
        try:
            return _aligned(verb, *_integer(verb, number.truncated()))
        except NumberError as error:
            raise FunctionError(str(error)) from None
    text = format_float(number, verb.mode, verb.precision, plus="+" in verb.flags)
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    zero = "0" in verb.flags and "-" not in verb.flags and not number.is_infinite
    return _aligned(verb, sign, "", digits, zero=zero)


def _integer(verb: Verb, value: int) -> tuple[str, str, str]:
    """Sign, prefix and digits of a whole number."""
    base = {"b": "b", "d": "d", "o": "o", "x": "x", "X": "X"}[verb.mode]
    digits = format(abs(value), base)
    prefix = {"o": "0", "x": "0x", "X": "0X", "b": "0b"}.get(verb.mode, "") if "#" in verb.flags else ""
    if verb.precision is not None:
        digits = digits.rjust(verb.precision, "0")
    return "-" if value < 0 else "+" if "+" in verb.flags else "", prefix, digits


def _aligned(verb: Verb, sign: str, prefix: str, digits: str, *, zero: bool | None = None) -> str:
    if not sign and " " in verb.flags:
        sign = " "
    missing = (verb.width or 0) - len(sign) - len(prefix) - len(digits)
    if missing <= 0:
        return sign + prefix + digits
    if zero is None:
        zero = "0" in verb.flags and "-" not in verb.flags and verb.precision is None
    if zero:
        return sign + prefix + "0" * missing + digits
    return sign + prefix + digits + " " * missing if "-" in verb.flags else " " * missing + sign + prefix + digits
