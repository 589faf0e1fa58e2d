"""Grids by name and lists, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reghar.budgets import parse_budgets
from reghar.errors import InputError


def test_the_papers_grid() -> None:
    grid = parse_budgets("reg")
    assert len(grid) == 32
    assert grid == tuple(sorted({64 * i for i in range(16)} | {1024 * i for i in range(1, 17)}))


def test_the_grid_of_the_published_frontiers() -> None:
    grid = parse_budgets("reg-32k")
    assert len(grid) == 48
    assert grid[:32] == parse_budgets("reg")
    assert grid[32:] == tuple(range(17408, 32769, 1024))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("exp:4", (0, 1024, 2048, 4096, 8192, 16384)),
        ("exp:1", (0, 1024, 16384)),
        ("linear:3", (0, 1024, 6144, 11264, 16384)),
        ("exp:3:64-512", (0, 64, 128, 256, 512)),
        ("linear:2:10-30", (0, 10, 20, 30)),
        ("0,64, 128", (0, 64, 128)),
        (" 512 ", (512,)),
    ],
)
def test_forms(spec: str, expected: tuple[int, ...]) -> None:
    assert parse_budgets(spec) == expected


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("0,a", "'a'"),
        ("0,1.5", "not an integer"),
        ("", "not an integer"),
        ("0,,64", "not an integer"),
        ("regg", "not an integer"),
        ("-64,0", "-64 .* negative"),
        ("0,64,64", "64 is repeated"),
        ("0,128,64", "64 follows 128"),
        ("exp:0", "at least one"),
        ("exp:5:512-64", "MIN < MAX"),
        ("linear:5:0-64", "MIN < MAX"),
        ("exp:100:64-200", "repeat"),
        ("linear:100:64-80", "does not hold"),
        ("exp:x", "not an integer"),
    ],
)
def test_refusals(spec: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_budgets(spec)


def test_a_budget_above_max_tokens_is_named() -> None:
    with pytest.raises(InputError, match=r"16384 is above --max-tokens 4096"):
        parse_budgets("reg", max_tokens=4096)
    assert parse_budgets("0,4096", max_tokens=4096) == (0, 4096)


@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=20))
def test_any_increasing_list_is_read_back(budgets: set[int]) -> None:
    ordered = tuple(sorted(budgets))
    assert parse_budgets(",".join(map(str, ordered))) == ordered


@given(st.integers(1, 12), st.sampled_from(["exp", "linear"]))
def test_spaced_grids_hold_0_both_ends_and_n_budgets(n: int, kind: str) -> None:
    grid = parse_budgets(f"{kind}:{n}:64-4096")
    assert grid[:2] == (0, 64)
    assert grid[-1] == 4096
    assert len(grid) == n + 2
