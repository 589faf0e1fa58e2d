"""The control methods that a run evaluated: each one's set A as arrays (definitions: s1's measures)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reghar.measures import s1
from reghar.measures.catalogue import IntervalKind, Measure
from reghar.measures.clusters import Clusters
from reghar.measures.curves import mean_over_problems, stored_traces
from reghar.measures.draws import drawn_means
from reghar.measures.estimate import Estimate
from reghar.measures.reg import ROUNDING
from reghar.protocol import Setting
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

FORCED_SUFFIX = " + force"
"""Ends the name of a method with budget forcing on top."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One setting as it was evaluated on one task; P problems, n samples."""

    name: str
    minimum: int | None
    maximum: int | None
    used: NDArray[np.int64]
    """Shape (P, n): thinking tokens; response tokens where no trace of the task has a thinking block."""
    answer: NDArray[np.int64] | None
    """Shape (P, n): response tokens outside the thinking; None where the answer was forced."""
    correct: Array
    """Shape (P, n): 0 or 1."""
    stored: NDArray[np.bool_]
    """Shape (P, n)."""
    unfinished: NDArray[np.bool_]
    """Shape (P, n): traces that hit `max_tokens`."""


def thinks(run: StoredRun, task: str) -> bool:
    """False where no trace of the task has a thinking block: then the response counts as the thinking."""
    views = [run, *(run.at(setting.name) for setting in run.settings)]
    return any(bool(view.outcomes(task).thought.any()) for view in views)


@dataclass(frozen=True, kw_only=True)
class ControlMethod:
    """One method of test-time control, evaluated on one task: its set A."""

    name: str
    settings: list[Evaluation]
    reference: Evaluation | None
    """The plain evaluation where it is no member of A."""
    clusters: Clusters
    """Of the task's problems."""

    @property
    def stored(self) -> NDArray[np.bool_]:
        """Shape (P, n): samples that every setting has."""
        every: NDArray[np.bool_] = np.all([one.stored for one in self.settings], axis=0)
        # Classes are judged against the reference, sample by sample of the same problems.
        return every & self.reference.stored if self.is_class and self.reference is not None else every

    @property
    def is_class(self) -> bool:
        """`short` and `long`, which ask for less and for more than no request."""
        return self.name == "class"

    def values(self) -> Array:
        """Shape (P, n, 2A + 1): tokens used, correct, and the reference's tokens (0 without one)."""
        plain = np.zeros_like(self.settings[0].used) if self.reference is None else self.reference.used
        columns = [*(one.used for one in self.settings), *(one.correct for one in self.settings), plain]
        return np.stack(columns, axis=-1, dtype=np.float64)

    def obeyed(self, means: Array) -> Array:
        """1.0 where a setting used what it asked for, else 0.0; NaN where it asks for nothing.

        `means` (..., 2A + 1) of `values`, shape (..., A) (s1 section 3.2).
        """
        used = means[..., : len(self.settings)]
        if self.is_class and self.reference is not None:
            fewer = np.array([one.name == "short" for one in self.settings])
            plain = means[..., -1:]
            return np.where(fewer, used < plain, used > plain).astype(np.float64)
        low, high = np.array([bounds(one) for one in self.settings]).T
        # A mean of tokens that all reach the limit may pass it by a rounding error.
        return s1.obeyed(used, low * (1 - ROUNDING), high * (1 + ROUNDING))

    def figures(self, means: Array) -> dict[str, Array]:
        """s1's measures, (..., 2A + 1) to (...) each; NaN where there is none."""
        count = len(self.settings)
        percent = 100 * means[..., count : 2 * count]
        return s1.figures(means[..., :count], percent, self.obeyed(means))


def evaluated_methods(run: StoredRun, task: str) -> Iterator[ControlMethod]:
    """Every method of a run: `force`, which every run has, first; then with budget forcing on top."""
    thinking = thinks(run, task)
    plain = _own(run.outcomes(task), Setting(name="plain"), thinking)
    force = list(_force(run, task))
    clusters = Clusters.of(run.outcomes(task))
    if force:
        yield ControlMethod(name="force", settings=force, reference=None, clusters=clusters)
    views = {setting.name: run.at(setting.name) for setting in run.settings}
    for method in dict.fromkeys(setting.method for setting in run.settings):
        settings = [s for s in run.settings if s.method == method and s.counted]
        waits = any(setting.after is not None for setting in settings)
        own = [_own(views[s.name].outcomes(task), s, thinking) for s in settings]
        members = [plain, *own] if waits else own
        yield ControlMethod(
            name=method, settings=members, reference=None if waits else plain, clusters=clusters
        )
        if all(setting.budgets for setting in settings):
            forced = [_forced(views[s.name], task, s, thinking) for s in settings]
            yield ControlMethod(
                name=method + FORCED_SUFFIX, settings=forced, reference=plain, clusters=clusters
            )


def _used(outcomes: TaskOutcomes, thinking: bool) -> NDArray[np.int64]:
    return outcomes.thinking_length if thinking else outcomes.length


def _own(outcomes: TaskOutcomes, setting: Setting, thinking: bool) -> Evaluation:
    """The traces' own answers."""
    return Evaluation(
        name=setting.name,
        minimum=setting.minimum,
        maximum=setting.maximum,
        used=_used(outcomes, thinking),
        answer=outcomes.length - outcomes.thinking_length if thinking else None,
        correct=outcomes.full_correct,
        stored=stored_traces(outcomes),
        unfinished=~outcomes.finished,
    )


def _forced(run: StoredRun, task: str, setting: Setting, thinking: bool) -> Evaluation:
    """Answers forced where the thinking passed what was asked for, or the countdown reached zero."""
    outcomes = run.outcomes(task)
    limit = int(outcomes.budgets[0])
    cut = np.minimum(run.countdown(task), limit)
    return Evaluation(
        name=setting.name,
        minimum=setting.minimum,
        maximum=setting.maximum,
        used=np.minimum(_used(outcomes, thinking), cut),
        answer=None,
        correct=outcomes.correct[..., 0],
        stored=stored_traces(outcomes),
        unfinished=~outcomes.finished,
    )


def _force(run: StoredRun, task: str) -> Iterator[Evaluation]:
    """Budget forcing from the curve.

    It is judged by the plain traces alone, as the measures of `reghar.measures.task` are.
    """
    outcomes = run.outcomes(task)
    thinking = bool(outcomes.thought.any())
    for column, budget in enumerate(int(b) for b in outcomes.budgets):
        if budget in outcomes.forced_settings:
            yield Evaluation(
                name=str(budget),
                minimum=None,
                maximum=budget,
                used=np.minimum(_used(outcomes, thinking), budget),
                answer=None,
                correct=outcomes.correct[..., column],
                stored=stored_traces(outcomes),
                unfinished=~outcomes.finished,
            )


def pooled(methods: Sequence[ControlMethod]) -> ControlMethod:
    """One method of several runs with all their samples."""

    def joined(evaluations: Sequence[Evaluation]) -> Evaluation:
        names = ("used", "correct", "stored", "unfinished")
        arrays = {name: np.concatenate([getattr(one, name) for one in evaluations], axis=1) for name in names}
        return replace(evaluations[0], answer=None, **arrays)

    references = [method.reference for method in methods]
    return replace(
        methods[0],
        settings=[joined(several) for several in zip(*(m.settings for m in methods), strict=True)],
        reference=joined([one for one in references if one is not None]) if references[0] else None,
    )


def bounds(one: Evaluation) -> tuple[float, float]:
    """Thinking tokens at least and at most; NaN for no such bound."""
    low, high = (np.nan if bound is None else float(bound) for bound in (one.minimum, one.maximum))
    return low, high


def own_control(
    runs: Sequence[StoredRun],
    task: str,
    *,
    interval: IntervalKind,
    seed: int,
    replicates: int,
    clusters: Clusters,
) -> tuple[Measure, Estimate | None] | None:
    """Control of the method that the runs asked for, all their samples together, with its sampling error.

    None for `force`, whose Control is 100% by construction (s1 section 3.2), and where no setting has a
    bound.
    """
    for methods in zip(*(evaluated_methods(run, task) for run in runs), strict=True):
        method = replace(pooled(methods), clusters=clusters)
        if method.name == "force":
            continue
        measures, estimates = method_measures(
            method, task=task, interval=interval, seed=seed, replicates=replicates
        )
        measure = next(one for one in measures if one.name == "control")
        if measure.value is not None:
            return measure, estimates.get("control")
    return None


def method_measures(
    method: ControlMethod, *, task: str, interval: IntervalKind, seed: int, replicates: int
) -> tuple[list[Measure], dict[str, Estimate]]:
    """Control, Scaling in both forms and Performance of one method, with their sampling errors."""
    values = method.values()
    draws, _ = drawn_means(
        values,
        method.stored,
        interval,
        task=task,
        seed=seed,
        replicates=replicates,
        clusters=method.clusters,
    )
    point = method.figures(mean_over_problems(values, method.stored))
    replicated = {} if draws is None else method.figures(draws.means)
    estimates = {
        name: draws.measure(name, float(point[name]), drawn)
        for name, drawn in replicated.items()
        if draws is not None and np.isfinite(point[name]) and not np.isnan(drawn).all()
    }
    measures = [
        Measure.of(name, float(value), estimates[name].interval(), estimates[name].drawn)
        if name in estimates
        else Measure.of(name, float(value))
        for name, value in point.items()
    ]
    return measures, estimates
