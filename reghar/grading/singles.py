"""Equality of two single values: same text, numbers, units, words, bases, and last computer algebra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from reghar.grading import numbers
from reghar.grading.expressions import equal_expressions
from reghar.grading.numbers import Number, read_number
from reghar.grading.units import Quantity, known, multiplier, split_unit

_BASES = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_BASED = re.compile(
    r"\s*\(?([0-9A-Fa-f][0-9A-Fa-f\s,]*)\)?\s?_\s?\{?\s?(?:\\text\s?\{)?\s?(\w{1,12})\s?\}{0,2}\s*"
)


class NeedsAlgebraError(Exception):
    """Only computer algebra can decide, and it was not to be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How two answers are compared."""

    tolerance: Fraction
    """Relative, for numbers that are rounded."""
    golds_rounded: bool
    """True where the tolerance also holds between numbers written exactly."""
    quickly: bool
    """True where computer algebra must not be used."""


def compare_singles(gold: str, answer: str, settings: Settings) -> tuple[bool, str]:
    """Whether the answer is the gold, and the rule that decided.

    Raises NeedsAlgebraError where only computer algebra can tell and `settings.quickly` forbids it.
    """
    if spelling(gold) == spelling(answer):
        return True, "the same text"
    wanted, given = _measured_gold(gold), split_unit(answer)
    wanted_number = _number(wanted.text)
    if given.bare and wanted_number is None:
        given = Quantity(answer, "")
    if _units_differ(wanted.unit, given.unit):
        return False, f"the units differ: {wanted.unit}, {given.unit}"
    given_number = _number(given.text)
    if wanted_number is not None and given_number is not None:
        return _compare_numbers(wanted_number, given_number, settings)
    if (wanted.unit or given.unit) and spelling(wanted.text) == spelling(given.text):
        return True, "the same text but for a unit"
    if _BASED.fullmatch(gold) or _BASED.fullmatch(answer):
        return _compare_bases(gold, answer)
    if (word := words(gold)) is not None:
        same = plain_word(answer) == word
        return same, "the same words" if same else "other words"
    if wanted_number is not None and not re.search(r"\d|\\[a-zA-Z]|^[a-zA-Z]$", given.text):
        return False, "not a number"
    if settings.quickly:
        raise NeedsAlgebraError
    equal = equal_expressions(wanted.text, given.text, settings.tolerance, settings.golds_rounded)
    return equal, f"{'equal' if equal else 'not equal'} by computer algebra"


def _compare_numbers(gold: Number, answer: Number, settings: Settings) -> tuple[bool, str]:
    if gold.value == answer.value:
        return True, "equal numbers"
    if numbers.equal(gold, answer, settings.tolerance, settings.golds_rounded):
        return True, "numbers within the tolerance"
    return False, "different numbers"


def _compare_bases(gold: str, answer: str) -> tuple[bool, str]:
    (wanted, wanted_base), (given, given_base) = _digits(gold), _digits(answer)
    if wanted_base and given_base and wanted_base != given_base:
        return False, "another base"
    return wanted == given, "the same digits" if wanted == given else "other digits"


def _digits(text: str) -> tuple[str, str]:
    """Digits and base of a number such as `52_8`; the base is empty where there is none."""
    match = _BASED.fullmatch(text)
    if match is None:
        return re.sub(r"[\s,]", "", text), ""
    base = match[2].lower()
    return re.sub(r"[\s,]", "", match[1]).upper(), str(_BASES.index(base) + 2) if base in _BASES else base


def _units_differ(gold: str, answer: str) -> bool:
    return bool(gold and answer) and gold != answer and known(gold) and known(answer)


def _number(text: str) -> Number | None:
    number = read_number(text)
    if number is not None:
        return number
    rest, factor = multiplier(text)
    number = read_number(rest) if factor != 1 else None
    return None if number is None else Number(number.value * factor, number.exact)


def _measured_gold(gold: str) -> Quantity:
    """A gold's bare letters are a unit only after a plain number and a space (`6 cm`, not `6m`)."""
    measured = split_unit(gold)
    return Quantity(gold, "") if measured.bare and not re.match(r"[-\d.,]+\s", gold) else measured


@lru_cache(maxsize=4096)
def spelling(text: str) -> str:
    """The text without what never matters: spaces, braces around one character, multiplication dots."""
    text = re.sub(r"\\frac\s?(\d)\s?(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"([_^])\s?\{\s?(\w)\s?\}", r"\1\2", text)
    text = re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])", "\\1\x00", text)
    text = re.sub(r"(?<=\d)(,?)\s+(?=\d)", "\\1\x00", text)
    return re.sub(r"\s", "", text).replace("\x00", " ").rstrip(".")


def words(text: str) -> str | None:
    r"""The words of `\text{east}` or `Navin` in lower case; None where the text is not words alone."""
    plain = re.sub(r"\\text\s?\{([^{}]*)\}", r" \1 ", text)
    if not re.fullmatch(r"[a-zA-Z\s'().,-]+", plain):
        return None
    if "\\text" not in text and not re.search(r"[a-zA-Z]{3}", plain):
        return None
    return plain_word(text)


def plain_word(text: str) -> str:
    """Letters and digits in lower case, without an article."""
    plain = re.sub(r"\\text\s?\{([^{}]*)\}", r" \1 ", text).lower()
    found = re.findall(r"[a-z0-9]+", plain)
    return " ".join(found[1:] if found[:1] in (["the"], ["a"], ["an"]) and len(found) > 1 else found)
