"""Units, currencies, percent and degree signs: what may stand beside a number without changing it.

One that only one side has is ignored (definitions: Grading). Where both sides have one, they must be
the same unit (in any of its spellings). A word that changes the number (`or`, `not`, `dozen`, ...) is
never a unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_SPELLINGS = """
percent: % percent percents percentage pct
degree: degree degrees deg
celsius: C celsius Celsius
fahrenheit: F fahrenheit Fahrenheit
dollar: dollar dollars USD bucks
cent: cent cents
euro: euro euros EUR
pound: pound pounds lb lbs GBP
meter: m meter meters metre metres
kilometer: km kilometer kilometers kilometre kilometres
centimeter: cm centimeter centimeters centimetre centimetres
millimeter: mm millimeter millimeters
nanometer: nm nanometer nanometers
angstrom: angstrom angstroms
inch: in inch inches
foot: ft foot feet
yard: yd yard yards
mile: mi mile miles
gram: g gram grams
kilogram: kg kilogram kilograms
milligram: mg milligram milligrams
ounce: oz ounce ounces
ton: ton tons tonne tonnes
second: s sec secs second seconds
minute: min mins minute minutes
hour: h hr hrs hour hours
day: day days
week: week weeks
month: month months
year: yr yrs year years
liter: l L liter liters litre litres
milliliter: ml mL milliliter milliliters
gallon: gal gallon gallons
newton: N newton newtons
joule: J joule joules
erg: erg ergs
watt: W watt watts
volt: V volt volts
ampere: A amp amps ampere amperes
ohm: ohm ohms
hertz: Hz hertz
kelvin: K kelvin kelvins
pascal: Pa pascal pascals
mole: mol mole moles
radian: rad rads radian radians
unit: unit units
parsec: pc parsec parsecs
mph: mph
""".strip()
_UNITS = {
    spelling: line.split(":")[0]
    for line in _SPELLINGS.splitlines()
    for spelling in line.split(":", 1)[1].split()
}
_UNITS |= {"/": "/", "per": "/", r"\AA": "angstrom", r"\Omega": "ohm"}

_MULTIPLIERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_WORDS = """
or and not no nor to than least most less more fewer greater below above under over minus plus negative
times half double twice triple mod modulo base factorial between except without divided hundred thousand
million billion trillion dozen dozens score infinity infinite undefined either neither both if when where
unless only up root pi cannot impossible none
"""
_CHANGING = frozenset(_WORDS.split())
_PREFIX = re.compile(r"^(?:\\text\s?\{\s?)?(?:USD|US|EUR|GBP|Rs\.?|INR|RMB|CNY)(?:\s?\})?\s?(?=[-\d.\\])")
_MULTIPLIER = re.compile(
    r"\s?(?:\\text\s?\{\s?)?(hundred|thousand|million|billion|trillion)(?![a-zA-Z])\s?\}?"
)
_TEXT = re.compile(r"\\text\s?\{([^{}]{0,80})\}")
_TOKEN = re.compile(
    r"(?P<text>\\text\s?\{[^{}]{0,80}\})|(?P<degree>\^\\circ)|(?P<power>\^\s?(?:\{\s?-?\d\s?\}|-?\d))"
    r"|(?P<sign>%|\\AA|\\Omega)|(?P<word>(?<![\\a-zA-Z])[a-zA-Z]+)|(?P<link>/|\\cdot|[.()])|(?P<space>\s)|(?P<value>\\[a-zA-Z]+|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A text without its unit."""

    text: str
    unit: str
    """Canonical spelling, with its power; empty where there is none."""
    bare: bool = False
    """The unit was typed as plain letters, which could also be variables."""


def split_unit(text: str) -> Quantity:
    """Split a cleaned text into value and unit. A text without a unit comes back as it is."""
    text = _PREFIX.sub("", text)
    start, bare = _tail(text)
    value, tail = text[:start].rstrip(), text[start:].strip()
    if tail.endswith(")") and value.endswith("("):
        value = value[:-1].rstrip()
    if not value or not tail:
        return Quantity(text, "")
    name = _name(tail)
    return Quantity(text, "") if name is None else Quantity(value, name, bare)


def multiplier(text: str) -> tuple[str, Fraction]:
    """Split `3.5 million` into its number and 1,000,000; the factor is 1 where there is no such word."""
    match = re.search(
        r"\s?(?:\\text\s?\{\s?)?(hundred|thousand|million|billion|trillion)(?![a-zA-Z])\s?\}?", text
    )
    if match is None:
        return text, Fraction(1)
    return text[: match.start()] + " " + text[match.end() :], Fraction(10) ** _MULTIPLIERS[match[1]]


def known(unit: str) -> bool:
    """True where every word of a canonical unit is in the table."""
    return all(name in _NAMES for name in re.split(r"[ ^]", unit) if name and not name.lstrip("-").isdigit())


def _tail(text: str) -> tuple[int, bool]:
    """Where the unit begins (the length of the text where there is none), and whether letters are bare."""
    start, bare = len(text), False
    for token in reversed(list(_TOKEN.finditer(text))):
        if token.lastgroup in ("space", "link", "power"):
            continue  # part of the unit only where a word stands before it
        if token.lastgroup == "word":
            if not _unit_word(token[0], text[token.start() - 1 : token.start()]):
                break
            bare = True
        elif token.lastgroup == "value":
            break
        start = token.start()
    return start, bare


def _unit_word(word: str, before: str) -> bool:
    """A known unit, or a noun such as `apples` that stands apart from the number."""
    return word in _UNITS or word.lower() in _PLAIN or (len(word) > 2 and before in (" ", "-", "}"))


def _name(tail: str) -> str | None:
    r"""Canonical name of a unit such as `\text{ cm}^2`, `km/h`, `%`; None where it is not a unit."""
    plain = _TEXT.sub(r" \1 ", tail).replace(r"^\circ", " degree ").replace("%", " percent ")
    power = re.search(r"\^\s?\{?\s?(-?\d)\s?\}?[\s.)]*$", plain)
    exponent = power[1] if power else ""
    names: list[str] = []
    for word in re.findall(r"[A-Za-z]+|/|\\[A-Za-z]+|\d", plain[: power.start()] if power else plain):
        if word.lower() in _CHANGING or word.isdigit():
            return None
        if word.lower() in _POWERS:
            exponent = _POWERS[word.lower()]
        else:
            names.append(_UNITS.get(word, _UNITS.get(word.lower(), word.lower())))
    if names[:1] == ["degree"] and names[1:]:
        names = names[1:]
    return " ".join(names) + (f"^{exponent}" if exponent else "") if names else None


_PLAIN = frozenset(["square", "sq", "cubic", "cu", "per", "percent"])
_POWERS = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3"}
_NAMES = frozenset(_UNITS.values()) | {"/"}
