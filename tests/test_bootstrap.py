"""The bootstrap: coverage and false positives in simulation, pairing, determinism, cost."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from reghar.measures import bootstrap
from reghar.measures.clusters import Clusters
from reghar.measures.estimate import (
    FEW,
    Difference,
    Estimate,
    detectable_difference,
    holm,
    percentile_bands,
    sign_flips,
    wilson,
)

Array = NDArray[np.float64]

DESIGNS = [(30, 32), (40, 8), (272, 4)]
SIMULATIONS = 4_000
REPLICATES = 2_000


def simulated_means(generator: np.random.Generator, problems: int, samples: int, simulations: int) -> Array:
    """Shape (P, simulations): accuracy of each problem; difficulties as reasoning benchmarks have them."""
    chance = generator.beta(0.6, 0.5, size=(problems, simulations))
    return generator.binomial(samples, chance) / samples


def paired_means(generator: np.random.Generator, problems: int, samples: int, simulations: int) -> Array:
    """Shape (P, simulations): difference of two models that have the same chance on every problem."""
    chance = generator.beta(0.6, 0.5, size=(problems, simulations))
    return (generator.binomial(samples, chance) - generator.binomial(samples, chance)) / samples


def interval(draws: Array, expansion: bootstrap.Expansion) -> tuple[Array, Array]:
    return percentile_bands(draws, expansion.tail(0.025))


def difference_of(value: float, draws: Array, problems: int) -> Difference:
    expansion = bootstrap.problem_expansion(problems)
    return Difference.of(
        Estimate(value=value, replicates=draws, expansion=expansion, units=problems, drawn="problems")
    )


def bootstrapped(means: Array) -> Array:
    return bootstrap.bootstrap_problems(means, seed=0, task="simulated", replicates=REPLICATES)


@pytest.mark.parametrize(("problems", "samples"), DESIGNS)
def test_nominal_95_percent_covers_94_to_96(problems: int, samples: int) -> None:
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(4):
        means = simulated_means(generator, problems, samples, SIMULATIONS // 4)
        low, high = interval(bootstrapped(means), bootstrap.problem_expansion(problems))
        truth = 0.6 / (0.6 + 0.5)
        covered.append((low <= truth) & (truth <= high))
    assert 0.94 <= np.mean(covered) <= 0.96


@pytest.mark.parametrize(("problems", "samples"), DESIGNS)
def test_null_pairs_are_significant_5_percent_of_the_time(problems: int, samples: int) -> None:
    generator = np.random.default_rng(2)
    significant = []
    for _ in range(4):
        differences = paired_means(generator, problems, samples, SIMULATIONS // 4)
        low, high = interval(bootstrapped(differences), bootstrap.problem_expansion(problems))
        significant.append((low > 0) | (high < 0))
    assert 0.04 <= np.mean(significant) <= 0.06


@pytest.mark.parametrize(("problems", "samples"), [(30, 8), (40, 4)])
def test_drawing_samples_covers_the_fixed_benchmark(problems: int, samples: int) -> None:
    generator = np.random.default_rng(3)
    chance = generator.beta(0.6, 0.5, size=problems)
    simulations = 1_000
    values = (generator.random((simulations, problems, samples)) < chance[None, :, None]).astype(float)
    draws = bootstrap.bootstrap_samples(np.moveaxis(values, 0, -1), seed=0, task="x", replicates=1_000)
    low, high = interval(draws, bootstrap.sample_expansion(problems, samples))
    assert 0.935 <= np.mean((low <= chance.mean()) & (chance.mean() <= high)) <= 0.97


def test_uncorrected_percentiles_would_be_too_narrow() -> None:
    generator = np.random.default_rng(4)
    means = generator.normal(size=(10, 2_000))
    draws = bootstrapped(means)
    plain = np.quantile(draws, [0.025, 0.975], axis=0)
    low, high = interval(draws, bootstrap.problem_expansion(10))
    assert np.mean((plain[0] <= 0) & (plain[1] >= 0)) < 0.92
    assert np.mean((low <= 0) & (high >= 0)) > 0.935


def test_models_on_the_same_problems_share_one_draw() -> None:
    generator = np.random.default_rng(5)
    one, other = generator.random((2, 30, 3))
    options = {"seed": 7, "task": "aime24", "replicates": 500}
    left, right = (bootstrap.bootstrap_problems(means, **options) for means in (one, other))
    together = bootstrap.bootstrap_problems(one - other, **options)
    np.testing.assert_allclose(left - right, together, atol=1e-12)
    assert not np.allclose(left, bootstrap.bootstrap_problems(one, seed=8, task="aime24", replicates=500))
    assert not np.allclose(left, bootstrap.bootstrap_problems(one, seed=7, task="aime25", replicates=500))


def test_chunks_do_not_change_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whole numbers to the last bit; of other numbers a product of matrices may round otherwise."""
    means = np.random.default_rng(6).random((31, 2))
    counts = np.random.default_rng(6).integers(0, 33, (31, 2)).astype(float)
    options = {"seed": 1, "task": "t", "replicates": 1_000}
    whole, exact = (bootstrap.bootstrap_problems(values, **options) for values in (means, counts))
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 31 * 77)
    np.testing.assert_allclose(whole, bootstrap.bootstrap_problems(means, **options), rtol=1e-13)
    np.testing.assert_array_equal(exact, bootstrap.bootstrap_problems(counts, **options))


def test_the_mean_of_replicates_is_the_mean() -> None:
    means = np.random.default_rng(7).random((50, 4))
    draws = bootstrap.bootstrap_problems(means, seed=0, task="t")
    np.testing.assert_allclose(draws.mean(axis=0), means.mean(axis=0), atol=0.002)
    np.testing.assert_allclose(draws.std(axis=0), means.std(axis=0) / np.sqrt(50), rtol=0.05)


def test_a_large_run_needs_little_memory() -> None:
    means = np.random.default_rng(8).random((500, 48))
    tracemalloc.start()
    bootstrap.bootstrap_problems(means, seed=0, task="t", replicates=10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300e6


@pytest.mark.parametrize("problems", [3, 5, 6, 9, 30])
def test_p_value_and_interval_never_disagree(problems: int) -> None:
    generator = np.random.default_rng(9)
    for _ in range(200):
        values = generator.normal(0.35, 1.0, size=problems)
        draws = bootstrap.bootstrap_problems(values[:, None], seed=0, task="t", replicates=2_000)[:, 0]
        few = Estimate(
            value=float(values.mean()),
            replicates=draws,
            expansion=bootstrap.problem_expansion(problems),
            units=problems,
            drawn="problems",
            difference=True,
            flips=sign_flips(values, Clusters.alone(problems)) if problems < FEW else None,
        )
        found = Difference.of(few)
        assert (found.low > 0 or found.high < 0) == (found.p_value < 0.05)


@pytest.mark.parametrize("problems", [2, 3, 4])
def test_coverage_of_a_handful_of_problems(problems: int) -> None:
    """Percentiles alone held the truth in 51, 76 and 86%."""
    values = np.random.default_rng(problems).normal(0.3, 1.0, size=(problems, 2_000))
    draws = bootstrapped(values)
    held = 0
    for mean, replicates in zip(values.mean(axis=0), draws.T, strict=True):
        few = Estimate(
            value=float(mean),
            replicates=replicates,
            expansion=bootstrap.problem_expansion(problems),
            units=problems,
            drawn="problems",
        )
        low, high = few.interval()
        held += low <= 0.3 <= high
    assert 0.93 <= held / 2_000 <= 0.97


def test_a_difference_is_joined_with_students_t() -> None:
    """One problem of 20 carries all of the spread: its percentiles reach less far below than Student's t."""
    values = np.append(np.zeros(19), 20.0)
    draws = bootstrap.bootstrap_problems(values[:, None], seed=0, task="t")[:, 0]
    percentile = Estimate(
        value=1.0,
        replicates=draws,
        expansion=bootstrap.problem_expansion(20),
        units=20,
        drawn="problems",
    )
    joined = replace(percentile, difference=True)
    reach = 2.093 * values.std(ddof=1) / 20**0.5
    assert percentile.interval()[0] == 0
    assert joined.interval()[0] == pytest.approx(1 - reach, abs=0.05)
    assert joined.interval()[1] == percentile.interval()[1] > 1 + reach
    assert percentile.p_at_most(-0.5) < 0.01
    assert joined.p_at_most(-0.5) == pytest.approx(0.075, abs=0.005)  # t = 1.5 with 19 degrees of freedom


def test_sign_flips_by_hand() -> None:
    """Two differences of one sign: p = 2 / 2^2, and the interval is Student's, which holds 0."""
    values = np.array([0.1, 0.3])
    draws = bootstrap.bootstrap_problems(values[:, None], seed=0, task="t")[:, 0]
    estimate = Estimate(
        value=0.2,
        replicates=draws,
        expansion=bootstrap.problem_expansion(2),
        units=2,
        drawn="problems",
        flips=sign_flips(values, Clusters.alone(2)),
    )
    found = Difference.of(estimate)
    assert found.p_value == pytest.approx(0.5)
    assert (found.low, found.high) == (
        pytest.approx(0.2 - 1.27, abs=0.03),
        pytest.approx(0.2 + 1.27, abs=0.03),
    )
    assert estimate.p_at_most(0.05) == pytest.approx(0.25)  # above a null of 0.05 both stay on one side
    assert estimate.p_at_most(0.2) >= 0.5
    # All equal: no spread at all, and still no certainty.
    alike = replace(
        estimate,
        replicates=np.full(10_000, 0.2),
        flips=sign_flips(np.full(5, 0.2), Clusters.alone(5)),
        units=5,
    )
    assert Difference.of(alike).p_value == pytest.approx(2 / 2**5)
    assert Difference.of(alike).low <= 0


def test_everyone_right_is_no_certainty() -> None:
    """Wilson's interval of 40 of 40: 91.2 to 100%."""
    sure = Estimate(
        value=1.0,
        replicates=np.ones(10_000),
        expansion=bootstrap.problem_expansion(40),
        units=40,
        drawn="problems",
        share=True,
    )
    low, high = sure.interval()
    assert (low, high) == (pytest.approx(40 / (40 + 1.959964**2), abs=1e-6), 1.0)
    # At the effective size of clustered samples: p (1 - p) / SE^2 = 0.25 / 0.05^2 = 100.
    assert wilson(0.5, 0.05, 7) == (pytest.approx(0.40383, abs=1e-4), pytest.approx(0.59617, abs=1e-4))


def test_no_difference_has_p_value_1() -> None:
    difference = difference_of(0.0, np.zeros(100), 10)
    assert (difference.low, difference.high, difference.p_value) == (0.0, 0.0, 1.0)


def test_standard_error_and_detectable_difference() -> None:
    means = np.random.default_rng(10).normal(size=(40, 1))
    draws = bootstrap.bootstrap_problems(means, seed=0, task="t")[:, 0]
    difference = difference_of(float(means.mean()), draws, 40)
    assert difference.standard_error == pytest.approx(means.std(ddof=1) / np.sqrt(40), rel=0.03)
    # Student's t with 39 degrees of freedom: 2.0227 + 0.8512.
    assert difference.detectable == pytest.approx(2.874 * difference.standard_error, rel=1e-3)
    assert detectable_difference(1.0, 39, tests=4) == pytest.approx(2.6177 + 0.8512, abs=1e-3)


def test_infinite_replicates_keep_their_rank() -> None:
    draws = np.concatenate([np.arange(900.0), np.full(100, np.inf)])
    low, high = interval(draws, bootstrap.problem_expansion(1_000_000))
    assert float(low) in (24, 25)
    assert float(high) == np.inf


def test_expansion_inverts_itself() -> None:
    expansion = bootstrap.problem_expansion(12)
    assert expansion.one_sided(expansion.tail(0.015)) == pytest.approx(0.015)
    assert expansion.tail(0.025) < 0.025


def test_mean_expansion_lies_between_the_tasks_and_gains_degrees_of_freedom() -> None:
    generator = np.random.default_rng(11)
    few, many = bootstrap.problem_expansion(30), bootstrap.problem_expansion(300)
    draws = [generator.normal(size=2_000), generator.normal(size=2_000)]
    pooled = bootstrap.mean_expansion(draws, [few, few])
    assert pooled.factor == pytest.approx(few.factor)
    assert pooled.df == pytest.approx(58, rel=0.02)
    # Welch and Satterthwaite: of variances v and 9 v with 29 degrees each, 10^2 / ((1 + 81) / 29).
    wide = bootstrap.mean_expansion([draws[0], 3 * draws[0]], [few, few])
    assert wide.df == pytest.approx(100 / 82 * 29)
    mixed = bootstrap.mean_expansion(draws, [few, many])
    assert many.factor < mixed.factor < few.factor


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
