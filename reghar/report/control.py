"""Test-time control in a report: every method's settings, and s1's measures of them (SPEC 5, 8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar import control, stats
from reghar.curves import problem_means, stored_traces
from reghar.measures import MEASURES, IntervalKind
from reghar.methods import Setting
from reghar.outcomes import TaskOutcomes
from reghar.report.schema import MeasureRecord, MethodRecord, SettingRecord
from reghar.stats import Expansion
from reghar.store import StoredRun

Array = NDArray[np.float64]

FORCED = " + force"
"""Ends the name of a method with budget forcing on top."""
QUANTILES = (5, 25, 50, 75, 95)
"""Percent."""
_SMALLEST = 256
"""First of the powers of two that are s1's settings of `force`, tokens (SPEC 5)."""
_FLOAT = 1e-12
"""A mean of tokens that all reach the limit may pass it by a rounding error of this size."""


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


def method_records(
    run: StoredRun, task: str, *, interval: IntervalKind, seed: int, replicates: int
) -> tuple[MethodRecord, ...]:
    """Every method of a run on one task: `force`, which every run has, first."""
    records = []
    for name, evaluations, reference in _methods(run, task):
        stored = np.all([one.stored for one in evaluations], axis=0)
        if stored.any():
            records.append(
                _record(name, evaluations, reference, stored, _Draw(task, interval, seed, replicates))
            )
    return tuple(records)


def _methods(run: StoredRun, task: str) -> Iterator[tuple[str, list[Evaluation], Evaluation | None]]:
    """(method, settings in A, the plain evaluation where it is no member but the reference)."""
    thinking = thinks(run, task)
    plain = _own(run.outcomes(task), Setting(name="plain"), thinking)
    force = list(_force(run, task))
    if force:
        yield "force", force, None
    views = {setting.name: run.at(setting.name) for setting in run.settings}
    for method in dict.fromkeys(setting.method for setting in run.settings):
        settings = [s for s in run.settings if s.method == method and s.counted]
        waits = any(setting.after is not None for setting in settings)
        own = [_own(views[s.name].outcomes(task), s, thinking) for s in settings]
        yield method, [plain, *own] if waits else own, None if waits else plain
        if all(setting.maximum is not None for setting in settings):
            forced = [_forced(views[s.name], task, s, thinking) for s in settings]
            yield method + FORCED, forced, plain


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
    """Budget forcing from the curve, at the settings given or the powers of two of the grid.

    It is judged by the plain traces alone, as the measures of `reghar.measures` are.
    """
    outcomes = run.outcomes(task)
    thinking = bool(outcomes.thought.any())
    for column, budget in enumerate(int(b) for b in outcomes.budgets):
        power = budget >= _SMALLEST and budget & (budget - 1) == 0
        if power if outcomes.settings is None else budget in outcomes.settings:
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


@dataclass(frozen=True)
class _Draw:
    """How intervals are drawn."""

    task: str
    kind: IntervalKind
    seed: int
    replicates: int

    def of(self, values: Array, stored: NDArray[np.bool_]) -> tuple[Array, Expansion] | None:
        """Replicated means (R, K) of values (P, n, K); None where there can be no interval (SPEC 7)."""
        if self.kind == "samples":
            problems, samples = stored.shape
            if samples < 2 or not stored.all():
                return None
            draws = stats.bootstrap_samples(
                values, seed=self.seed, task=self.task, replicates=self.replicates
            )
            return draws, stats.sample_expansion(problems, samples)
        means = problem_means(values, stored)
        if len(means) < 2:
            return None
        draws = stats.bootstrap_problems(means, seed=self.seed, task=self.task, replicates=self.replicates)
        return draws, stats.problem_expansion(len(means))


def _record(
    method: str,
    settings: Sequence[Evaluation],
    reference: Evaluation | None,
    stored: NDArray[np.bool_],
    draw: _Draw,
) -> MethodRecord:
    count = len(settings)
    values = np.stack(
        [*(one.used for one in settings), *(one.correct for one in settings)], axis=-1, dtype=np.float64
    )
    mean = problem_means(values, stored).mean(axis=0)
    drawn = draw.of(values, stored)
    low = high = None
    if drawn is not None:
        low, high = stats.interval(*drawn)
    obeyed = _obeyed(method, settings, mean[:count], reference)
    rows = [
        _setting(one, stored, mean, low, high, (i, count + i), obeyed[i]) for i, one in enumerate(settings)
    ]
    known = [flag for flag in obeyed if flag is not None]
    slopes = control.scaling(mean[:count], 100 * mean[count:])
    return MethodRecord(
        method=method,
        settings=tuple(rows),
        reference=None if reference is None else _alone(reference, draw),
        measures=_measures(mean, drawn, count, 100 * float(np.mean(known)) if known else None),
        pairs_left_out=int(slopes.pairs_left_out),
    )


def _alone(reference: Evaluation, draw: _Draw) -> SettingRecord | None:
    if not reference.stored.any():
        return None
    values = np.stack([reference.used, reference.correct], axis=-1, dtype=np.float64)
    mean = problem_means(values, reference.stored).mean(axis=0)
    drawn = draw.of(values, reference.stored)
    low, high = (None, None) if drawn is None else stats.interval(*drawn)
    return _setting(reference, reference.stored, mean, low, high, (0, 1), None)


def _obeyed(
    method: str, settings: Sequence[Evaluation], used: Array, reference: Evaluation | None
) -> list[bool | None]:
    """Whether each setting used what it asked for (s1 section 3.2); None where it asks for nothing."""
    if method == "class" and reference is not None and reference.stored.any():
        plain = problem_means(reference.used.astype(np.float64), reference.stored).mean()
        return [
            bool(tokens < plain if one.name == "short" else tokens > plain)
            for one, tokens in zip(settings, used, strict=True)
        ]
    flags: list[bool | None] = []
    for one, tokens in zip(settings, used, strict=True):
        low, high = _bounds(one)
        bounded = one.minimum is not None or one.maximum is not None
        inside = control.within(tokens, low * (1 - _FLOAT), high * (1 + _FLOAT))
        flags.append(bool(inside) if bounded else None)
    return flags


def _bounds(one: Evaluation) -> tuple[float, float]:
    low, high = (np.nan if bound is None else float(bound) for bound in (one.minimum, one.maximum))
    return low, high


def _setting(
    one: Evaluation,
    stored: NDArray[np.bool_],
    mean: Array,
    low: Array | None,
    high: Array | None,
    columns: tuple[int, int],
    obeyed: bool | None,
) -> SettingRecord:
    used, correct = columns
    asks = one.minimum is not None or one.maximum is not None
    share = float(control.within(one.used[stored], *_bounds(one)).mean()) if asks else None
    return SettingRecord(
        name=one.name,
        minimum=one.minimum,
        maximum=one.maximum,
        tokens=float(mean[used]),
        tokens_low=None if low is None else float(low[used]),
        tokens_high=None if high is None else float(high[used]),
        accuracy=float(np.clip(mean[correct], 0, 1)),
        low=None if low is None else float(np.clip(low[correct], 0, 1)),
        high=None if high is None else float(np.clip(high[correct], 0, 1)),
        obeyed=obeyed,
        within=share,
        tokens_quantiles=_quantiles(one.used[stored]),
        answer_tokens=None if one.answer is None else float(one.answer[stored].mean()),
        answer_quantiles=None if one.answer is None else _quantiles(one.answer[stored]),
        unfinished=float(one.unfinished[stored].mean()),
    )


def _quantiles(values: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(np.percentile(values, QUANTILES).tolist())


def _measures(
    mean: Array, drawn: tuple[Array, Expansion] | None, count: int, share: float | None
) -> tuple[MeasureRecord, ...]:
    """Control, Scaling in both forms and Performance; intervals of all but Control."""

    def figures(means: Array) -> dict[str, Array]:
        slopes = control.scaling(means[..., :count], 100 * means[..., count:])
        return {
            "scaling": slopes.per_doubling,
            "scaling_per_1000": slopes.per_1000,
            "performance": control.performance(100 * means[..., count:]),
        }

    point = figures(mean)
    replicated = {} if drawn is None else figures(drawn[0])
    records = [_measure("control", share, None, None)]
    for name, value in point.items():
        ends: tuple[float | None, float | None] = (None, None)
        if drawn is not None and np.isfinite(value):
            known = replicated[name][np.isfinite(replicated[name])]
            low, high = stats.interval(known, drawn[1])
            ends = (float(low), float(high))
        records.append(_measure(name, float(value) if np.isfinite(value) else None, *ends))
    return tuple(records)


def _measure(name: str, value: float | None, low: float | None, high: float | None) -> MeasureRecord:
    unit, higher_is_better = MEASURES[name]
    return MeasureRecord(
        name=name, value=value, unit=unit, higher_is_better=higher_is_better, low=low, high=high
    )
