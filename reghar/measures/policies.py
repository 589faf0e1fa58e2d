"""When to stop thinking, judged from stored forced answers alone (definitions: Stopping policies).

A policy reads a trace's forced answers in the order of the budgets and stops. It pays for the trace up to
there and for every answer that it had to ask for; a trace that ended itself first is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.clusters import Clusters
from reghar.measures.draws import drawn_values
from reghar.measures.efficiency import settled_budget
from reghar.measures.scaling import ABSTAINS
from reghar.measures.serving import MARGIN, non_inferiority
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a policy sees of one task: P problems, n samples, B budgets."""

    outcomes: TaskOutcomes
    groups: NDArray[np.int64]
    """Shape (P, n, B): equal answers have equal numbers, `ABSTAINS` for none (`votes.answer_groups`)."""
    tokens: NDArray[np.int64]
    """Shape (P, n, B): tokens of the forced answer, 0 where the trace's own counts."""
    confidence: Array | None = None
    """Shape (P, n, B): mean log-probability of its tokens, at most 0; NaN where it is not known."""

    def __post_init__(self) -> None:
        if len(self.outcomes.budgets) < 2:
            raise InputError(
                f"{self.outcomes.task}: a policy chooses among budgets, and the run has only "
                f"{self.outcomes.budgets[0]}: probe it at more with `reghar probe RUN --budgets ...`"
            )
        self.outcomes.require_complete()

    @property
    def over(self) -> NDArray[np.bool_]:
        """Shape (P, n, B): the trace had ended by itself."""
        outcomes = self.outcomes
        return outcomes.finished[:, :, None] & (outcomes.counted[:, :, None] <= outcomes.budgets)


@dataclass(frozen=True, kw_only=True)
class PolicyOutcome:
    """What became of every trace under one policy."""

    family: str
    """`fixed`, `stable`, `confident` or `settled`."""
    name: str
    """The policy with its parameters, such as `stable(3)`."""
    tokens: Array
    """Shape (P, n): tokens paid for."""
    right: Array
    """Shape (P, n): 1.0 where the answer there is correct, else 0.0."""


def fixed(answers: Answers, budget: int) -> PolicyOutcome:
    """One budget, in tokens and of the grid, for every trace."""
    budgets = answers.outcomes.budgets
    column = int(np.searchsorted(budgets, budget))
    if column == len(budgets) or budgets[column] != budget:
        raise InputError(f"fixed({budget}): the run has no such budget; it has {budgets.tolist()}")
    stops = np.zeros(answers.tokens.shape, dtype=bool)
    stops[..., column:] = True
    return _stopped(answers, "fixed", f"fixed({budget:,})", stops, first=column)


def stable(answers: Answers, k: int, *, start: int = 0) -> PolicyOutcome:
    """Stops at the first budget at which the last `k` forced answers are equal; no answer equals none.

    Answers are asked for from the budget `start`, in tokens, on. Raises InputError for k below 2 and for
    more answers than there are budgets from `start` on.
    """
    budgets = answers.outcomes.budgets
    first = int(np.searchsorted(budgets, start))
    if not 2 <= k <= len(budgets) - first:
        raise InputError(
            f"stable({k}) from {start}: give from 2 to {len(budgets) - first} answers, as many as the run "
            "has budgets from there on"
        )
    groups = answers.groups
    equal = (groups[..., 1:] == groups[..., :-1]) & (groups[..., 1:] != ABSTAINS)
    stops = np.zeros(groups.shape, dtype=bool)
    for column in range(first + k - 1, len(budgets)):
        stops[..., column] = equal[..., column - k + 1 : column].all(axis=-1)
    name = f"stable({k})" if start == 0 else f"stable({k}, from {start:,})"
    return _stopped(answers, "stable", name, stops, first=first)


def confident(answers: Answers, threshold: float) -> PolicyOutcome:
    """Stops where the mean log-probability of the forced answer's tokens reaches `threshold` (at most 0).

    Raises InputError where the run stores no log-probabilities.
    """
    if answers.confidence is None or np.isnan(answers.confidence).all():
        raise InputError(
            f"{answers.outcomes.task}: confident({threshold:g}) needs the answers' log-probabilities, which "
            "this run does not hold: probe its traces again with `reghar probe`"
        )
    with np.errstate(invalid="ignore"):
        stops = answers.confidence >= threshold
    return _stopped(answers, "confident", f"confident({threshold:.3g})", stops, first=0)


def settled(answers: Answers) -> PolicyOutcome:
    """Stops at the first budget from which on the answer is right, and pays for that answer alone.

    It needs to know what is right: an upper bound, and no way to serve.
    """
    outcomes = answers.outcomes
    at = settled_budget(outcomes.correct > 0, outcomes.budgets)
    stops = outcomes.budgets == np.where(np.isnan(at), outcomes.budgets[-1], at)[..., None]
    return _stopped(answers, "settled", "settled (upper bound)", stops, first=None)


def unbounded(answers: Answers) -> PolicyOutcome:
    """The whole trace with its own answer: what a policy is compared with."""
    outcomes = answers.outcomes
    return PolicyOutcome(
        family="unbounded",
        name="unbounded",
        tokens=outcomes.length.astype(np.float64),
        right=outcomes.full_correct,
    )


def _stopped(
    answers: Answers, family: str, name: str, stops: NDArray[np.bool_], *, first: int | None
) -> PolicyOutcome:
    """`stops` (P, n, B): where the rule is met; `first`: the first answer asked for, None for the last
    one alone."""
    outcomes = answers.outcomes
    stops = stops | answers.over
    stops[..., -1] = True
    at = stops.argmax(axis=-1)[..., None]
    asked = answers.tokens if first is None else answers.tokens * (np.arange(stops.shape[-1]) >= first)
    paid = asked if first is None else np.cumsum(asked, axis=-1)
    # What a trace that ended itself says after its thinking is paid for, whatever the budgets count.
    cut = np.minimum(outcomes.counted[..., None], outcomes.budgets)
    trace = np.where(answers.over, outcomes.length[..., None], cut)
    tokens = np.take_along_axis(trace + paid, at, axis=-1)[..., 0]
    return PolicyOutcome(
        family=family,
        name=name,
        tokens=tokens.astype(np.float64),
        right=np.take_along_axis(outcomes.correct, at, axis=-1)[..., 0],
    )


@dataclass(frozen=True, kw_only=True)
class Point:
    """A policy's place in the picture."""

    name: str
    tokens: float
    """Mean tokens per response."""
    accuracy: float
    """0..1."""
    low: float
    """95% interval of the accuracy over problems; NaN for fewer than 2."""
    high: float


def points_of(
    policies: Sequence[PolicyOutcome],
    *,
    task: str,
    clusters: Clusters | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> list[Point]:
    """Accuracy over mean tokens of each policy."""
    by_problem = np.stack([one.right.mean(axis=1) for one in policies], axis=1)
    clusters = clusters or Clusters.alone(len(by_problem))
    ends = _intervals(by_problem, clusters, task, seed, replicates, share=True)
    return [
        Point(
            name=one.name,
            tokens=float(one.tokens.mean()),
            accuracy=float(one.right.mean()),
            low=low,
            high=high,
        )
        for one, (low, high) in zip(policies, ends, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Saving:
    """The most that a family saves without being worse, cross-fitted."""

    family: str
    chosen: tuple[str, str]
    """The policy chosen on one half of the problems, and on the other."""
    tokens_saved: float
    """Mean tokens per response that unbounded thinking spends and the policies do not."""
    tokens_low: float
    """95% interval over problems, the choice held."""
    tokens_high: float
    share_saved: float
    """Of unbounded thinking's tokens, at most 1; negative where the policies spend more."""
    difference: float
    """Accuracy minus that of unbounded thinking."""
    difference_low: float
    difference_high: float


def saving_of(
    policies: Sequence[PolicyOutcome],
    reference: PolicyOutcome,
    *,
    task: str,
    clusters: Clusters | None = None,
    margin: float = MARGIN,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Saving:
    """The largest saving of a family at an accuracy that is not worse than the reference's.

    The cheapest policy that is not worse is chosen on one half of the problems and read on the other,
    both ways; a policy chosen and read on the same problems flatters itself. Where none is shown to be
    not worse, nothing is stopped. Raises InputError for fewer than 4 problems.
    """
    problems, samples = reference.right.shape
    clusters = clusters or Clusters.alone(problems)
    if clusters.count < 4:
        what = "problems" if clusters.count == problems else "clusters of problems"
        raise InputError(
            f"{task}: {clusters.count} {what} cannot be halved to choose a policy: run at least 4"
        )
    one = clusters.index % 2 == 0
    options = [*policies, reference]
    accuracy = np.stack([(option.right - reference.right).mean(axis=1) for option in options], axis=1)
    saved = np.stack([(reference.tokens - option.tokens).mean(axis=1) for option in options], axis=1)
    identical = np.array([option is reference for option in options])
    read, chosen = np.zeros((problems, 2)), []
    for half in (one, ~one):
        tests = non_inferiority(
            accuracy[half],
            identical,
            margin,
            task=task,
            samples=samples,
            clusters=clusters.kept(half),
            seed=seed,
            replicates=replicates,
        )
        allowed = np.array([test.verdict == "not worse" for test in tests])
        best = int(np.where(allowed, saved[half].mean(axis=0), -np.inf).argmax())
        chosen.append(options[best].name)
        read[~half] = np.stack([saved[~half, best], accuracy[~half, best]], axis=1)
    tokens, difference = _intervals(read, clusters, task, seed, replicates, share=False)
    mean = read.mean(axis=0)
    spent = float(reference.tokens.mean())
    return Saving(
        family=policies[0].family,
        chosen=(chosen[0], chosen[1]),
        tokens_saved=float(mean[0]),
        tokens_low=tokens[0],
        tokens_high=tokens[1],
        share_saved=float(mean[0]) / spent if spent > 0 else 0.0,
        difference=float(mean[1]),
        difference_low=difference[0],
        difference_high=difference[1],
    )


def _intervals(
    by_problem: Array, clusters: Clusters, task: str, seed: int, replicates: int, *, share: bool
) -> list[tuple[float, float]]:
    """95% intervals over problems of the means of (P, K)."""
    columns = by_problem.shape[1]
    if clusters.count < 2:
        return [(math.nan, math.nan)] * columns
    draws = drawn_values(by_problem, seed=seed, task=task, replicates=replicates, clusters=clusters)
    return [
        draws.estimate(
            float(by_problem[:, column].mean()), draws.means[:, column], share=share, difference=not share
        ).interval()
        for column in range(columns)
    ]
