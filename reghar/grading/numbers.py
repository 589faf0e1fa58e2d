"""Numbers as people and models write them, read exactly: no float, no computer algebra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

MAX_EXPONENT = 2000
"""Powers of ten beyond this are not expanded."""

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_DECIMAL = re.compile(rf"({_DIGITS})?(?:\.(\d*)(?:\\(?:overline|bar|dot)\s?\{{?(\d+)\}}?)?)?")
_POWER = re.compile(
    r"(?P<mantissa>[\d.,]+)?\s?(?:[eE]\s?(?P<e>[+-]?\d{1,9})"
    r"|(?P<times>\\times|\\cdot|\*|x|X)?\s?10\s?\^\s?(?:\{\s?\(?(?P<braced>[+-]?\s?\d{1,9})\)?\s?\}|\(?(?P<bare>[+-]?\d{1,9})\)?))"
)
_FRACTION = re.compile(
    r"(?P<whole>\d+)?\s?\\frac\s?(?:\{\s?(?P<n>[^{}]{1,60}?)\s?\}|(?P<n1>\d))\s?(?:\{\s?(?P<d>[^{}]{1,60}?)\s?\}|(?P<d1>\d))"
)
_SLASH = re.compile(r"(?:(?P<whole>\d+)\s)?(?P<n>[\d.,]{1,60})\s?/\s?(?P<d>[\d.,]{1,60})")
_TEXT = re.compile(r"\\text\s?\{\s?([a-zA-Z]{3,9})\s?\}")
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    "twenty",
)


@dataclass(frozen=True, slots=True)
class Number:
    """A rational number and whether it was written exactly (no decimal point, no exponent)."""

    value: Fraction
    exact: bool


@lru_cache(maxsize=4096)
def read_number(text: str) -> Number | None:
    """The number that the whole of a cleaned text stands for; None where it is anything else.

    Reads signs, thousands separators, decimals (with a repeating tail), powers of ten in every spelling
    (`2e27`, `2.0E+27`, `2\\times10^{27}`), fractions (`\\frac{1}{2}`, `\\frac12`, `-1./3`), mixed numbers
    and the words up to twenty.
    """
    text = text.strip()
    sign = 1
    while text:
        if text[0] in "+-":
            sign = -sign if text[0] == "-" else sign
            text = text[1:].lstrip()
        elif _wraps(text):
            text = text[1:-1].strip()
        else:
            break
    number = _unsigned(text) if text else None
    return None if number is None else Number(sign * number.value, number.exact)


def equal(gold: Number, answer: Number, tolerance: Fraction, golds_rounded: bool) -> bool:
    """Equal numbers, or, where one is rounded, within the relative tolerance.

    Two numbers written exactly are compared exactly (14400 is not 14401), unless the task says that
    its golds are rounded. The difference is taken relative to the larger of the two.
    """
    if gold.value == answer.value:
        return True
    if gold.exact and answer.exact and not golds_rounded:
        return False
    return abs(gold.value - answer.value) <= tolerance * max(abs(gold.value), abs(answer.value))


def _wraps(text: str) -> bool:
    """True for `(...)` and `{...}` around the whole text, with nothing of the kind inside."""
    pair = text[0] + text[-1]
    return len(text) > 2 and pair in ("()", "{}") and not any(c in text[1:-1] for c in "(){}")


def _unsigned(text: str) -> Number | None:
    if match := _TEXT.fullmatch(text):
        text = match[1]
    if text.lower() in _WORDS:
        return Number(Fraction(_WORDS.index(text.lower())), True)
    for read in (_decimal, _power, _fraction, _slash):
        number = read(text)
        if number is not None:
            return number
    return None


def _decimal(text: str) -> Number | None:
    match = _DECIMAL.fullmatch(text)
    if not match or not (match[1] or match[2] or match[3]):
        return None
    whole, tail, repeating = match[1] or "0", match[2], match[3]
    value = Fraction(re.sub("[, ]", "", whole))
    if tail:
        value += Fraction(int(tail), 10 ** len(tail))
    if repeating:
        value += Fraction(int(repeating), (10 ** len(repeating) - 1) * 10 ** len(tail or ""))
    return Number(value, not tail or bool(repeating))


def _power(text: str) -> Number | None:
    match = _POWER.fullmatch(text)
    if not match:
        return None
    mantissa = _decimal(match["mantissa"]) if match["mantissa"] else Number(Fraction(1), True)
    if mantissa is None or bool(match["mantissa"]) != bool(match["times"] or match["e"]):
        return None
    exponent = int((match["e"] or match["braced"] or match["bare"]).replace(" ", ""))
    if abs(exponent) > MAX_EXPONENT:
        return None
    exact = mantissa.exact and not match["mantissa"]
    return Number(mantissa.value * Fraction(10) ** exponent, exact)


def _fraction(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text)
    if not match:
        return None
    return _quotient(match["whole"], match["n"] or match["n1"], match["d"] or match["d1"])


def _slash(text: str) -> Number | None:
    match = _SLASH.fullmatch(text)
    return _quotient(match["whole"], match["n"], match["d"]) if match else None


def _quotient(whole: str | None, numerator: str, denominator: str) -> Number | None:
    top, bottom = read_plain(numerator), read_plain(denominator)
    if top is None or bottom is None or bottom.value == 0 or (whole and top.value < 0):
        return None
    return Number(Fraction(whole or 0) + top.value / bottom.value, top.exact and bottom.exact)


def read_plain(text: str) -> Number | None:
    """A signed decimal or power of ten: what may stand above or below a fraction bar."""
    text = text.strip()
    sign = -1 if text.startswith("-") else 1
    number = _decimal(text.lstrip("+-").lstrip()) or _power(text.lstrip("+-").lstrip())
    return None if number is None else Number(sign * number.value, number.exact)
