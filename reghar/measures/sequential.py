"""When to stop adding samples: the fixed-width rule of Chow and Robbins (Annals of Mathematical Statistics
36, 1965), looked at in a few rounds.

How many samples the rounds have does not depend on the width, so that a run that stopped at one width and
is resumed with a narrower one is the run that asked for the narrower one at once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from reghar.errors import InputError
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.catalogue import IntervalKind
from reghar.measures.clusters import Clusters
from reghar.measures.draws import drawn_means
from reghar.measures.estimate import COVERAGE
from reghar.measures.planning import components
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

GROWTH = 1.5
"""Samples of a round over those of the round before: 4, 6, 9, 14, 21, 32, ..."""


def next_samples(samples: int, most: int) -> int:
    """Samples per problem of the round after one of `samples`; `most` at most."""
    return min(math.ceil(samples * GROWTH), most)


def accuracy_width(
    outcomes: TaskOutcomes, interval: IntervalKind, *, seed: int = 0, replicates: int = REPLICATES
) -> float:
    """The width of the 95% interval of the final accuracy, 0..1; infinite where there is none."""
    correct = outcomes.full_correct
    draws, _ = drawn_means(
        correct[..., None],
        np.ones(correct.shape, dtype=bool),
        interval,
        task=outcomes.task,
        seed=seed,
        replicates=replicates,
        clusters=Clusters.of(outcomes),
    )
    if draws is None:
        return math.inf
    low, high = draws.estimate(float(correct.mean()), draws.means[:, 0], share=True).interval()
    return high - low


def narrowest_width(outcomes: TaskOutcomes, interval: IntervalKind) -> float:
    """About the width that no number of samples goes below, 0..1: problems differ.

    0 where only samples are drawn. Raises InputError for fewer than 2 problems.
    """
    if interval == "samples":
        return 0.0
    correct, clusters = outcomes.full_correct, Clusters.of(outcomes)
    if clusters.count < 2:
        what = "problem" if len(correct) < 2 else "cluster of problems"
        raise InputError(
            f"task {outcomes.task} has one {what}: no interval over problems; give --interval samples"
        )
    error = math.sqrt(components(correct, clusters=clusters).between / len(correct))
    return 2 * float(-stdtrit(clusters.count - 1, (1 - COVERAGE) / 2)) * error
