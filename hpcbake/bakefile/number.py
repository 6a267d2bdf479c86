"""Numbers as bake's language has them: binary floating point of up to 512 bits, rounded to nearest even.

buildx computes with Go's big.Float. To print the same digits, every number carries its precision in bits, as there:
literals have 512, counts 64, results of floating-point functions 53. `0.1 + 0.2` is 0.3 and `1 / 3` has 155 digits.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import frexp, inf, isinf

LITERAL_PRECISION = 512
INTEGER_PRECISION = 64
FLOAT_PRECISION = 53
#: Go's largest binary exponent; beyond it lies infinity, below its negative lies zero.
_MAX_EXPONENT = 2**31 - 1
#: Numbers with more digits than this are refused where they would have to be written out.
MAX_DIGITS = 100_000

_DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:([eEpP])([+-]?[0-9]+))?")


class NumberError(ValueError):
    """An operation without a result, such as infinity minus infinity."""


class Number:
    """`(-1)^negative * mantissa * 2^exponent`; infinite if `mantissa` is None. Immutable, compared by value.

    A finite mantissa is odd or zero, so equal values have equal fields; `precision` is not part of the value.
    """

    __slots__ = ("exponent", "mantissa", "negative", "precision")

    def __init__(self, negative: bool, mantissa: int | None, exponent: int, precision: int) -> None:
        if mantissa:
            shift = (mantissa & -mantissa).bit_length() - 1
            if shift:
                mantissa >>= shift
                exponent += shift
            if exponent + mantissa.bit_length() > _MAX_EXPONENT:
                mantissa, exponent = None, 0
            elif exponent + mantissa.bit_length() < -_MAX_EXPONENT:
                mantissa, exponent = 0, 0
        else:
            exponent = 0
        self.negative = negative
        self.mantissa = mantissa
        self.exponent = exponent
        self.precision = precision

    # -- comparing

    @property
    def is_infinite(self) -> bool:
        return self.mantissa is None

    @property
    def is_zero(self) -> bool:
        return self.mantissa == 0

    @property
    def is_integer(self) -> bool:
        return self.mantissa is not None and self.exponent >= 0

    @property
    def sign(self) -> int:
        if self.mantissa == 0:
            return 0
        return -1 if self.negative else 1

    def compare(self, other: Number) -> int:
        """-1, 0 or 1, as self is less than, equal to or greater than other."""
        if self.sign != other.sign:
            return -1 if self.sign < other.sign else 1
        if self.sign == 0:
            return 0
        size = _compare_sizes(self, other)
        return -size if self.negative else size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.compare(other) == 0

    def __lt__(self, other: Number) -> bool:
        return self.compare(other) < 0

    def __hash__(self) -> int:
        return hash((self.sign, self.mantissa, self.exponent))

    # -- arithmetic: the result has the greater of the two precisions

    def negate(self) -> Number:
        return Number(not self.negative, self.mantissa, self.exponent, self.precision)

    def absolute(self) -> Number:
        return Number(False, self.mantissa, self.exponent, self.precision)

    def add(self, other: Number) -> Number:
        precision = max(self.precision, other.precision)
        if self.mantissa is None or other.mantissa is None:
            return _add_infinite(self, other, precision)
        low = min(self.exponent, other.exponent)
        spread = abs(self.exponent - other.exponent)
        if spread > 4 * precision + self.mantissa.bit_length() + other.mantissa.bit_length():
            bigger = max(
                self, other, key=lambda n: n.exponent + (n.mantissa or 0).bit_length() if n.mantissa else -_MAX_EXPONENT
            )
            return rounded(bigger.negative, bigger.mantissa or 0, bigger.exponent, precision)
        total = self._scaled(low) + other._scaled(low)
        if total == 0:
            return Number(self.negative and other.negative, 0, 0, precision)
        return rounded(total < 0, abs(total), low, precision)

    def _scaled(self, exponent: int) -> int:
        assert self.mantissa is not None
        size = self.mantissa << (self.exponent - exponent) if self.mantissa else 0
        return -size if self.negative else size

    def subtract(self, other: Number) -> Number:
        return self.add(other.negate())

    def multiply(self, other: Number, precision: int = 0) -> Number:
        """The product; `precision` 0 means the greater of the operands', or as many bits as it needs up to 512."""
        negative = self.negative != other.negative
        if not precision:
            precision = max(self.precision, other.precision)
            wide = self.multiply(other, LITERAL_PRECISION)
            if wide.mantissa is None:
                return wide
            return rounded(wide.negative, wide.mantissa, wide.exponent, max(precision, wide.mantissa.bit_length()))
        if self.mantissa is None or other.mantissa is None:
            if self.is_zero or other.is_zero:
                raise NumberError("zero times infinity has no value")
            return Number(negative, None, 0, precision)
        return rounded(negative, self.mantissa * other.mantissa, self.exponent + other.exponent, precision)

    def divide(self, other: Number, precision: int = 0) -> Number:
        """The quotient; a division by zero gives infinity."""
        precision = precision or max(self.precision, other.precision)
        negative = self.negative != other.negative
        if (self.is_zero and other.is_zero) or (self.is_infinite and other.is_infinite):
            raise NumberError("zero by zero and infinity by infinity have no value")
        if self.mantissa is None or other.mantissa == 0:
            return Number(negative, None, 0, precision)
        if other.mantissa is None or self.mantissa == 0:
            return Number(negative, 0, 0, precision)
        shift = max(precision + 2 + other.mantissa.bit_length() - self.mantissa.bit_length(), 0)
        quotient, rest = divmod(self.mantissa << shift, other.mantissa)
        # A sticky last bit keeps the rounding right when the division does not come out even.
        quotient = quotient << 1 | (1 if rest else 0)
        return rounded(negative, quotient, self.exponent - other.exponent - shift - 1, precision)

    def modulo(self, other: Number) -> Number:
        """The remainder with the sign of the dividend; modulo zero gives the dividend back."""
        if self.is_infinite or other.is_infinite:
            return self.multiply(other)
        if other.is_zero:
            return self
        quotient = self.divide(other).truncated()
        whole = rounded(quotient < 0, abs(quotient), 0, self.precision)
        return self.subtract(other.multiply(whole, self.precision))

    # -- whole numbers

    def truncated(self) -> int:
        """The integer part (towards zero). Raises NumberError if it is infinite or has too many digits."""
        if self.mantissa is None:
            raise NumberError("infinity is not a whole number")
        if self.exponent > 4 * MAX_DIGITS:
            raise NumberError(f"a number with more than {MAX_DIGITS} digits")
        size = self.mantissa << self.exponent if self.exponent >= 0 else self.mantissa >> -self.exponent
        return -size if self.negative else size

    def floor(self) -> Number:
        whole = self.truncated()
        return from_int(whole - 1 if self.negative and not self.is_integer else whole, self.precision)

    def to_float(self) -> float:
        """The nearest floating-point number (maybe infinite)."""
        if self.mantissa is None:
            return -inf if self.negative else inf
        near = rounded(self.negative, self.mantissa, self.exponent, FLOAT_PRECISION)
        try:
            value = float(near.mantissa or 0) * 2.0**near.exponent if abs(near.exponent) < 1000 else _tiny_or_huge(self)
        except OverflowError:
            value = inf
        return -value if self.negative else value

    # -- text

    def __str__(self) -> str:
        """The shortest decimal that gives this number back at its precision, never with an exponent."""
        sign = "-" if self.negative else ""
        if self.mantissa is None:
            return ("-" if self.negative else "+") + "Inf"
        if self.mantissa == 0:
            return sign + "0"
        if self.exponent >= 0 and self.mantissa.bit_length() + self.exponent <= self.precision:
            return f"{sign}{self.mantissa << self.exponent}"
        digits, point = shortest_digits(self)
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        if point >= len(digits):
            return sign + digits + "0" * (point - len(digits))
        return f"{sign}{digits[:point]}.{digits[point:]}"

    def __repr__(self) -> str:
        return f"Number({self})"


def rounded(negative: bool, mantissa: int, exponent: int, precision: int) -> Number:
    """The number rounded to `precision` bits, to nearest, ties to even."""
    excess = mantissa.bit_length() - precision
    if excess > 0:
        kept = mantissa >> excess
        rest = mantissa & ((1 << excess) - 1)
        half = 1 << (excess - 1)
        if rest > half or (rest == half and kept & 1):
            kept += 1
        mantissa, exponent = kept, exponent + excess
    return Number(negative, mantissa, exponent, precision)


def _compare_sizes(a: Number, b: Number) -> int:
    if a.mantissa is None or b.mantissa is None:
        return (a.mantissa is None) - (b.mantissa is None)
    top_a, top_b = a.exponent + a.mantissa.bit_length(), b.exponent + b.mantissa.bit_length()
    if top_a != top_b:
        return -1 if top_a < top_b else 1
    low = min(a.exponent, b.exponent)
    left, right = a.mantissa << (a.exponent - low), b.mantissa << (b.exponent - low)
    return (left > right) - (left < right)


def _add_infinite(a: Number, b: Number, precision: int) -> Number:
    if a.mantissa is None and b.mantissa is None and a.negative != b.negative:
        raise NumberError("infinity minus infinity has no value")
    return Number(a.negative if a.mantissa is None else b.negative, None, 0, precision)


def _tiny_or_huge(number: Number) -> float:
    assert number.mantissa is not None
    top = number.exponent + number.mantissa.bit_length()
    if top > 1024:
        return inf
    if top < -1080:
        return 0.0
    from fractions import Fraction

    return float(Fraction(number.mantissa) * Fraction(2) ** number.exponent)


def shortest_digits(number: Number) -> tuple[str, int]:
    """The shortest digits that give a finite number back at its precision, as 0.digits * 10^point.

    Raises NumberError if there would be far too many.
    """
    mantissa, exponent, precision = number.mantissa or 0, number.exponent, number.precision
    if mantissa == 0:
        return "", 0
    if abs(exponent) > 4 * MAX_DIGITS:
        raise NumberError(f"a number with more than {MAX_DIGITS} digits cannot be written out")
    extra = precision - mantissa.bit_length()
    mantissa, exponent = mantissa << extra, exponent - extra
    # In units of half the last place: the value and its neighbours' midpoints.
    value, unit = mantissa << 2, exponent - 2
    above = value + 2
    below = value - 1 if mantissa == 1 << (precision - 1) else value - 2
    even = not mantissa & 1
    if unit >= 0:
        scale = 1
        value, above, below = value << unit, above << unit, below << unit
    else:
        scale = 1 << -unit
    point = len(str(above // scale)) if above >= scale else -_leading_zeros(above, scale)
    # Make the value a fraction 0.d1d2d3… of `scale`.
    if point >= 0:
        scale *= 10**point
    else:
        factor = 10**-point
        value, above, below = value * factor, above * factor, below * factor
    return _digits_between(value, below, above, scale, even), point


def _leading_zeros(size: int, scale: int) -> int:
    """How many zeros stand behind the decimal point of size/scale (< 1) before its first digit."""
    zeros = max(int((scale.bit_length() - size.bit_length()) * 0.30102) - 1, 0)
    while size * 10 ** (zeros + 1) < scale:
        zeros += 1
    return zeros


def _digits_between(value: int, below: int, above: int, scale: int, inclusive: bool) -> str:
    """The shortest digits d with below < 0.d * scale < above, nearest to value."""
    digits: list[str] = []
    while True:
        value, below, above = value * 10, below * 10, above * 10
        digit, value = divmod(value, scale)
        below -= digit * scale
        above -= digit * scale
        down_fits = below < 0 or (inclusive and below == 0) or not value
        up_fits = above > scale or (inclusive and above == scale)
        if down_fits and up_fits and value:
            digits.append(str(digit + (2 * value >= scale if digit & 1 else 2 * value > scale)))
        else:
            digits.append(str(digit + (up_fits and not down_fits)))
        if down_fits or up_fits:
            return _carried(digits)


def _carried(digits: list[str]) -> str:
    """A last digit of 10 is carried; trailing zeros are dropped."""
    at = len(digits) - 1
    while at > 0 and digits[at] == "10":
        digits[at] = "0"
        at -= 1
        digits[at] = str(int(digits[at]) + 1)
    return "".join(digits).rstrip("0") or "0"


def from_int(value: int, precision: int = INTEGER_PRECISION) -> Number:
    """A whole number; it gets more bits than asked for if it needs them."""
    size = abs(value)
    return Number(value < 0, size, 0, max(precision, size.bit_length()))


def from_float(value: float) -> Number:
    """A floating-point number, exactly."""
    if isinf(value):
        return Number(value < 0, None, 0, FLOAT_PRECISION)
    fraction, exponent = frexp(abs(value))
    negative = value < 0 or (value == 0 and str(value)[0] == "-")
    return Number(negative, int(fraction * 2**53), exponent - 53, FLOAT_PRECISION)


@lru_cache(maxsize=4096)
def parse_number(text: str, precision: int = LITERAL_PRECISION) -> Number | None:
    """Read a decimal number as Go's big.ParseFloat does (also `Inf` and `1p3`); None if it is none."""
    if text.lstrip("+-") in ("Inf", "inf") and len(text.lstrip("+-")) >= len(text) - 1:
        return Number(text[0] == "-", None, 0, precision)
    match = _DECIMAL.fullmatch(text)
    if match is None or not (match.group(2) or match.group(3)):
        return None
    sign, whole, fraction, marker, exponent_text = match.groups()
    fraction = fraction or ""
    digits = (whole + fraction).lstrip("0")
    if len(digits) > MAX_DIGITS or len(exponent_text or "") > 18:
        return None
    negative = sign == "-"
    if not digits:
        return Number(negative, 0, 0, precision)
    exponent = int(exponent_text or 0)
    five = -len(fraction) + (exponent if marker in ("e", "E") else 0)
    two = five if marker in ("e", "E", None) else exponent - len(fraction)
    if abs(two) > _MAX_EXPONENT:
        return None
    mantissa = Number(negative, int(digits), two, max(precision, 4 * len(digits) + 1))
    if five == 0:
        return (
            rounded(negative, mantissa.mantissa or 0, mantissa.exponent, precision) if mantissa.mantissa else mantissa
        )
    power = _power_of_five(abs(five), precision + 64)
    return mantissa.divide(power, precision) if five < 0 else mantissa.multiply(power, precision)


def _power_of_five(power: int, precision: int) -> Number:
    """5 to a power, rounded as Go rounds it on the way."""
    start = min(power, 27)
    result = from_int(5**start, precision)
    power -= start
    factor = from_int(5, precision + 64)
    while power:
        if power & 1:
            result = result.multiply(factor, precision)
        factor = factor.multiply(factor, precision + 64)
        power >>= 1
    return result


ZERO = from_int(0)
ONE = from_int(1)
