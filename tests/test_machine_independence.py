"""Equal scores give equal bytes, in whatever order and in however many pieces they are summed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes
from test_reg_interval import PROTOCOL, SOURCE

from reghar.frontiers.frontier import TaskFrontier
from reghar.measures import bootstrap
from reghar.measures.build_frontier import RunOutcomes, build
from reghar.measures.catalogue import Measure, rounded
from reghar.measures.curves import mean_over_problems
from reghar.measures.reg import change
from reghar.measures.task import task_measures
from reghar.store.outcomes import TaskOutcomes

BUDGETS = [0, 64, 128, 256, 512]
FRONTIER = TaskFrontier(budgets=tuple(BUDGETS), accuracy=(0.1, 0.3, 0.5, 0.7, 0.9), samples=7, problems=37)


def reordered(outcomes: TaskOutcomes, samples: np.ndarray) -> TaskOutcomes:
    """The same outcomes, their samples in another order: the sums meet other roundings."""
    names = (
        "outcome",
        "full",
        "length",
        "thinking_length",
        "finished",
        "looped",
        "thought",
        "thinking_closed",
    )
    return replace(outcomes, **{name: getattr(outcomes, name)[:, samples] for name in names})


def test_the_order_of_the_samples_changes_no_bit() -> None:
    outcomes = random_outcomes(37, 7, BUDGETS)
    shuffled = reordered(outcomes, np.random.default_rng(0).permutation(7))
    one, other = (task_measures(run, FRONTIER, replicates=300) for run in (outcomes, shuffled))
    drawn = [measure for measure in one.measures if measure.drawn != "samples"]
    assert drawn == [measure for measure in other.measures if measure.drawn != "samples"]
    assert one.curve.accuracy.tolist() == other.curve.accuracy.tolist()


def test_a_mean_is_one_sum_divided_once() -> None:
    """37 x 7 outcomes: the mean of means is another double than the share of all."""
    generator = np.random.default_rng(0)
    everyone = np.ones((37, 7), dtype=bool)
    differ = 0
    for _ in range(50):
        right = (generator.random((37, 7)) < 0.4).astype(float)
        mean = float(mean_over_problems(right, everyone))
        assert mean == int(right.sum()) / (37 * 7)
        differ += mean != right.mean(axis=1).mean()
    assert differ > 0


def test_pieces_of_the_draw_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = random_outcomes(37, 7, BUDGETS)
    whole = task_measures(outcomes, FRONTIER, replicates=300)
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 37 * 11)
    pieces = task_measures(outcomes, FRONTIER, replicates=300)
    assert whole.measures == pieces.measures
    for name, estimate in whole.estimates.items():
        assert estimate.replicates.tolist() == pieces.estimates[name].replicates.tolist(), name


def test_figures_are_written_with_12_digits_and_tiny_is_0() -> None:
    assert rounded(6.2e-15) == 0
    assert rounded(-9.9e-10) == 0
    assert rounded(1.1e-9) == 1.1e-9
    assert rounded(2 / 3) == 0.666666666667
    assert rounded(1780.2 + 1e-11) == 1780.2
    measure = Measure(name="reg", value=6.2e-15, unit="tokens", higher_is_better=False, low=-1 / 3, high=7.1)
    assert (measure.value, measure.low) == (0, -0.333333333333)
    assert json.dumps(measure.low) == "-0.333333333333"


def test_no_change_in_percent_of_a_baseline_that_is_0() -> None:
    assert change(9.6, 6.2e-15).relative is None
    assert change(9.6, 6.2e-15).absolute == pytest.approx(9.6)
    assert change(1 / 3, 1 / 3 + 1e-12).absolute == 0
    assert change(110.0, 100.0).relative == pytest.approx(0.1)


def test_a_run_against_itself_has_reg_0() -> None:
    outcomes = outcomes_of(np.random.default_rng(3).random((7, 3, 5)) < 0.4, BUDGETS)
    own = RunOutcomes(name="own", model="m", digest="d", protocol=PROTOCOL, outcomes={"aime24": outcomes})
    frontier = build([own], base_model="b", source=SOURCE).task("aime24")
    assert task_measures(outcomes, frontier, replicates=100).measure("reg").value == 0
