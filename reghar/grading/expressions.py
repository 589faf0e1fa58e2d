"""Equality of single expressions, by math-verify: the only module that imports it.

math-verify's parser reads the LaTeX; two expressions are then compared by their values at fixed
points, in 40 digits (`numeric`). What has no values (sets, relations, integrals) goes to
math-verify's own comparison. Its time limits use signals and are switched off: the pool limits time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from reghar.grading.numeric import DIGITS, NotNumericError, TooLargeError, evaluate, unknowns

MAX_NESTING = 40
"""Brackets nested deeper than this are not parsed; the deepest gold of the eight tasks has 5."""
MAX_LENGTH = 1000
"""Characters of the longest expression that is parsed: the parser's time grows faster than its text."""
POINTS = 6
EXACT = Fraction(1, 10**12)
"""Relative difference below which two exact expressions have the same value."""

_DISCRETE = ("floor", "ceiling", "factorial", "binomial", "Mod")


class RefusedError(Exception):
    """The expression is beyond what is parsed; the message says why."""


def equal_expressions(gold: str, answer: str, tolerance: Fraction, golds_rounded: bool) -> bool:
    """True where two LaTeX expressions are equal.

    The relative `tolerance` holds where a side has a decimal, or where the golds are rounded.
    """
    left, right = _parse(gold), _parse(answer)
    if left is None or right is None:
        return False
    rounded = golds_rounded or _has(left, ("Float",)) or _has(right, ("Float",))
    allowed = max(tolerance, EXACT) if rounded else EXACT
    try:
        return _same_values(left, right, allowed)
    except NotNumericError:
        return _verify(left, right)


def equal_equations(gold: str, answer: str) -> bool:
    """True where two equations have the same solutions: one is a multiple of the other."""
    left, right = _parse(gold), _parse(answer)
    if type(left).__name__ != "Equality" or type(right).__name__ != "Equality":
        return False
    try:
        return _proportional(left, right)
    except NotNumericError:
        return _verify(left, right)


def equal_objects(gold: str, answer: str) -> bool:
    """True where math-verify finds two sets or other objects equal."""
    left, right = _parse(gold), _parse(answer)
    return left is not None and right is not None and _verify(left, right)


@lru_cache(maxsize=2048)
def _parse(text: str) -> Any:
    """The sympy object for a LaTeX text; None where math-verify cannot read it. May raise RefusedError."""
    if _nesting(text) > MAX_NESTING:
        raise RefusedError(f"brackets nested deeper than {MAX_NESTING}")
    if len(text) > MAX_LENGTH:
        raise RefusedError(f"an expression of more than {MAX_LENGTH} characters")
    from latex2sympy2_extended import NormalizationConfig, normalize_latex
    from math_verify.parser import parse_latex_cached

    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none", equations=False
    )
    try:
        return parse_latex_cached(normalize_latex(text, config))
    except Exception:  # noqa: BLE001  (the parser raises bare Exception for text that it cannot read)
        return None


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "{([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "})]":
            depth = max(0, depth - 1)
    return deepest


def _verify(left: Any, right: Any) -> bool:
    from math_verify import verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return bool(verify(left, right, timeout_seconds=None))


def _same_values(left: Any, right: Any, tolerance: Fraction) -> bool:
    if not (_is_expression(left) and _is_expression(right)):
        raise NotNumericError("not a number")
    if _agree(left, right, tolerance, {}):
        return True
    if "i" not in unknowns(left) | unknowns(right):
        return False
    return _agree(left, right, tolerance, {"i": _imaginary_unit()})


def _is_expression(thing: Any) -> bool:
    import sympy

    return isinstance(thing, sympy.Expr)


def _agree(left: Any, right: Any, tolerance: Fraction, fixed: dict[str, Any]) -> bool:
    """True where both sides agree at every point at which both have a value; such points must exist."""
    names = unknowns(left) | unknowns(right)
    seen = 0
    failure = NotNumericError("no point with a value")
    for point, negative in _points(names, fixed, discrete=_has(left, _DISCRETE) or _has(right, _DISCRETE)):
        try:
            gold, answer = evaluate(left, point), _bounded(right, point)
        except NotNumericError as error:
            failure = error
            continue
        except TooLargeError as error:
            raise NotNumericError("too large") from error
        if answer is None:
            return False
        if negative and (gold.imag or answer.imag):
            continue  # outside the domain of a root or a logarithm
        if not _close(gold, answer, tolerance):
            return False
        seen += 1
    if not seen:
        raise failure
    return True


def _bounded(expression: Any, point: dict[str, Any]) -> Any:
    """The value; None where it is too large to be the value of a gold."""
    try:
        return evaluate(expression, point)
    except TooLargeError:
        return None


def _proportional(left: Any, right: Any) -> bool:
    """True where the two equations, each with everything on one side, have the same ratio everywhere."""
    sides = (left.lhs, left.rhs, right.lhs, right.rhs)
    if not all(map(_is_expression, sides)):
        raise NotNumericError("not numbers")
    names = set().union(*map(unknowns, sides))
    ratios = []
    for point, _ in _points(names, {}, discrete=False):
        try:
            values = [evaluate(side, point) for side in sides]
        except TooLargeError:
            return False
        bottom = values[2] - values[3]
        if bottom == 0:
            return False
        ratios.append((values[0] - values[1]) / bottom)
    return ratios[0] != 0 and all(_close(ratios[0], ratio, EXACT) for ratio in ratios[1:])


def _points(
    names: set[str], fixed: dict[str, Any], *, discrete: bool
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Fixed points for the unknowns: positive ones, then some with negative coordinates (flagged).

    Where the expressions speak of integers (floors, factorials, binomials) all are positive integers.
    """
    import mpmath

    free = sorted(names - set(fixed))
    if not free:
        yield fixed, False
        return
    with mpmath.workdps(DIGITS):
        for index in range(POINTS if discrete else POINTS + 3):
            negative = index >= POINTS
            point = dict(fixed)
            for place, name in enumerate(free):
                if discrete:
                    point[name] = mpmath.mpf(3 + (7 * index + 5 * place) % 23)
                else:
                    size = mpmath.mpf(1) / 3 + mpmath.frac(mpmath.sqrt(2 + 3 * place + 11 * index)) * 2
                    point[name] = -size if negative and (place + index) % 2 == 0 else size
            yield point, negative


def _close(left: Any, right: Any, tolerance: Fraction) -> bool:
    import mpmath

    if mpmath.isinf(left) or mpmath.isinf(right):
        return bool(left == right)
    with mpmath.workdps(DIGITS):
        allowed = mpmath.mpf(tolerance.numerator) / tolerance.denominator
        allowed *= 1 + mpmath.mpf(10) ** -25  # 0.3333 is within 1e-4 of 1/3, exactly
        size = max(abs(left), abs(right))
        return bool(abs(left - right) <= allowed * size or size < mpmath.mpf(10) ** -30)


def _has(expression: Any, names: tuple[str, ...]) -> bool:
    import sympy

    if not isinstance(expression, sympy.Basic):
        return False
    return any(type(node).__name__ in names for node in sympy.preorder_traversal(expression))


def _imaginary_unit() -> Any:
    import mpmath

    return mpmath.mpc(0, 1)
