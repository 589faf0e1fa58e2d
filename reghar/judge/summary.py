"""What judgements say of a run: means by task and correctness, and two ways to see what a judge measures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.judge.rubrics import RUBRIC_VERSION
from reghar.store import StoredRun
from reghar.store.judgements import Aspect, Judgement
from reghar.store.outcomes import TaskOutcomes

MEASURES_LENGTH = 0.9
"""Rank correlation of verbosity with thinking tokens above which a judge is said to measure the length."""

JudgedSample = tuple[str, int]
"""Problem id and sample."""


@dataclass(frozen=True, kw_only=True)
class AspectSummary:
    """One aspect on one task. Means are over traces, each with the mean of its parsed repeats; null where
    there is none."""

    task: str
    aspect: str
    replies: int
    unparsed: float
    """Share of the replies, 0 to 1."""
    traces: int
    """That have a score."""
    mean: float | None
    mean_correct: float | None
    """Over traces whose own answer is correct."""
    mean_wrong: float | None
    """Over the others."""
    spread: float | None
    """Standard deviation over the repeats of a trace, mean over traces with 2 or more."""
    rank_correlation: float | None
    """Spearman's: of rv with log2 of a trace's thinking tokens, over traces; of cd with the share of wrong
    answers, over problems. Null for `valid`, below 3 points, and where one side is constant."""

    @property
    def measures_length(self) -> bool:
        """Whether the scores say hardly more than the length does."""
        return self.aspect == "rv" and (self.rank_correlation or 0.0) > MEASURES_LENGTH


def summarize(
    run: StoredRun, judgements: Iterable[Judgement], judge: str, aspects: Sequence[Aspect]
) -> list[AspectSummary]:
    """By task and aspect, of one judge and the rubric of this version."""
    found: dict[tuple[str, str], list[Judgement]] = defaultdict(list)
    for one in judgements:
        if one.judge == judge and one.rubric == RUBRIC_VERSION:
            found[one.task, one.aspect].append(one)
    return [
        _summary(run.outcomes(task), aspect, found[task, aspect])
        for task in run.tasks
        for aspect in aspects
        if found[task, aspect]
    ]


def trace_scores(judgements: Iterable[Judgement]) -> dict[JudgedSample, list[int]]:
    """The parsed scores of every trace that has any."""
    scores: dict[JudgedSample, list[int]] = defaultdict(list)
    for one in judgements:
        if one.score is not None:
            scores[one.problem, one.sample].append(one.score)
    return dict(scores)


def _summary(outcomes: TaskOutcomes, aspect: Aspect, judgements: Sequence[Judgement]) -> AspectSummary:
    scores = trace_scores(judgements)
    means = {place: float(np.mean(each)) for place, each in scores.items()}
    right = _correct(outcomes)
    repeated = [float(np.std(each, ddof=1)) for each in scores.values() if len(each) > 1]
    return AspectSummary(
        task=outcomes.task,
        aspect=aspect,
        replies=len(judgements),
        unparsed=sum(one.score is None for one in judgements) / len(judgements),
        traces=len(scores),
        mean=_mean(means.values()),
        mean_correct=_mean(mean for place, mean in means.items() if right[place]),
        mean_wrong=_mean(mean for place, mean in means.items() if not right[place]),
        spread=_mean(repeated),
        rank_correlation=_correlation(outcomes, aspect, means),
    )


def _correct(outcomes: TaskOutcomes) -> dict[JudgedSample, bool]:
    code = OUTCOMES.index(Outcome.CORRECT)
    return {
        (problem, sample): bool(outcomes.full[row, sample] == code)
        for row, problem in enumerate(outcomes.problems)
        for sample in range(outcomes.full.shape[1])
    }


def _correlation(outcomes: TaskOutcomes, aspect: Aspect, means: Mapping[JudgedSample, float]) -> float | None:
    rows = {problem: row for row, problem in enumerate(outcomes.problems)}
    if aspect == "rv":
        # All of a response is its thinking where it has no thinking block.
        thinking = np.where(outcomes.thought, outcomes.thinking_length, outcomes.length)
        tokens = [int(thinking[rows[problem], sample]) for problem, sample in means]
        return spearman(np.log2(np.maximum(1, tokens)), np.array(list(means.values())))
    if aspect == "cd":
        by_problem: dict[str, list[float]] = defaultdict(list)
        for (problem, _), mean in means.items():
            by_problem[problem].append(mean)
        failures = 1 - outcomes.full_correct.mean(axis=1)
        difficulty = np.array([np.mean(each) for each in by_problem.values()])
        return spearman(np.array([failures[rows[problem]] for problem in by_problem]), difficulty)
    return None


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, ties sharing their mean rank; None below 3 points or for a constant."""
    from scipy.stats import rankdata

    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None
