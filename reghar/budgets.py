"""Grids of token budgets by name: the paper's grid, exponential and linear ones, or a plain list."""

from __future__ import annotations

import itertools
import re

from reghar.errors import InputError

L_MIN = 1024
"""First budget after 0 of `exp` and `linear` grids, tokens (REG section 5.2)."""
L_MAX = 16384
"""Last budget of the paper's grid, tokens (REG appendix F)."""

REG_GRID = (*range(0, 1024, 64), *range(1024, L_MAX + 1, 1024))
"""The paper's 32 budgets, 0 and 16,384 included; named `reg`."""
REG_32K_GRID = (*REG_GRID, *range(L_MAX + 1024, 2 * L_MAX + 1, 1024))
"""The 48 budgets of the published frontiers, up to 32,768; named `reg-32k`."""

_SPACED = re.compile(r"(exp|linear):([0-9]{1,9})(?::([0-9]{1,9})-([0-9]{1,9}))?")
_FORMS = "reg, reg-32k, exp:N, linear:N, exp:N:MIN-MAX or a list such as 0,64,128"


def parse_budgets(spec: str, max_tokens: int | None = None) -> tuple[int, ...]:
    """The budgets, in tokens and strictly increasing, that `spec` names.

    `spec` is `reg`, `reg-32k`, `exp:N`, `linear:N` (N budgets from 1,024 on, besides 0 and 16,384;
    `exp:8:64-512` sets both ends), or a list `0,64,128`. `max_tokens` is the longest trace that the
    run allows. Raises InputError on anything else, on budgets that are not integers, negative,
    repeated or not increasing, and on budgets above `max_tokens`.
    """
    budgets = _named(spec.strip())
    if max_tokens is not None and budgets[-1] > max_tokens:
        raise InputError(
            f"budget {budgets[-1]} is above --max-tokens {max_tokens}: "
            f"raise --max-tokens or choose budgets up to {max_tokens}"
        )
    return budgets


def exponential(n: int, low: int = L_MIN, high: int = L_MAX) -> tuple[int, ...]:
    """0, L_i = low (high / low)^((i - 1) / n) for i = 1..n rounded to tokens, and `high`."""
    return (0, *(round(low * (high / low) ** (i / n)) for i in range(n)), high)


def linear(n: int, low: int = L_MIN, high: int = L_MAX) -> tuple[int, ...]:
    """0, L_i = low + (high - low) (i - 1) / n for i = 1..n rounded to tokens, and `high`."""
    return (0, *(round(low + (high - low) * i / n) for i in range(n)), high)


def _named(spec: str) -> tuple[int, ...]:
    if spec == "reg":
        return REG_GRID
    if spec == "reg-32k":
        return REG_32K_GRID
    if match := _SPACED.fullmatch(spec):
        kind, n, low, high = match.groups()
        return _spaced(spec, kind, int(n), int(low or L_MIN), int(high or L_MAX))
    return _listed(spec)


def _spaced(spec: str, kind: str, n: int, low: int, high: int) -> tuple[int, ...]:
    if n < 1 or not 0 < low < high:
        raise InputError(f"budgets {spec!r}: needs at least one budget and 0 < MIN < MAX, as in exp:8:64-512")
    if n > high - low:
        raise InputError(f"budgets {spec!r}: {low}-{high} does not hold {n} different budgets; ask for fewer")
    budgets = exponential(n, low, high) if kind == "exp" else linear(n, low, high)
    if len(set(budgets)) < len(budgets):
        raise InputError(f"budgets {spec!r}: rounded to whole tokens, some repeat; ask for fewer than {n}")
    return budgets


def _listed(spec: str) -> tuple[int, ...]:
    budgets = tuple(_budget(item.strip(), spec) for item in spec.split(","))
    for before, after in itertools.pairwise(budgets):
        if after == before:
            raise InputError(f"budget {after} is repeated in {spec!r}: name each budget once")
        if after < before:
            raise InputError(f"budgets are not increasing in {spec!r}: {after} follows {before}; sort them")
    return budgets


def _budget(item: str, spec: str) -> int:
    if re.fullmatch(r"-[0-9]+", item):
        raise InputError(f"budget {item} in {spec!r} is negative: budgets are token counts from 0 on")
    if not re.fullmatch(r"[0-9]{1,9}", item):
        raise InputError(f"budget {item!r} in {spec!r} is not an integer: give {_FORMS}")
    return int(item)
