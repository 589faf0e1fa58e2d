"""Problems of one source, drawn together (definitions: Statistics)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Which of P problems are drawn together: those of one of C clusters."""

    index: NDArray[np.int64]
    """Shape (P,): the cluster of each problem, 0..C-1; `arange(P)` where every problem stands alone."""

    @classmethod
    def of(cls, outcomes: TaskOutcomes) -> Clusters:
        """As the task declares them; without clusters every problem is one of its own."""
        if outcomes.clusters is None:
            return cls.alone(len(outcomes.problems))
        return cls.named(outcomes.clusters)

    @classmethod
    def alone(cls, problems: int) -> Clusters:
        """Every problem a cluster of its own."""
        return cls(index=np.arange(problems))

    @classmethod
    def named(cls, names: Sequence[str]) -> Clusters:
        """Problems with equal names together, numbered in the order of their first problems."""
        number = {name: place for place, name in enumerate(dict.fromkeys(names))}
        return cls(index=np.array([number[name] for name in names], dtype=np.int64))

    @classmethod
    def side_by_side(cls, tasks: Sequence[Clusters]) -> Clusters:
        """Of the problems of several tasks, one after the other; no cluster holds problems of two tasks."""
        names = [f"{place} {number}" for place, one in enumerate(tasks) for number in one.index]
        return cls.named(names)

    @property
    def count(self) -> int:
        """C."""
        return int(self.index.max(initial=-1)) + 1

    @property
    def sizes(self) -> Array:
        """Shape (C,): problems in each."""
        return np.bincount(self.index, minlength=self.count).astype(np.float64)

    def kept(self, some: ArrayLike) -> Clusters:
        """Those of the problems `some`, (P,) of true and false, numbered anew."""
        return Clusters.named([str(number) for number in self.index[np.asarray(some, dtype=bool)]])

    def sums(self, values: Array) -> Array:
        """Sums over the problems of each cluster: (P, ...) to (C, ...)."""
        sums = np.zeros((self.count, *values.shape[1:]))
        np.add.at(sums, self.index, values)
        return sums

    def variance(self, values: Array) -> Array:
        """Of the mean over problems of `values` (P, ...), shape (...); needs 2 clusters.

        The mean is a ratio of sums over clusters; its variance is the usual one (Cochran, "Sampling
        Techniques", 1977, section 2.11). Without clusters the sample variance over the number of problems.
        """
        residuals = self.sums(values - values.mean(axis=0))
        squares = (residuals**2).sum(axis=0) * self.count / (self.count - 1)
        return np.asarray(squares / len(values) ** 2)


def shared_clusters(outcomes: Sequence[TaskOutcomes]) -> list[TaskOutcomes]:
    """The same, drawing together what one of them draws together: all have the same problems, in order.

    Runs of unequal clusters are comparable: clusters are no part of the protocol, since they change no
    figure, and a run from before they were declared has none.
    """
    if len({one.clusters for one in outcomes}) == 1:
        return list(outcomes)
    joined = joined_clusters([Clusters.of(one) for one in outcomes])
    names = tuple(str(number) for number in joined.index)
    return [replace(one, clusters=names) for one in outcomes]


def joined_clusters(several: Sequence[Clusters]) -> Clusters:
    """Of the same problems: together are those that one of `several` has together, and what these tie."""
    index = several[0].index
    for other in several[1:]:
        index = _joined(index, other.index)
    return Clusters.named([str(number) for number in index])


def _joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each problem ties a cluster of one side to a cluster of the other; tied ones are one cluster."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left = int(one.max()) + 1
    size = left + int(other.max()) + 1
    ties = coo_array((np.ones(len(one)), (one, left + other)), shape=(size, size))
    _, labels = connected_components(ties, directed=False)
    return np.asarray(labels[one], dtype=np.int64)
