"""Dates and times, as RFC 3339 texts."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from hpcbake.bakefile.functions.arguments import whole
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.number import Number, from_int, parse_number
from hpcbake.bakefile.types import NUMBER, STRING
from hpcbake.bakefile.values import ObjectValue, Value, string

FUNCTIONS: Registry = {}
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})([.,][0-9]+)?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_TOKEN = re.compile(r"''|'(?:[^']|'')*'?|([A-Za-z])\1*|[^A-Za-z']+")
_DURATION = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_LONGEST_DURATION = 2**63 - 1


class Moment:
    """A point in time with its offset from UTC in minutes. Years run from 0 to 9999; datetime's own begin at 1."""

    def __init__(self, local: datetime, offset: int) -> None:
        self.local = local
        self.offset = offset

    def zone(self, colon: str, utc: str) -> str:
        if self.offset == 0 and utc:
            return utc
        size = abs(self.offset)
        return f"{'-' if self.offset < 0 else '+'}{size // 60:02d}{colon}{size % 60:02d}"

    def __str__(self) -> str:
        return self.local.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + self.zone(":", "Z")


def parse_moment(text: str, argument: int) -> Moment:
    """Read an RFC 3339 timestamp. Raises FunctionError."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        advice = "a timestamp looks like 2024-05-01T12:00:00Z"
        raise FunctionError(f'"{text}" is not an RFC 3339 timestamp', argument, advice)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    try:
        local = datetime(year, month, day, hour, minute, second)
    except ValueError as error:
        raise FunctionError(f'"{text}" is no such date: {error}', argument) from None
    sign, hours, minutes = match.group(8), int(match.group(9) or 0), int(match.group(10) or 0)
    if hours > 24 or minutes > 60:
        raise FunctionError(f'"{text}" has an offset from UTC that is out of range', argument)
    offset = hours * 60 + minutes
    return Moment(local, -offset if sign == "-" else offset)


@register(FUNCTIONS, "timestamp")
def _timestamp() -> Value:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@register(FUNCTIONS, "timeadd", Parameter("timestamp", STRING), Parameter("duration", STRING))
def _timeadd(timestamp: str, duration: str) -> Value:
    match = _TIMESTAMP.fullmatch(timestamp)
    moment = parse_moment(timestamp, 0)
    nanoseconds = parse_duration(duration)
    fraction = (match.group(7) or ".0")[1:] if match else "0"
    total = int(Fraction(int(fraction), 10 ** len(fraction)) * 10**9) + nanoseconds
    try:
        moved = moment.local + timedelta(seconds=total // 10**9)
    except OverflowError:
        raise FunctionError("the result is out of range") from None
    return str(Moment(moved, moment.offset))


def parse_duration(text: str) -> int:
    """Nanoseconds in a Go duration such as `1h30m` or `-2.5s`. Raises FunctionError."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total, at = Fraction(0), 0
    while at < len(rest):
        match = _DURATION.match(rest, at)
        if match is None or not (match.group(1) or match.group(2)):
            break
        fraction = match.group(2) or ""
        number = Fraction(int((match.group(1) or "0") + fraction), 10 ** len(fraction))
        total += number * _UNITS[match.group(3)]
        at = match.end()
    if not rest or at < len(rest) or total > _LONGEST_DURATION:
        raise FunctionError(f'"{text}" is not a duration', 1, "a duration looks like 1h30m or -10s")
    return -int(total) if text[0] == "-" else int(total)


@register(FUNCTIONS, "formatdate", Parameter("format", STRING), Parameter("time", STRING))
def _formatdate(pattern: str, timestamp: str) -> Value:
    return string(format_moment(pattern, parse_moment(timestamp, 1)))


@register(FUNCTIONS, "formattimestamp", Parameter("format", STRING), Parameter("timestamp"))
def _formattimestamp(pattern: str, timestamp: Value) -> Value:
    """Like formatdate; the timestamp may also be a number of seconds since 1970."""
    seconds = parse_number(timestamp) if isinstance(timestamp, str) else timestamp
    if isinstance(seconds, Number):
        return string(format_moment(pattern, _from_seconds(seconds, 1)))
    if not isinstance(timestamp, str):
        raise FunctionError("it must be a timestamp, or a number of seconds since 1970", 1)
    return string(format_moment(pattern, parse_moment(timestamp, 1)))


def _from_seconds(number: Number, argument: int) -> Moment:
    try:
        return Moment(datetime(1970, 1, 1) + timedelta(seconds=whole(number, argument)), 0)
    except OverflowError:
        raise FunctionError("this time is out of range", argument) from None


@register(FUNCTIONS, "unixtimestampparse", Parameter("unix_timestamp", NUMBER))
def _unixtimestampparse(number: Number) -> Value:
    moment = _from_seconds(number, 0)
    local = moment.local
    iso_year, iso_week, _ = local.isocalendar()
    numbers = {
        "year": local.year,
        "year_day": local.timetuple().tm_yday,
        "day": local.day,
        "month": local.month,
        "weekday": (local.weekday() + 1) % 7,
        "hour": local.hour,
        "minute": local.minute,
        "second": local.second,
        "iso_year": iso_year,
        "iso_week": iso_week,
    }
    texts = {
        "month_name": calendar.month_name[local.month],
        "weekday_name": calendar.day_name[local.weekday()],
        "rfc3339": str(moment),
    }
    return ObjectValue({**{name: from_int(n) for name, n in numbers.items()}, **texts})


def format_moment(pattern: str, moment: Moment) -> str:
    """A date in the given pattern: `YYYY-MM-DD hh:mm`, text in single quotes. Raises FunctionError."""
    return "".join(_format_token(match.group(), moment) for match in _TOKEN.finditer(pattern))


def _format_token(token: str, moment: Moment) -> str:
    if token[0] == "'":
        return _quoted(token)
    if not token[0].isascii() or not token[0].isalpha():
        return token
    shown = _verbs(moment).get(token)
    if shown is None:
        advice = "put literal text into single quotes; YYYY MM DD hh mm ss are the usual parts"
        raise FunctionError(f'"{token}" is not a part of a date', 0, advice)
    return shown


def _quoted(text: str) -> str:
    if text == "''":
        return "'"
    if len(text) == 1 or text[-1] != "'" or _is_unclosed(text):
        raise FunctionError("a ' is not closed", 0)
    return text[1:-1].replace("''", "'")


def _is_unclosed(token: str) -> bool:
    """A text that ends in an escaped quote is not closed."""
    body = token[1:]
    return (len(body) - len(body.rstrip("'"))) % 2 == 0


def _verbs(moment: Moment) -> dict[str, str]:
    local = moment.local
    hour12 = local.hour % 12 or 12
    month, day = calendar.month_name[local.month], calendar.day_name[local.weekday()]
    half = "AM" if local.hour < 12 else "PM"
    return {
        "YY": f"{local.year % 100:02d}", "YYYY": f"{local.year:04d}",
        "M": str(local.month), "MM": f"{local.month:02d}", "MMM": month[:3], "MMMM": month,
        "D": str(local.day), "DD": f"{local.day:02d}", "EEE": day[:3], "EEEE": day,
        "h": str(local.hour), "hh": f"{local.hour:02d}", "H": str(hour12), "HH": f"{hour12:02d}",
        "AA": half, "aa": half.lower(),
        "m": str(local.minute), "mm": f"{local.minute:02d}", "s": str(local.second), "ss": f"{local.second:02d}",
        "Z": moment.zone(":", "Z"), "ZZZ": moment.zone("", "UTC"), "ZZZZ": moment.zone("", ""),
        "ZZZZZ": moment.zone(":", ""),
    }  # fmt: skip
