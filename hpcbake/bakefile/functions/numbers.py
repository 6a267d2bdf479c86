"""Arithmetic and comparison."""

from __future__ import annotations

import math

from hpcbake.bakefile.functions.arguments import whole
from hpcbake.bakefile.functions.function import FunctionError, Parameter, Registry, register
from hpcbake.bakefile.gofloat import power
from hpcbake.bakefile.number import (
    LITERAL_PRECISION,
    ONE,
    ZERO,
    Number,
    NumberError,
    from_float,
    from_int,
)
from hpcbake.bakefile.types import NUMBER
from hpcbake.bakefile.values import ListValue, Value

FUNCTIONS: Registry = {}
_NUM, _A, _B = Parameter("num", NUMBER), Parameter("a", NUMBER), Parameter("b", NUMBER)
_NUMBERS = Parameter("numbers", NUMBER)
#: As many elements may `range` make.
_LONGEST_RANGE = 1024


@register(FUNCTIONS, "absolute", _NUM)
def _absolute(number: Number) -> Value:
    return number.absolute()


@register(FUNCTIONS, "add", _A, _B)
def _add(a: Number, b: Number) -> Value:
    return a.add(b)


@register(FUNCTIONS, "subtract", _A, _B)
def _subtract(a: Number, b: Number) -> Value:
    return a.subtract(b)


@register(FUNCTIONS, "multiply", _A, _B)
def _multiply(a: Number, b: Number) -> Value:
    return a.multiply(b)


@register(FUNCTIONS, "divide", _A, _B)
def _divide(a: Number, b: Number) -> Value:
    return a.divide(b)


@register(FUNCTIONS, "modulo", _A, _B)
def _modulo(a: Number, b: Number) -> Value:
    return a.modulo(b)


@register(FUNCTIONS, "negate", _NUM)
def _negate(number: Number) -> Value:
    return number.negate()


@register(FUNCTIONS, "greaterthan", _A, _B)
def _greaterthan(a: Number, b: Number) -> Value:
    return a.compare(b) > 0


@register(FUNCTIONS, "greaterthanorequalto", _A, _B)
def _greaterthanorequalto(a: Number, b: Number) -> Value:
    return a.compare(b) >= 0


@register(FUNCTIONS, "lessthan", _A, _B)
def _lessthan(a: Number, b: Number) -> Value:
    return a.compare(b) < 0


@register(FUNCTIONS, "lessthanorequalto", _A, _B)
def _lessthanorequalto(a: Number, b: Number) -> Value:
    return a.compare(b) <= 0


@register(FUNCTIONS, "min", variadic=_NUMBERS)
def _min(*numbers: Number) -> Value:
    return _first(numbers, -1)


@register(FUNCTIONS, "max", variadic=_NUMBERS)
def _max(*numbers: Number) -> Value:
    return _first(numbers, 1)


def _first(numbers: tuple[Number, ...], side: int) -> Number:
    if not numbers:
        raise FunctionError("it needs at least one number", advice="a list is expanded with ...: max(list...)")
    best = numbers[0]
    for number in numbers[1:]:
        if number.compare(best) == side:
            best = number
    return best


@register(FUNCTIONS, "int", _NUM)
def _int(number: Number) -> Value:
    return number if number.is_integer else from_int(number.truncated())


@register(FUNCTIONS, "ceil", _NUM)
def _ceil(number: Number) -> Value:
    if number.is_infinite or number.is_integer:
        return number
    up = number.negate().floor().negate()
    return Number(up.negative and not up.is_zero, up.mantissa, up.exponent, up.precision)


@register(FUNCTIONS, "floor", _NUM)
def _floor(number: Number) -> Value:
    return number if number.is_infinite or number.is_integer else number.floor()


@register(FUNCTIONS, "log", _NUM, Parameter("base", NUMBER))
def _log(number: Number, base: Number) -> Value:
    return _from_go(_go_log(number.to_float()), _go_log(base.to_float()))


def _go_log(value: float) -> float:
    if value < 0:
        return math.nan
    return -math.inf if value == 0 else math.log(value)


def _from_go(numerator: float, denominator: float) -> Number:
    """numerator / denominator as floating-point hardware divides."""
    if math.isnan(numerator) or math.isnan(denominator) or (numerator == 0 and denominator == 0):
        raise FunctionError("the logarithm has no value")
    if math.isinf(numerator) and math.isinf(denominator):
        raise FunctionError("the logarithm has no value")
    if denominator == 0:
        negative = (numerator < 0) != (math.copysign(1, denominator) < 0)
        return from_float(-math.inf if negative else math.inf)
    return from_float(numerator / denominator)


@register(FUNCTIONS, "pow", _NUM, Parameter("power", NUMBER))
def _pow(number: Number, to: Number) -> Value:
    base, exponent = number.to_float(), to.to_float()
    try:
        result = power(base, exponent)
    except OverflowError:
        odd = exponent == math.floor(exponent) and math.fmod(exponent, 2) != 0
        result = -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base != 0:
            raise FunctionError("the power has no value") from None
        result = math.inf
    return from_float(result)


@register(FUNCTIONS, "signum", _NUM)
def _signum(number: Number) -> Value:
    return from_int((whole(number) > 0) - (whole(number) < 0))


@register(FUNCTIONS, "parseint", Parameter("number"), Parameter("base", NUMBER))
def _parseint(text: Value, base_number: Number) -> Value:
    if not isinstance(text, str):
        raise FunctionError("a string is required", 0)
    base = whole(base_number, 1)
    if not 2 <= base <= 62:
        raise FunctionError("the base must be between 2 and 62", 1)
    digits = text[1:] if text[:1] in ("+", "-") else text
    values = [_digit(character, base) for character in digits]
    if not values or any(value is None or value >= base for value in values):
        raise FunctionError(f'"{text}" is not a whole number in base {base}', 0)
    total = 0
    for value in values:
        assert value is not None
        total = total * base + value
    return from_int(-total if text[0] == "-" else total, LITERAL_PRECISION)


def _digit(character: str, base: int) -> int | None:
    """Letters count from 10; up to base 36 their case does not matter."""
    if "0" <= character <= "9":
        return ord(character) - ord("0")
    if "a" <= character <= "z":
        return ord(character) - ord("a") + 10
    if "A" <= character <= "Z":
        return ord(character) - ord("A") + (10 if base <= 36 else 36)
    return None


@register(FUNCTIONS, "range", variadic=Parameter("params", NUMBER))
def _range(*params: Number) -> Value:
    start, end, step = _range_bounds(params)
    if step.is_zero:
        raise FunctionError("the step must not be zero", 2)
    down = step.sign < 0
    direction = end.compare(start)
    if direction == (1 if down else -1):
        raise FunctionError(f"the end must be {'less' if down else 'greater'} than the start with this step", 1)
    values: list[Value] = []
    number = start
    while number.compare(end) == (1 if down else -1):
        if len(values) >= _LONGEST_RANGE:
            raise FunctionError(f"it would make more than {_LONGEST_RANGE} numbers")
        values.append(number)
        try:
            number = number.add(step)
        except NumberError as error:
            raise FunctionError(str(error)) from None
    return ListValue(NUMBER, tuple(values))


def _range_bounds(params: tuple[Number, ...]) -> tuple[Number, Number, Number]:
    if len(params) == 3:
        return params[0], params[1], params[2]
    if len(params) not in (1, 2):
        raise FunctionError(
            "it takes one, two or three numbers", advice="range(end), range(start, end) or range(start, end, step)"
        )
    start, end = (ZERO, params[0]) if len(params) == 1 else params
    return start, end, ONE.negate() if end.compare(start) < 0 else ONE
