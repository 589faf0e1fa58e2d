"""The value of an expression at a point, walked node by node in arbitrary precision.

The computer algebra's own evaluation may expand `10**10**10` or expand a factorial; this walk refuses
numbers that are too large before it makes them, so that it is fast for any tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

DIGITS = 40
MAX_LOG2 = 1_000_000
"""Largest power of two whose size is still computed."""


class NotNumericError(Exception):
    """The expression holds something without a numeric value here."""


class TooLargeError(Exception):
    """A number on the way to the value is larger than any answer."""


def unknowns(expression: Any) -> set[str]:
    """What `evaluate` needs values for: symbols, applied unknown functions and derivatives, by name."""
    return set(_unknowns(expression))


def evaluate(expression: Any, values: Mapping[str, Any]) -> Any:
    """The mpmath number that the expression has where its unknowns have these values.

    Raises NotNumericError for nodes that are not plain arithmetic (sets, integrals, relations) and for
    undefined values, TooLargeError for numbers beyond 2**(10**6).
    """
    import mpmath

    try:
        with mpmath.workdps(DIGITS):
            result = _walk(expression, values, mpmath)
    except (ZeroDivisionError, OverflowError, ValueError, TypeError, ArithmeticError) as error:
        raise NotNumericError(str(error)) from error
    if mpmath.isnan(result):
        raise NotNumericError("undefined")
    return result


def _unknowns(node: Any) -> Iterator[str]:
    if _is_unknown(node):
        yield str(node)
        return
    for argument in getattr(node, "args", ()):
        yield from _unknowns(argument)


def _is_unknown(node: Any) -> bool:
    return bool(getattr(node, "is_Symbol", False) or getattr(node, "is_Derivative", False)) or (
        getattr(node, "is_Function", False) and type(node).__name__ not in _FUNCTIONS and _is_undefined(node)
    )


def _is_undefined(node: Any) -> bool:
    from sympy.core.function import AppliedUndef

    return isinstance(node, AppliedUndef)


def _walk(node: Any, values: Mapping[str, Any], mp: Any) -> Any:
    if _is_unknown(node):
        return values[str(node)]
    name = type(node).__name__
    if node.is_Rational:
        return mp.mpf(int(node.p)) / int(node.q) if node.q != 1 else mp.mpf(int(node.p))
    if node.is_Float:
        return mp.mpf(str(node))
    if name in _CONSTANTS:
        return _CONSTANTS[name](mp)
    if name in ("Add", "Mul", "Pow", "UnevaluatedExpr") or name in _FUNCTIONS:
        arguments = [_walk(argument, values, mp) for argument in node.args]
    else:
        raise NotNumericError(name)
    if name == "Add":
        return mp.fsum(arguments)
    if name == "Mul":
        return mp.fprod(arguments)
    if name == "Pow":
        return _power(arguments[0], arguments[1], mp)
    if name == "UnevaluatedExpr":
        return arguments[0]
    return _FUNCTIONS[name](mp, *arguments)


def _power(base: Any, exponent: Any, mp: Any) -> Any:
    if mp.isinf(base) or mp.isinf(exponent):
        raise NotNumericError("infinite")
    if base != 0 and abs(exponent) * abs(mp.log(abs(base), 2)) > MAX_LOG2:
        raise TooLargeError
    if base == 0 and mp.re(exponent) <= 0:
        raise NotNumericError("0 to a power that is not positive")
    return mp.power(base, exponent)


def _exponential(mp: Any, argument: Any) -> Any:
    if abs(argument) > MAX_LOG2:
        raise TooLargeError
    return mp.exp(argument)


def _factorial(mp: Any, argument: Any) -> Any:
    if abs(argument) > 50_000:
        raise TooLargeError
    return mp.factorial(argument)


def _binomial(mp: Any, above: Any, below: Any) -> Any:
    if max(abs(above), abs(below)) > 50_000:
        raise TooLargeError
    return mp.binomial(above, below)


def _logarithm(mp: Any, argument: Any, base: Any = None) -> Any:
    return mp.log(argument) if base is None else mp.log(argument) / mp.log(base)


def _circular(name: str) -> Callable[..., Any]:
    def function(mp: Any, argument: Any) -> Any:
        if abs(argument) > 1e30:
            raise TooLargeError
        return getattr(mp, name)(argument)

    return function


_CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "Pi": lambda mp: mp.pi + 0,
    "Exp1": lambda mp: mp.e + 0,
    "ImaginaryUnit": lambda mp: mp.mpc(0, 1),
    "GoldenRatio": lambda mp: mp.phi + 0,
    "Infinity": lambda mp: mp.inf,
    "NegativeInfinity": lambda mp: -mp.inf,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": _exponential,
    "log": _logarithm,
    "factorial": _factorial,
    "binomial": _binomial,
    "Abs": lambda _, x: abs(x),
    "floor": lambda mp, x: mp.floor(x + mp.mpf(10) ** (10 - DIGITS)),
    "ceiling": lambda mp, x: mp.ceil(x - mp.mpf(10) ** (10 - DIGITS)),
    "Max": lambda _, *xs: max(xs),
    "Min": lambda _, *xs: min(xs),
    "asec": lambda mp, x: mp.asec(x),
    "acsc": lambda mp, x: mp.acsc(x),
    "acot": lambda mp, x: mp.acot(x),
    **{
        name: _circular(name)
        for name in (
            *("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan"),
            *("sinh", "cosh", "tanh", "coth", "asinh", "acosh", "atanh"),
        )
    },
}
