"""Test-time control in a report: every method's settings and measures (definitions: s1's measures)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reghar.measures import bootstrap, s1
from reghar.measures.bootstrap import Expansion
from reghar.measures.catalogue import MEASURES, IntervalKind
from reghar.measures.control_methods import Draw, Evaluation, Method, bounds, evaluated_methods
from reghar.measures.curves import problem_means
from reghar.report.schema import MeasureRecord, MethodRecord, SettingRecord
from reghar.store import StoredRun

Array = NDArray[np.float64]

QUANTILES = (5, 25, 50, 75, 95)
"""Percent."""


def method_records(
    run: StoredRun, task: str, *, interval: IntervalKind, seed: int, replicates: int
) -> tuple[MethodRecord, ...]:
    """Every method of a run on one task: `force`, which every run has, first."""
    draw = Draw(task, interval, seed, replicates)
    return tuple(_record(method, draw) for method in evaluated_methods(run, task) if method.stored.any())


def _record(method: Method, draw: Draw) -> MethodRecord:
    count, stored, values = len(method.settings), method.stored, method.values()
    mean = problem_means(values, stored).mean(axis=0)
    drawn = draw.of(values, stored)
    low = high = None
    if drawn is not None:
        low, high = bootstrap.interval(*drawn)
    obeyed = [None if np.isnan(flag) else bool(flag) for flag in method.obeyed(mean)]
    rows = [
        _setting(one, stored, mean, low, high, (i, count + i), obeyed[i])
        for i, one in enumerate(method.settings)
    ]
    slopes = s1.scaling(mean[:count], 100 * mean[count : 2 * count])
    return MethodRecord(
        method=method.name,
        settings=tuple(rows),
        reference=None if method.reference is None else _alone(method.reference, draw),
        measures=_measures(method, mean, drawn),
        pairs_left_out=int(slopes.pairs_left_out),
    )


def _alone(reference: Evaluation, draw: Draw) -> SettingRecord | None:
    if not reference.stored.any():
        return None
    values = np.stack([reference.used, reference.correct], axis=-1, dtype=np.float64)
    mean = problem_means(values, reference.stored).mean(axis=0)
    drawn = draw.of(values, reference.stored)
    low, high = (None, None) if drawn is None else bootstrap.interval(*drawn)
    return _setting(reference, reference.stored, mean, low, high, (0, 1), None)


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
    share = float(s1.within(one.used[stored], *bounds(one)).mean()) if asks else None
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
    method: Method, mean: Array, drawn: tuple[Array, Expansion] | None
) -> tuple[MeasureRecord, ...]:
    """Control, Scaling in both forms and Performance."""
    count = len(method.settings)

    def figures(means: Array) -> dict[str, Array]:
        percent = 100 * means[..., count : 2 * count]
        slopes = s1.scaling(means[..., :count], percent)
        return {
            "control": method.control(means),
            "scaling": slopes.per_doubling,
            "scaling_per_1000": slopes.per_1000,
            "performance": s1.performance(percent),
        }

    replicated = {} if drawn is None else figures(drawn[0])
    records = []
    for name, value in figures(mean).items():
        ends: tuple[float | None, float | None] = (None, None)
        if drawn is not None and np.isfinite(value):
            known = replicated[name][np.isfinite(replicated[name])]
            low, high = bootstrap.interval(known, drawn[1])
            ends = (float(low), float(high))
        records.append(_measure(name, float(value) if np.isfinite(value) else None, *ends))
    return tuple(records)


def _measure(name: str, value: float | None, low: float | None, high: float | None) -> MeasureRecord:
    unit, higher_is_better = MEASURES[name]
    return MeasureRecord(
        name=name, value=value, unit=unit, higher_is_better=higher_is_better, low=low, high=high
    )
