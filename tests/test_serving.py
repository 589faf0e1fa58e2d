"""The budget to serve with: the law of the fixed sequence in simulation, and its edges."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of

from reghar.errors import InputError
from reghar.measures.serving import serving_of
from reghar.store.outcomes import MISSING, TaskOutcomes

BUDGETS = [100, 200, 400, 800]


def simulated(
    curve: list[float], *, problems: int, samples: int, seed: int, full: float = 0.7
) -> TaskOutcomes:
    """Problems of different difficulty; an answer that is right in full is lost with the chance that
    brings the accuracy down to `curve`, and every trace is cut at every budget."""
    generator = np.random.default_rng(seed)
    chance = generator.beta(0.7 * 2, 0.3 * 2, size=(problems, 1)) * full / 0.7
    right = generator.random((problems, samples)) < chance
    kept = generator.random((problems, samples, 1)) < np.array(curve) / full
    made = outcomes_of(right[..., None] & kept, BUDGETS, lengths=np.full(right.shape, 1000))
    return replace(made, full=np.where(right, 0, 1).astype(np.int8))


def test_a_curve_that_is_flat_from_a_budget_on_recommends_it() -> None:
    found = serving_of([simulated([0.3, 0.7, 0.7, 0.7], problems=400, samples=8, seed=1)], replicates=1000)
    assert found.recommended == 200
    assert found.failed == 0
    assert found.tests[0].verdict == "worse"
    assert [test.verdict for test in found.tests[1:]] == ["not worse"] * 3


def test_few_problems_never_recommend_less_than_many_on_average() -> None:
    def mean_budget(problems: int) -> float:
        found = [
            serving_of(
                [simulated([0.55, 0.66, 0.695, 0.7], problems=problems, samples=4, seed=seed)],
                replicates=400,
            ).recommended
            for seed in range(25)
        ]
        # No recommendation is to serve unbounded.
        return float(np.mean([1000 if one is None else one for one in found]))

    means = [mean_budget(problems) for problems in (10, 60, 400)]
    assert means == sorted(means, reverse=True)
    assert means[0] > means[-1]


@pytest.mark.parametrize(("problems", "samples"), [(20, 8), (100, 4), (272, 1), (300, 4)])
def test_false_recommendations_are_rare(problems: int, samples: int) -> None:
    # A budget that loses just over the margin is recommended in at most 5%; 300 runs, within 3 sigma.
    wrong = 0
    for seed in range(300):
        run = simulated([0.2, 0.689, 0.689, 0.689], problems=problems, samples=samples, seed=seed, full=0.7)
        wrong += serving_of([run], replicates=300).recommended is not None
    assert wrong <= 300 * (0.05 + 3 * math.sqrt(0.05 * 0.95 / 300))


def test_nothing_is_recommended_where_the_largest_fails_and_what_would_decide_is_said() -> None:
    found = serving_of([simulated([0.3, 0.5, 0.6, 0.699], problems=30, samples=4, seed=2)], replicates=1000)
    assert found.recommended is None
    assert found.failed == 3
    last = found.tests[3]
    assert last.verdict == "undecided"
    assert last.problems_needed is not None
    assert last.problems_needed > 30


def test_no_lost_answer_among_few_is_no_proof() -> None:
    right = np.ones((10, 1, 4))
    found = serving_of([outcomes_of(right, BUDGETS, lengths=np.full((10, 1), 1000))], replicates=200)
    assert found.recommended is None
    # Traces that ended by themselves are another matter: their answers are the same.
    found = serving_of([outcomes_of(right, BUDGETS, lengths=np.full((10, 1), 350))], replicates=200)
    assert found.recommended == 400
    assert (found.tests[2].difference, found.tests[2].low) == (0, 0)


def test_the_mean_over_tasks_is_tested_where_there_are_several() -> None:
    good = simulated([0.7] * 4, problems=300, samples=4, seed=3)
    bad = replace(simulated([0.6] * 4, problems=300, samples=4, seed=4), task="amc23")
    assert serving_of([good], replicates=300).recommended == 100
    both = serving_of([good, bad], replicates=300)
    assert both.recommended is None
    single = serving_of([bad], replicates=300).tests[0].difference
    assert both.tests[0].difference == pytest.approx((single + 0) / 2, abs=0.01)


def test_what_cannot_be_tested_is_refused_in_one_line() -> None:
    run = simulated([0.7] * 4, problems=10, samples=2, seed=5)
    for margin in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(InputError, match="above 0 and below 1"):
            serving_of([run], margin)
    torn = replace(run, full=np.full(run.full.shape, MISSING, dtype=np.int8))
    with pytest.raises(InputError, match="incomplete"):
        serving_of([torn])
    with pytest.raises(InputError, match="1 problem"):
        serving_of([simulated([0.7] * 4, problems=1, samples=2, seed=5)])
