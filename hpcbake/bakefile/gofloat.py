"""Floating-point numbers as Go has them: the formats %e, %f and %g of big.Float, and powers to the last bit."""

from __future__ import annotations

import math

from hpcbake.bakefile.number import MAX_DIGITS, Number, NumberError, shortest_digits


def format_float(number: Number, mode: str, precision: int | None, *, plus: bool = False) -> str:
    """The number in format `mode` (e, E, f, g or G). %g without a precision is the shortest exact form."""
    sign = "-" if number.negative else "+" if plus else ""
    if number.is_infinite:
        return ("-" if number.negative else "+") + "Inf"
    if mode in "gG" and precision is None:
        return sign + _general(*shortest_digits(number), mode, None)
    digits, point = _decimal(number)
    if mode in "gG":
        return sign + _general(digits, point, mode, precision)
    places = 6 if precision is None else precision
    if mode in "eE":
        digits, point = _round(digits, point, places + 1)
        return sign + _scientific(digits, point, places, mode)
    digits, point = _round(digits, point, point + places)
    return sign + _fixed(digits, point, places)


def _decimal(number: Number) -> tuple[str, int]:
    """All digits of a number and the place of its point: 0.digits * 10^point."""
    mantissa, exponent = number.mantissa or 0, number.exponent
    if abs(exponent) > 4 * MAX_DIGITS:
        raise NumberError(f"a number with more than {MAX_DIGITS} digits cannot be written out")
    if mantissa == 0:
        return "", 0
    if exponent >= 0:
        digits = str(mantissa << exponent)
        return digits.rstrip("0"), len(digits)
    digits = str(mantissa * 5**-exponent)
    return digits.rstrip("0"), len(digits) + exponent


def _round(digits: str, point: int, count: int) -> tuple[str, int]:
    """The first `count` digits, rounded half to even."""
    if count >= len(digits):
        return digits, point
    if count < 0:
        return "", point
    kept, rest = digits[:count], digits[count:]
    half = "5" + "0" * (len(rest) - 1)
    up = rest > half or (rest == half and bool(kept) and int(kept[-1]) % 2 == 1)
    if up:
        kept = str(int(kept or "0") + 1).rjust(count, "0")
        if len(kept) > count:
            point += 1
    return kept.rstrip("0"), point


def _fixed(digits: str, point: int, places: int) -> str:
    whole = digits[:point].ljust(point, "0") if point > 0 else "0"
    if places == 0:
        return whole
    fraction = ("0" * -point + digits) if point < 0 else digits[point:]
    return f"{whole}.{fraction.ljust(places, '0')[:places]}"


def _scientific(digits: str, point: int, places: int, mode: str) -> str:
    exponent = point - 1 if digits else 0
    padded = (digits or "0").ljust(places + 1, "0")
    fraction = f".{padded[1 : places + 1]}" if places else ""
    return f"{padded[0]}{fraction}{mode}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _general(digits: str, point: int, mode: str, precision: int | None) -> str:
    """The shorter of the other two forms; with no precision, all `digits` are shown."""
    if precision is not None:
        digits, point = _round(digits, point, precision or 1)
    threshold = 6 if precision is None else precision or 1
    if precision is not None and threshold > len(digits) and len(digits) >= point:
        threshold = len(digits)
    exponent = point - 1 if digits else 0
    if digits and (exponent < -4 or exponent >= threshold):
        return _scientific(digits, point, len(digits) - 1, "e" if mode == "g" else "E")
    return _fixed(digits, point, max(len(digits) - point, 0)) if digits else "0"


#: Beyond this binary exponent every further square over- or underflows.
_FAR = 1 << 12


def power(base: float, exponent: float) -> float:
    """`base` to the `exponent`, rounded at each step as Go rounds it. Raises OverflowError, ValueError as math.pow.

    The whole part of the exponent by squaring a mantissa between ½ and 1 whose binary exponent is kept apart, the
    rest by logarithm: the last digits differ from those of the C library.
    """
    if exponent in (0, 1) or base in (0, 1) or math.isinf(base) or math.isinf(exponent):
        return math.pow(base, exponent)
    if abs(exponent) == 0.5 and base > 0:
        root = math.sqrt(base)
        return root if exponent > 0 else 1 / root
    rest, whole = math.modf(abs(exponent))
    if (rest and base < 0) or whole >= 2.0**63:
        return math.pow(base, exponent)
    result, scale = 1.0, 0
    if rest:
        if rest > 0.5:
            rest, whole = rest - 1, whole + 1
        result = math.exp(rest * math.log(base))
    square, binary = math.frexp(base)
    left = int(whole)
    while left:
        if abs(binary) > _FAR:
            scale += binary
            break
        if left & 1:
            result, scale = result * square, scale + binary
        square, binary = square * square, binary * 2
        if square < 0.5:
            square, binary = square * 2, binary - 1
        left >>= 1
    return math.ldexp(result, scale) if exponent > 0 else math.ldexp(1 / result, -scale)
