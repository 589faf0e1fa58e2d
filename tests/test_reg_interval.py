"""What REG's interval claims: joint draws with a frontier of our own, samples plus its error otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes
from helpers.protocols import protocol_settings
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.frontiers.frontier import (
    FrontierSource,
    TaskFrontier,
    load_frontier,
    parse_frontier,
    read_frontier,
    write_frontier,
)
from reghar.measures import reg
from reghar.measures.build_frontier import RunOutcomes, build
from reghar.measures.reference import Reference
from reghar.measures.task import TaskMeasures, task_measures
from reghar.protocol import Protocol
from reghar.store.outcomes import TaskOutcomes

BUDGETS = [0, 256, 512, 1024, 2048]
PROTOCOL = Protocol.from_dict(protocol_settings())
SOURCE = FrontierSource(citation="tests", address="nowhere", date="2025")


def built(*runs: TaskOutcomes) -> TaskFrontier:
    named = [
        RunOutcomes(name=f"r{i}", model="m", digest="d", protocol=PROTOCOL, outcomes={run.task: run})
        for i, run in enumerate(runs)
    ]
    return build(named, base_model="b", source=SOURCE).task(runs[0].task)


def width(measured: TaskMeasures, name: str = "reg") -> float:
    measure = measured.measure(name)
    assert measure.low is not None
    assert measure.high is not None
    return measure.high - measure.low


def test_a_run_is_its_own_frontier_with_certainty() -> None:
    """Nothing is left to chance where the frontier is the run: before, its problems were noise of the gap."""
    outcomes = random_outcomes(30, 4, BUDGETS)
    measured = task_measures(outcomes, built(outcomes), replicates=500)
    found = measured.measure("reg")
    assert (found.value, found.low, found.high, found.drawn) == (0.0, 0.0, 0.0, "problems")


def test_problems_are_drawn_jointly_for_frontier_and_run() -> None:
    """The replicates are those of the paired differences per problem, by hand."""
    outcomes, other = (random_outcomes(30, 4, BUDGETS, seed=0, skill=skill) for skill in (0.0, 0.4))
    frontier = built(other)
    measured = task_measures(outcomes, frontier, replicates=2_000)
    gaps = other.correct.mean(axis=1) - outcomes.correct.mean(axis=1)
    areas = ((gaps[:, 1:] + gaps[:, :-1]) / 2 * np.diff(BUDGETS)).sum(axis=1)
    estimate = measured.estimates["reg"]
    assert estimate.drawn == "problems"
    assert estimate.value == pytest.approx(areas.mean())
    assert estimate.standard_error == pytest.approx(areas.std(ddof=1) / np.sqrt(30), rel=0.05)
    # The same frontier, of which only the means are known, cannot answer this question.
    published = replace_points(frontier, problem_ids=None, problem_accuracy=None)
    assert task_measures(outcomes, published, replicates=200).measure("reg").drawn == "samples"
    shuffled = replace_points(
        frontier,
        problem_ids=frontier.problem_ids[::-1],  # type: ignore[index]
        problem_accuracy=frontier.problem_accuracy[::-1],  # type: ignore[index]
    )
    again = task_measures(outcomes, shuffled, replicates=2_000)
    assert again.measures == measured.measures


def replace_points(frontier: TaskFrontier, **changes: object) -> TaskFrontier:
    return TaskFrontier.model_validate({**frontier.model_dump(), **changes})


def test_a_published_frontiers_error_by_hand() -> None:
    """m (1 - m) / (P n) x d, d from the run's problems where its accuracy is nearest to m."""
    right = np.zeros((4, 2, 2), dtype=bool)
    right[:2, :, 1] = True  # two problems always right at 1,024, two never: all variance lies between
    right[2, 0, 0] = True  # at 0 one problem of four is right in one sample of two
    outcomes = outcomes_of(right, [0, 1024])
    frontier = TaskFrontier(budgets=(0, 1024), accuracy=(0.2, 0.5), samples=8, problems=4)
    measured = task_measures(outcomes, frontier, replicates=200)
    means = outcomes.correct.mean(axis=1)
    reference = Reference.of(measured.curve, frontier, measured.problems, means)
    # At 0.2 the nearest curve point is 0.125: p (1 - p) = 0.25 in one of four, unbiased with 2 samples
    # twice that, over 0.125 x 0.875; at 0.5 the nearest has no spread within problems.
    d = (0.25 / 4) * 2 / (0.125 * 0.875)
    assert d > 1
    assert reference.error.tolist() == pytest.approx([np.sqrt(0.2 * 0.8 / 32), 0.0])
    error = 1024 * reference.error[0] / 2
    assert measured.frontier_error == pytest.approx(error)
    # Fully correlated over budgets: the error of the area is the area of the errors.
    whole = measured.estimates["reg"].standard_error
    own = measured.estimates["reg"].expansion.factor * np.std(
        task_measures(outcomes, None, interval="samples", replicates=200).estimates["area"].replicates
    )
    assert whole == pytest.approx(np.hypot(own, error), rel=0.15)


def test_a_curve_with_no_spread_leaves_the_whole_variance() -> None:
    frontier = TaskFrontier(budgets=(0, 1024), accuracy=(0.2, 0.5), samples=8, problems=4)
    outcomes = outcomes_of(np.zeros((4, 2, 2)), [0, 1024])
    measured = task_measures(outcomes, frontier, replicates=200)
    reference = Reference.of(measured.curve, frontier, measured.problems, outcomes.correct.mean(axis=1))
    assert reference.error.tolist() == pytest.approx([np.sqrt(0.16 / 32), np.sqrt(0.25 / 32)])


def test_a_frontiers_own_problems_tell_its_error() -> None:
    """p (1 - p) of 0, 1/4 and 3/16 over 3 problems, 4 samples: unbiased by 4 / 3, over 3 x 4."""
    rows = ((0.0, 0.0), (0.5, 1.0), (0.25, 0.5))
    frontier = TaskFrontier(
        budgets=(0, 1024),
        accuracy=(0.25, 0.5),
        samples=4,
        problems=3,
        problem_ids=("aime24-0", "aime24-1", "aime24-2"),
        problem_accuracy=rows,
    )
    outcomes = outcomes_of(np.zeros((3, 2, 2)), [0, 1024])
    measured = task_measures(outcomes, frontier, interval="samples", replicates=200)
    means = outcomes.correct.mean(axis=1)
    reference = Reference.of(measured.curve, frontier, measured.problems, means)
    variances = [(1 / 4 + 3 / 16) / 3 * (4 / 3) / 12, (1 / 4) / 3 * (4 / 3) / 12]
    assert reference.error.tolist() == pytest.approx(np.sqrt(variances).tolist())
    assert measured.frontier_error == pytest.approx(512 * float(np.sqrt(variances).sum()))
    # In the run's order, whatever the frontier's.
    turned = list(reversed(measured.problems))
    swapped = Reference.of(measured.curve, frontier, turned, means)
    assert swapped.by_problem is not None
    assert swapped.by_problem.tolist() == [list(row) for row in reversed(rows)]


def test_a_run_without_spread_has_the_frontiers_error_alone() -> None:
    """Every problem's samples agree: nothing of the run is left to chance, and 4 samples expand nothing."""
    frontier = TaskFrontier(budgets=(0, 1024), accuracy=(0.2, 0.6), samples=8, problems=4)
    right = np.zeros((4, 4, 2))
    right[2:, :, 1] = 1
    measured = task_measures(outcomes_of(right, [0, 1024]), frontier, replicates=4_000)
    # No spread within the run's problems at the nearest accuracies, 0 and 1/2: d is 1 at 0 and 0 at 1/2.
    assert measured.frontier_error == pytest.approx(512 * np.sqrt(0.16 / 32))
    assert measured.estimates["reg"].standard_error == pytest.approx(measured.frontier_error, rel=1e-3)


def test_a_frontier_of_more_samples_is_drawn_at_its_own_height() -> None:
    run, better = random_outcomes(20, 2, BUDGETS, seed=1), random_outcomes(20, 6, BUDGETS, seed=2, skill=0.3)
    measured = task_measures(run, built(better), replicates=4_000)
    found = measured.estimates["reg"]
    assert found.drawn == "problems"
    gaps = reg.area(BUDGETS, better.correct.mean(axis=1) - run.correct.mean(axis=1))
    assert found.value == pytest.approx(float(gaps.mean()))
    assert found.replicates.mean() == pytest.approx(found.value, abs=0.1 * gaps.std() / np.sqrt(20))
    assert found.replicates.std() == pytest.approx(gaps.std() / np.sqrt(20), rel=0.05)


def test_what_lies_beyond_the_runs_last_budget_is_no_top() -> None:
    frontier = TaskFrontier(budgets=(0, 512, 1024), accuracy=(0.0, 0.4, 0.8), samples=4, problems=3)
    outcomes = outcomes_of(np.tile([0, 1], (3, 2, 1)), [0, 512])
    measured = task_measures(outcomes, frontier, replicates=200)
    assert measured.measure("frontier_tokens_to_50").value == pytest.approx(256)
    assert measured.measure("tokens_to_50").value == pytest.approx(512 * 0.2)


def simulated(
    generator: np.random.Generator, chance: NDArray[np.float64], scale: NDArray[np.float64], samples: int
) -> TaskOutcomes:
    times = np.exp(generator.normal(np.log(scale)[:, None], 0.5, (chance.size, samples)))
    solves = generator.random(times.shape) < chance[:, None]
    return outcomes_of(solves[..., None] & (times[..., None] <= BUDGETS), BUDGETS)


def test_the_true_gap_is_covered_where_the_frontier_is_random_too() -> None:
    """30 problems x 32 samples: coverage, and a width far below that of problems drawn on their own."""
    generator = np.random.default_rng(1)
    covered, widths, old = [], [], []
    for _ in range(60):
        chance, scale = generator.beta(0.6, 0.5, 30), np.exp(generator.normal(6.2, 0.5, 30))
        runs = [simulated(generator, chance, factor * scale, 32) for factor in (1.6, 1.0)]
        truth = [
            simulated(generator, chance, factor * scale, 2_000).correct.mean(axis=(0, 1))
            for factor in (1.6, 1.0)
        ]
        gap = float(reg.area(BUDGETS, truth[1] - truth[0]))
        means = runs[1].correct.mean(axis=(0, 1))
        frontier = TaskFrontier(budgets=tuple(BUDGETS), accuracy=tuple(means), samples=32, problems=30)
        measured = task_measures(runs[0], frontier, replicates=400)
        low, high = measured.measure("reg").low, measured.measure("reg").high
        covered.append(low <= gap <= high)  # type: ignore[operator]
        widths.append(width(measured))
        old.append(width(measured, "area"))  # what REG had: the frontier stood still
    assert np.mean(covered) >= 0.9  # 60 draws of at least 93%
    assert np.mean(widths) < np.mean(old) / 2


def test_reg_against_the_cross_fitted_frontier() -> None:
    runs = [random_outcomes(30, 4, BUDGETS, seed=seed) for seed in range(4)]
    frontier = built(*runs)
    measured = task_measures(runs[0], frontier, replicates=500)
    fitted = np.array(frontier.cross_fitted)
    expected = reg.area(BUDGETS, fitted - runs[0].correct.mean(axis=(0, 1)))
    found = measured.measure("reg_cross_fitted")
    assert found.value == pytest.approx(float(expected))
    assert found.value < measured.measure("reg").value  # type: ignore[operator]


def test_a_file_of_version_2_and_one_of_version_1(tmp_path: Path) -> None:
    runs = [random_outcomes(6, 2, BUDGETS, seed=seed) for seed in range(2)]
    named = [
        RunOutcomes(name=f"r{i}", model="m", digest="d", protocol=PROTOCOL, outcomes={run.task: run})
        for i, run in enumerate(runs)
    ]
    frontier = build(named, base_model="b", source=SOURCE)
    write_frontier(frontier, tmp_path / "f.json")
    text = (tmp_path / "f.json").read_text()
    assert read_frontier(tmp_path / "f.json") == frontier
    task = frontier.task("aime24")
    winners = [int(name[1:]) for name in task.winner or ()]
    for column, winner in enumerate(winners):
        own = [row[column] for row in task.problem_accuracy or ()]
        assert own == pytest.approx(runs[winner].correct.mean(axis=1)[:, column].tolist())
    with pytest.raises(InputError, match="wrong checksum"):
        parse_frontier(text.replace('"aime24-0"', '"aime24-x"'), origin="f")
    changed = replace_row(text)
    with pytest.raises(InputError, match="is not the mean of its problems"):
        parse_frontier(changed, origin="f")
    with pytest.raises(InputError, match=r"unknown schema 'reghar\.frontier/3'"):
        parse_frontier(text.replace("frontier/2", "frontier/3"), origin="f")
    published = load_frontier("Qwen3-4B")
    assert published.schema_ == "reghar.frontier/1"
    assert published.task("aime24").problem_accuracy is None


def replace_row(text: str) -> str:
    head, tail = text.split('"problem_accuracy": [\n    [', 1)
    first, rest = tail.split(",", 1)
    return head + '"problem_accuracy": [\n    [' + ("1.0" if float(first) < 0.5 else "0.0") + "," + rest


def test_an_incomplete_run_against_a_built_frontier_has_no_joint_draw() -> None:
    outcomes = random_outcomes(10, 2, BUDGETS)
    fewer = replace(outcomes, full=np.where(np.arange(10)[:, None] == 3, -1, outcomes.full).astype(np.int8))
    measured = task_measures(fewer, built(outcomes), replicates=100)
    assert measured.measure("reg").low is None


def test_a_band_holds_the_whole_curve_at_once() -> None:
    """120 simulated curves: the band holds all points in some 95%, the pointwise interval in far fewer."""
    generator = np.random.default_rng(3)
    population = simulated(generator, *_like_these(generator, 40_000), 4).correct.mean(axis=(0, 1))
    inside, pointwise = [], []
    for _ in range(120):
        measured = task_measures(simulated(generator, *_like_these(generator, 30), 8), None, replicates=500)
        assert measured.band is not None
        low, high = measured.band
        inside.append(((low <= population) & (population <= high)).all())
        pointwise.append(((measured.low <= population) & (population <= measured.high)).all())
        assert (low <= measured.low + 0.02).all()
        assert (high >= measured.high - 0.02).all()
    assert np.mean(inside) >= 0.9
    assert np.mean(inside) > np.mean(pointwise)


def _like_these(
    generator: np.random.Generator, problems: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return generator.beta(0.6, 0.5, problems), np.exp(generator.normal(6.2, 0.5, problems))
