"""Length tables: published ratios, and averages that say what they are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reghar.measures.lengths import (
    average_compression,
    average_pooled,
    compression,
    mean_thinking_share,
    pooled_length,
    thinking_share,
    thirds,
    token_reduction,
)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize(
    ("model", "ratios"), [("1.5B", (0.5708, 0.6621, 0.8519)), ("7B", (0.1338, 0.4603, 0.7066))]
)
def test_published_token_ratios(model: str, ratios: tuple[float, ...], published: Path) -> None:
    table = [row for row in rows(published / "plp_tables.csv") if row["model"] == model]
    tokens = {
        (row["method"], row["task"]): float(row["tokens"])
        for row in reversed(table)
        if row["tokens"] and row["table"] in ("1", "2")
    }
    for task, ratio in zip(("gsm8k", "math500", "aime24"), ratios, strict=True):
        found = compression(tokens["PLP", task], tokens["Original", task])
        assert found == pytest.approx(ratio, abs=5e-5)


def test_a_nominal_ratio_is_not_the_ratio() -> None:
    assert compression(217, 298) == pytest.approx(0.7282, abs=5e-5)
    assert token_reduction(217, 298) == pytest.approx(27.18, abs=5e-3)
    assert token_reduction(300, 200) == -50
    assert np.isnan(compression(3, 0))


def test_both_averages_of_a_ratio() -> None:
    both = average_compression([100, 900], [200, 1000])
    assert both.ratio_of_averages == pytest.approx(1000 / 1200)
    assert both.mean_of_ratios == pytest.approx((0.5 + 0.9) / 2)


def test_thinking_share() -> None:
    thinking, response = [0, 100, 200], [54, 200, 200]
    assert thinking_share(thinking, response) == pytest.approx(0.660793, abs=5e-7)
    assert mean_thinking_share(thinking, response) == 0.5
    assert mean_thinking_share([0, 1], [0, 2]) == 0.5
    assert np.isnan(thinking_share([0], [0]))
    assert np.isnan(mean_thinking_share([0], [0]))


def test_thirds_are_hard_to_easy() -> None:
    hard, middle, easy = thirds([0.9, 0.1, 0.5, 0.1, 1.0, 0.6, 0.2])
    assert [hard.tolist(), middle.tolist(), easy.tolist()] == [[1, 3, 6], [2, 5], [0, 4]]


def test_pooled_averages() -> None:
    assert average_pooled([50, 80], [30, 500], [64, 1]) == pytest.approx((50 * 1920 + 80 * 500) / 2420)
    assert pooled_length([[100, 300], [500]]) == 300
    assert np.mean([np.mean([100, 300]), 500]) == 350
    assert np.isnan(pooled_length([[]]))


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 500)), min_size=1, max_size=6), st.integers(1, 64)
)
def test_pooled_over_answers_is_the_mean_of_all_answers(tasks: list[tuple[float, int]], n: int) -> None:
    values, problems = zip(*tasks, strict=True)
    together = np.repeat(values, problems)
    assert average_pooled(values, problems, [n] * len(tasks)) == pytest.approx(together.mean())


def test_printed_averages_that_are_no_plain_means(published: Path) -> None:
    """CRE-SFT's: up to 3.6 points beside the plain mean of their own row."""
    gaps = []
    for row in rows(published / "cre_table.csv"):
        columns = [float(row[name]) for name in list(row)[2:-1]]
        assert np.mean(columns) == pytest.approx(float(row["macro_mean"]), abs=5e-5)
        gaps.append(abs(float(row["printed_average"]) - np.mean(columns)))
    assert max(gaps) == pytest.approx(3.6, abs=0.05)
