"""The structure of an answer: lists, tuples, sets, intervals, unions, matrices, equations, single values.

Structure is read here, in one linear pass a level; what stands in a single value is left to
`numbers`, `units` and, last, the computer algebra.

Conventions: commas, semicolons, `and` and `or` at the top level make a list without order; a comma
inside brackets separates entries; `1,234` at the top level is one number; `a \\pm b` is a list of two;
an inequality in one variable is the interval it describes; of `A \\approx B` the exact side A counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reghar.grading.numbers import read_number
from reghar.grading.text import without_preamble
from reghar.grading.units import split_unit

MAX_DEPTH = 12
"""Brackets nested deeper than this are left to the computer algebra as they are."""


@dataclass(frozen=True, slots=True)
class Single:
    """One value: a number, a word, an expression."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """Several values. `brackets` is empty for a bare list, `{}` for a set, else what stood around them."""

    items: tuple[Value, ...]
    brackets: str

    @property
    def ordered(self) -> bool:
        """True for tuples and intervals."""
        return self.brackets not in ("", "{}")


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined by a union sign."""

    parts: tuple[Value, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of entries."""

    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = ... = right`: the first and the last side, and the whole text."""

    left: str
    right: Value
    text: str


Value = Single | Items | Union | Matrix | Equation

_OR = (
    r"\\text\s?\{[\s,]?(?:or|and)\s?\}|(?<![a-zA-Z\\])(?:or|and)(?![a-zA-Z])"
    r"|\\(?:lor|land|vee|wedge)(?![a-zA-Z])"
)
_SEPARATOR = re.compile(rf"\s?,?\s?(?:{_OR})|[,;]")
_UNION = re.compile(r"\\cup(?![a-zA-Z])|(?<=[)\]}])\s?U\s?(?=[(\[\\])")
_EQUALS = re.compile(r"(?<![<>!:])=|:=")
_APPROX = re.compile(r"\\approx(?![a-zA-Z])|\\sim(?![a-zA-Z])")
_IN = re.compile(r"\\in(?![a-zA-Z])")
_ORDER = re.compile(r"\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])|<=?|>=?")
_MATRIX = re.compile(
    r"\\begin\s?\{([pbvBV]?matrix|array)\}(?:\{[clr| ]{0,20}\})?(.*)\\end\s?\{\1\}", re.DOTALL
)
_REALS = (r"\mathbb{R}", r"\mathbb R", r"\R")
_ENTRY = re.compile("&")
_SYMBOL = re.compile(r"(?:\\[a-zA-Z]+|[a-zA-Z])(?:_(?:\{[^{}]{0,30}\}|[a-zA-Z0-9]))?'{0,3}")
_PM = re.compile(r"\\(pm|mp)(?![a-zA-Z])|\+\s?/\s?-")
_BRACKETS = {
    r"\{": "{", r"\}": "}", "(": "(", ")": ")", "[": "[", "]": "]",
    r"\langle": "(", r"\rangle": ")", "<": "", ">": "",
}  # fmt: skip
_NESTING = re.compile(
    r"\\[{}]|\\langle(?![a-zA-Z])|\\rangle(?![a-zA-Z])|\\begin(?![a-zA-Z])|\\end(?![a-zA-Z])|\\.|[()\[\]{}]"
)
_OPENING = frozenset(["(", "[", "{", r"\{", r"\langle", r"\begin"])
_CLOSING = frozenset([")", "]", "}", r"\}", r"\rangle", r"\end"])
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def read(text: str, depth: int = 0) -> Value:
    """The structure of a cleaned text."""
    text = without_preamble(text.strip())
    if depth > MAX_DEPTH or read_number(text) is not None:
        return Single(text)
    text = _exact_side(text)
    for reader in (_separated, _inequality, _union, _membership, _equation, _matrix, _bracketed, _plus_minus):
        value = reader(text, depth)
        if value is not None:
            return value
    return Single(text)


def read_all(texts: tuple[str, ...]) -> Value:
    """Several right answers, all to be given, as one list."""
    values = tuple(read(text) for text in texts)
    return values[0] if len(values) == 1 else Items(_flat(values), "")


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts of the text between separators outside of all brackets."""
    nested = _spans(text)
    parts: list[str] = []
    start = 0
    for match in separator.finditer(text):
        while nested and nested[0][1] <= match.start():
            nested.pop(0)
        if nested and nested[0][0] < match.start() < nested[0][1]:
            continue
        parts.append(text[start : match.start()])
        start = match.end()
    return [*parts, text[start:]]


def is_symbol(text: str) -> bool:
    """True for the name of a quantity: `x`, `m_{\\max}`, `f(x)`, `\\angle ABC`, `\\text{Area}`."""
    text = text.strip()
    return bool(
        _SYMBOL.fullmatch(text)
        or re.fullmatch(r"(?:\\?[a-zA-Z]+)(?:_\S{1,8})?\s?\([a-zA-Z, \\]{1,20}\)", text)
        or re.fullmatch(r"\\(?:angle|text|overline|triangle)[\sa-zA-Z0-9{}_]{1,60}", text)
    )


def _spans(text: str) -> list[tuple[int, int]]:
    """The outermost bracketed stretches of the text, in order. One that is never closed is ignored."""
    spans: list[tuple[int, int]] = []
    depth = start = 0
    for match in _NESTING.finditer(text):
        if match[0] in _OPENING:
            if depth == 0:
                start = match.start()
            depth += 1
        elif match[0] in _CLOSING and depth:
            depth -= 1
            if depth == 0:
                spans.append((start, match.end()))
    return spans


def _exact_side(text: str) -> str:
    parts = [part.strip() for part in split(text, _APPROX)]
    if len(parts) == 1 or not all(parts):
        return text
    exact = split(parts[0], _EQUALS)[-1]
    known = re.search(r"\d|\\pi", exact) and not is_symbol(exact)
    return parts[0] if known else parts[1]


def _separated(text: str, depth: int) -> Value | None:
    if "," in text and read_number(split_unit(text).text) is not None:
        return None  # thousands separators
    spaced = [part.strip() for part in text.split(", ")]
    if any("," in part for part in spaced) and all(read_number(part) for part in spaced):
        return Items(tuple(Single(part) for part in spaced), "")
    parts = [part.strip() for part in split(text, _SEPARATOR)]
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return None
    values = tuple(read(part, depth + 1) for part in parts)
    if all(isinstance(value, Items) and value.ordered for value in values) and _ORDER.search(text):
        return Union(values, text)  # x < 2 or x > 3
    return Items(_flat(values), "")


def _flat(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The items, those of bare lists among them taken out of their list."""
    return tuple(_leaves(values))


def _leaves(values: tuple[Value, ...]) -> Iterator[Value]:
    for value in values:
        if isinstance(value, Items) and not value.brackets:
            yield from value.items
        else:
            yield value


def _inequality(text: str, depth: int) -> Value | None:
    parts = [part.strip() for part in split(text, _ORDER)]
    if len(parts) not in (2, 3) or not all(parts):
        return None
    signs = [_sign(match[0]) for match in _ORDER.finditer(text)]
    if len(signs) != len(parts) - 1 or any("=" in part for part in parts):
        return None
    if len(parts) == 2:
        if is_symbol(parts[1]) and not is_symbol(parts[0]):
            parts, signs = parts[::-1], [_FLIPPED[signs[0]]]
        if not is_symbol(parts[0]):
            return None
        bound, sign = read(parts[1], depth + 1), signs[0]
        closed = "=" in sign
        if sign[0] == ">":
            return Items((bound, Single(r"\infty")), "[)" if closed else "()")
        return Items((Single(r"-\infty"), bound), "(]" if closed else "()")
    if signs[0][0] != signs[1][0] or not is_symbol(parts[1]):
        return None
    if signs[0][0] == ">":
        parts, signs = parts[::-1], signs[::-1]
    brackets = ("[" if "=" in signs[0] else "(") + ("]" if "=" in signs[1] else ")")
    return Items((read(parts[0], depth + 1), read(parts[2], depth + 1)), brackets)


def _sign(text: str) -> str:
    return {r"\le": "<=", r"\ge": ">="}.get(text, text)


def _union(text: str, depth: int) -> Value | None:
    parts = split(text, _UNION)
    if len(parts) < 2:
        return None
    return Union(tuple(read(part, depth + 1) for part in parts), text)


def _membership(text: str, depth: int) -> Value | None:
    parts = split(text, _IN)
    if len(parts) == 2 and is_symbol(parts[0]):
        return read(parts[1], depth + 1)
    return None


def _equation(text: str, depth: int) -> Value | None:
    parts = [part.strip() for part in split(text, _EQUALS)]
    if len(parts) < 2 or not parts[0] or not parts[-1]:
        return None
    first, last = parts[0], parts[-1]
    if is_symbol(last) and not is_symbol(first) and read_number(first):
        first, last = last, first  # 3 = x
    return Equation(first, read(last, depth + 1), text)


def _matrix(text: str, depth: int) -> Value | None:
    match = _MATRIX.fullmatch(_without_outer(text))
    if match is None:
        return None
    rows = [row for row in re.split(r"\\cr(?![a-zA-Z])", match[2]) if row.strip()]
    return Matrix(tuple(tuple(read(entry, depth + 1) for entry in split(row, _ENTRY)) for row in rows))


def _without_outer(text: str) -> str:
    """A `matrix` environment may stand in brackets of its own."""
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and text[1:].lstrip().startswith(r"\begin"):
        return text[1:-1].strip()
    return text


def _bracketed(text: str, depth: int) -> Value | None:
    if text in _REALS:
        return Items((Single(r"-\infty"), Single(r"\infty")), "()")
    spans = _spans(text)
    if len(spans) != 1 or spans[0] != (0, len(text)):
        return None
    brackets = [match[0] for match in _NESTING.finditer(text)]
    opening, closing = brackets[0], brackets[-1]
    if opening == "{" or opening not in _BRACKETS or closing not in _BRACKETS:
        return read(text[1:-1], depth + 1) if opening == "{" else None
    inside = text[len(opening) : len(text) - len(closing)]
    parts = [part.strip() for part in split(inside, re.compile("[,;]"))]
    if not all(parts):
        return None
    kind = _BRACKETS[opening] + _BRACKETS[closing]
    if len(parts) > 1 or kind == "{}":
        items = tuple(read(part, depth + 1) for part in parts)
        return Items(_flat(items) if kind == "{}" else items, kind)
    return read(inside, depth + 1) if kind in ("()", "[]") else None


def _plus_minus(text: str, _: int) -> Value | None:
    if not _PM.search(text):
        return None
    upper = _PM.sub(lambda match: "-" if match[1] == "mp" else "+", text)
    lower = _PM.sub(lambda match: "+" if match[1] == "mp" else "-", text)
    return Items((Single(upper.lstrip("+ ")), Single(lower.lstrip("+ "))), "")
