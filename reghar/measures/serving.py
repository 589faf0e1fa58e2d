"""The budget to serve with: the smallest that is not worse than unbounded thinking.

(definitions: The budget to serve with) Non-inferiority by a margin, one-sided 95%, of paired differences
over problems. Budgets are tested from the largest down until one fails: a fixed sequence needs no
correction for the number of tests (Maurer, Hothorn and Lehmacher, 1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from reghar.errors import InputError
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.clusters import Clusters
from reghar.measures.draws import drawn_values
from reghar.measures.estimate import Estimate, mean_estimate
from reghar.measures.reg import RESOLUTION
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

MARGIN = 0.01
"""One point of accuracy."""
CONFIDENCE = 0.95
"""Of every one-sided bound."""

TestResult = Literal["not worse", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """Is accuracy lower by more than the margin?"""

    difference: float
    """Accuracy minus that of unbounded thinking, -1..1."""
    low: float
    """Its lower one-sided 95% bound."""
    high: float
    """Its upper one-sided 95% bound."""
    verdict: TestResult
    """`not worse` where `low` is above -margin, `worse` where `high` is not."""
    problems_needed: int | None
    """Problems with which the standard error would decide, were the difference the true one. None where
    it is decided, and where the difference is the margin itself."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The budget to serve with, of one task or of the mean over tasks."""

    margin: float
    """Accuracy, 0..1."""
    budgets: tuple[int, ...]
    """Tokens, increasing."""
    tests: tuple[NonInferiority, ...]
    """Of every budget against unbounded thinking."""
    recommended: int | None
    """The smallest budget that passed, tokens; None where the largest already fails."""

    @property
    def failed(self) -> int | None:
        """The index of the budget at which the sequence ended; None where all passed."""
        return _failed(self.tests)


@dataclass(frozen=True, kw_only=True)
class PairedColumn:
    """Paired differences of one column against unbounded thinking, of one task."""

    estimate: Estimate
    problems: int
    reach: float
    """What a one-sided bound stands away from the difference at least."""


def serving_of(
    tasks: Sequence[TaskOutcomes],
    margin: float = MARGIN,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Serving:
    """The budget to serve with over the mean of the tasks, whose budgets are the same.

    Raises InputError for a margin outside (0, 1), an incomplete run, and fewer than 2 problems.
    """
    columns = [_of_budgets(one, margin, seed, replicates) for one in tasks]
    tests = tuple(_test(paired, margin) for paired in zip(*columns, strict=True))
    budgets = tuple(int(budget) for budget in tasks[0].budgets)
    failed = _failed(tests)
    passed = budgets if failed is None else budgets[failed + 1 :]
    return Serving(margin=margin, budgets=budgets, tests=tests, recommended=passed[0] if passed else None)


def non_inferiority(
    differences: Array,
    certain: NDArray[np.bool_],
    margin: float,
    *,
    task: str,
    samples: int,
    clusters: Clusters,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> list[NonInferiority]:
    """A test of every column of the paired differences (P, K), means over `samples` of a problem.

    `certain` (K,): columns of which no other draw of the same traces could differ from the reference.
    """
    found = paired_columns(
        differences,
        certain,
        margin,
        task=task,
        samples=samples,
        clusters=clusters,
        seed=seed,
        replicates=replicates,
    )
    return [_test((one,), margin) for one in found]


def paired_columns(
    differences: Array,
    certain: NDArray[np.bool_],
    margin: float,
    *,
    task: str,
    samples: int,
    clusters: Clusters,
    seed: int,
    replicates: int,
) -> list[PairedColumn]:
    """The columns of `non_inferiority` as estimates."""
    check_margin(margin)
    problems = len(differences)
    if clusters.count < 2:
        what = "problem" if problems < 2 else "cluster of problems"
        raise InputError(f"{task}: whether a budget is good enough cannot be said from 1 {what}: run more")
    # Counts rather than means: sums of whole numbers give the same bits in any order.
    draws = drawn_values(
        differences * samples,
        seed=seed,
        task=task,
        replicates=replicates,
        sizes=np.full(problems, float(samples)),
        clusters=clusters,
    )
    # A true drop of the margin turns at least that share of the answers wrong; where few were seen to
    # turn, the replicates know too small an error. Where none was, this is the rule of three: a margin m
    # is ruled out by 3 / m answers.
    reach = math.sqrt(-math.log(1 - CONFIDENCE) * margin / (problems * samples))
    return [
        PairedColumn(
            estimate=draws.estimate(
                float(differences[:, column].mean()), draws.means[:, column], difference=True
            ),
            problems=problems,
            reach=0.0 if certain[column] else reach,
        )
        for column in range(differences.shape[1])
    ]


def check_margin(margin: float) -> None:
    """Raises InputError for one outside (0, 1), NaN included."""
    if not 0 < margin < 1:
        raise InputError(
            f"--margin {margin:g}: give the accuracy that may be lost as a fraction above 0 and below 1, "
            "such as 0.01 for one point"
        )


def _of_budgets(outcomes: TaskOutcomes, margin: float, seed: int, replicates: int) -> list[PairedColumn]:
    outcomes.require_complete()
    rights = outcomes.correct - outcomes.full_correct[:, :, None]
    over = outcomes.finished[:, :, None] & (outcomes.counted[:, :, None] <= outcomes.budgets)
    certain: NDArray[np.bool_] = np.asarray(over.all(axis=(0, 1)))
    return paired_columns(
        rights.mean(axis=1),
        certain,
        margin,
        task=outcomes.task,
        samples=rights.shape[1],
        clusters=Clusters.of(outcomes),
        seed=seed,
        replicates=replicates,
    )


def _test(tasks: Sequence[PairedColumn], margin: float) -> NonInferiority:
    estimate = mean_estimate([one.estimate for one in tasks])
    reach = math.sqrt(sum(one.reach**2 for one in tasks)) / len(tasks)
    low, high = estimate.interval(2 * CONFIDENCE - 1)
    value = 0.0 if abs(estimate.value) < RESOLUTION else estimate.value
    low, high = min(low, value - reach), max(high, value + reach)
    verdict: TestResult = "not worse" if low > -margin else "worse" if high < -margin else "undecided"
    needed = None
    beyond = abs(value + margin)
    if verdict == "undecided" and beyond > RESOLUTION:
        quantile = float(stdtrit(estimate.expansion.df, CONFIDENCE))
        reach = max(quantile * estimate.standard_error, reach)
        problems = min(one.problems for one in tasks)
        needed = max(math.ceil(problems * (reach / beyond) ** 2), problems + 1)
    return NonInferiority(difference=value, low=low, high=high, verdict=verdict, problems_needed=needed)


def _failed(tests: Sequence[NonInferiority]) -> int | None:
    for column in reversed(range(len(tests))):
        if tests[column].verdict != "not worse":
            return column
    return None
