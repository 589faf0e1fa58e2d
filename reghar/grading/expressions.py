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

from reghar.grading.numeric import NotNumericError, evaluate

POINTS = 6
EXACT = Fraction(1, 10**12)
"""Relative difference below which two exact expressions have the same value."""

_DISCRETE = ("floor", "ceiling", "factorial", "binomial", "Mod")


def equal_expressions(gold: str, answer: str, tolerance: Fraction, golds_rounded: bool) -> bool:
    """True where two LaTeX expressions are equal.

    The relative `tolerance` holds where a side has a decimal, or where the golds are rounded.
    """
    left, right = _parse(gold), _parse(answer)
    if left is None or right is None:
        return False
    left, right = _opaque(left), _opaque(right)
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
        return _proportional(_opaque(left.lhs - left.rhs), _opaque(right.lhs - right.rhs))
    except NotNumericError:
        return _verify(left, right)


def equal_objects(gold: str, answer: str) -> bool:
    """True where math-verify finds two sets or other objects equal."""
    left, right = _parse(gold), _parse(answer)
    return left is not None and right is not None and _verify(left, right)


@lru_cache(maxsize=2048)
def _parse(text: str) -> Any:
    """The sympy object for a LaTeX text; None where math-verify cannot read it."""
    from latex2sympy2_extended import NormalizationConfig, normalize_latex
    from math_verify.parser import parse_latex_cached

    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none", equations=False
    )
    try:
        return parse_latex_cached(normalize_latex(text, config))
    except Exception:  # noqa: BLE001  (the parser raises bare Exception for text that it cannot read)
        return None


def _verify(left: Any, right: Any) -> bool:
    from math_verify import verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return bool(verify(left, right, timeout_seconds=None))


def _opaque(expression: Any) -> Any:
    """Derivatives and applied unknown functions as symbols with values, and symbols known by name alone."""
    import sympy
    from sympy.core.function import AppliedUndef

    if not isinstance(expression, sympy.Basic):
        return expression
    unknown = expression.atoms(AppliedUndef, sympy.Derivative)
    outer = {u for u in unknown if not any(u != v and v.has(u) for v in unknown)}
    expression = expression.xreplace({u: sympy.Symbol(f"<{u}>") for u in outer}) if outer else expression
    return expression.xreplace({s: sympy.Symbol(s.name) for s in expression.free_symbols})


def _same_values(left: Any, right: Any, tolerance: Fraction) -> bool:
    if not _comparable(left, right):
        raise NotNumericError("not a number")
    if not (left.free_symbols or right.free_symbols):
        return _close(evaluate(left, {}), evaluate(right, {}), tolerance)
    if _agree(left, right, tolerance, {}):
        return True
    imaginary = [s for s in left.free_symbols | right.free_symbols if s.name == "i"]
    return bool(imaginary) and _agree(left, right, tolerance, {imaginary[0]: _imaginary_unit()})


def _comparable(left: Any, right: Any) -> bool:
    import sympy

    return isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)


def _agree(left: Any, right: Any, tolerance: Fraction, fixed: dict[Any, Any]) -> bool:
    """True where both sides agree at every point at which both have a value; such points must exist."""
    seen = 0
    failure = NotNumericError("no point with a value")
    for point, negative in _points(left, right, fixed):
        try:
            values = evaluate(left, point), evaluate(right, point)
        except NotNumericError as error:
            failure = error
            continue
        if negative and any(value.imag for value in values):
            continue  # outside the domain of a root or a logarithm
        if not _close(*values, tolerance):
            return False
        seen += 1
    if not seen:
        raise failure
    return True


def _proportional(left: Any, right: Any) -> bool:
    """True where left/right is the same number, not zero, at every point."""
    import sympy

    if not _comparable(left, right):
        raise NotNumericError("not a number")
    if isinstance(left, sympy.Integer) or isinstance(right, sympy.Integer):
        return False
    ratios = []
    for point, _ in _points(left, right, {}):
        bottom = evaluate(right, point)
        if bottom == 0:
            return False
        ratios.append(evaluate(left, point) / bottom)
    return ratios[0] != 0 and all(_close(ratios[0], ratio, EXACT) for ratio in ratios[1:])


def _points(left: Any, right: Any, fixed: dict[Any, Any]) -> Iterator[tuple[dict[Any, Any], bool]]:
    """Fixed points for the free symbols: positive ones, then some with negative coordinates.

    Where the expressions speak of integers (floors, factorials, binomials) all are positive integers.
    """
    import mpmath

    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    discrete = _has(left, _DISCRETE) or _has(right, _DISCRETE)
    with mpmath.workdps(40):
        for index in range(POINTS + 3):
            negative = index >= POINTS
            if discrete and negative:
                return
            point = dict(fixed)
            for place, symbol in enumerate(symbols):
                if symbol in fixed:
                    continue
                if discrete:
                    point[symbol] = mpmath.mpf(3 + (7 * index + 5 * place) % 23)
                else:
                    size = mpmath.mpf(1) / 3 + mpmath.frac(mpmath.sqrt(2 + 3 * place + 11 * index)) * 2
                    point[symbol] = -size if negative and (place + index) % 2 == 0 else size
            yield point, negative


def _close(left: Any, right: Any, tolerance: Fraction) -> bool:
    import mpmath

    if mpmath.isinf(left) or mpmath.isinf(right):
        return bool(left == right)
    with mpmath.workdps(40):
        allowed = mpmath.mpf(tolerance.numerator) / tolerance.denominator
        size = max(abs(left), abs(right))
        return bool(abs(left - right) <= allowed * (1 + mpmath.mpf(10) ** -25) * size or size < mpmath.mpf(10) ** -30)


def _has(expression: Any, names: tuple[str, ...]) -> bool:
    import sympy

    if not isinstance(expression, sympy.Basic):
        return False
    return any(type(node).__name__ in names for node in sympy.preorder_traversal(expression))


def _imaginary_unit() -> Any:
    import mpmath

    return mpmath.mpc(0, 1)
