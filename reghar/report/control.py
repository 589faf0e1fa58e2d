"""Test-time control in a report: every method's settings and measures (definitions: s1's measures)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.measures import s1
from reghar.measures.catalogue import IntervalKind
from reghar.measures.control_methods import (
    ControlMethod,
    Evaluation,
    bounds,
    evaluated_methods,
    method_measures,
)
from reghar.measures.curves import mean_over_problems
from reghar.measures.draws import drawn_means
from reghar.report.schema import MethodRecord, SettingRecord
from reghar.store import StoredRun

Array = NDArray[np.float64]

QUANTILES = (5, 25, 50, 75, 95)
"""Percent."""


def method_records(
    run: StoredRun, task: str, *, interval: IntervalKind, seed: int, replicates: int
) -> tuple[MethodRecord, ...]:
    """Every method of a run on one task: `force`, which every run has, first."""
    options: dict[str, Any] = {"task": task, "interval": interval, "seed": seed, "replicates": replicates}
    return tuple(_record(method, options) for method in evaluated_methods(run, task) if method.stored.any())


def _record(method: ControlMethod, options: dict[str, Any]) -> MethodRecord:
    count, stored, values = len(method.settings), method.stored, method.values()
    mean = mean_over_problems(values, stored)
    drawn = options | {"clusters": method.clusters}
    ends = _ends(values, mean, stored, range(count, 2 * count), drawn)
    obeyed = [None if np.isnan(flag) else bool(flag) for flag in method.obeyed(mean)]
    rows = [
        _setting(one, stored, mean, ends, (i, count + i), obeyed[i]) for i, one in enumerate(method.settings)
    ]
    slopes = s1.scaling(mean[:count], 100 * mean[count : 2 * count])
    return MethodRecord(
        method=method.name,
        settings=tuple(rows),
        reference=None if method.reference is None else _alone(method.reference, drawn),
        measures=tuple(method_measures(method, **options)[0]),
        pairs_left_out=int(slopes.pairs_left_out),
    )


def _alone(reference: Evaluation, options: dict[str, Any]) -> SettingRecord | None:
    stored = reference.stored
    if not stored.any():
        return None
    values = np.stack([reference.used, reference.correct], axis=-1, dtype=np.float64)
    mean = mean_over_problems(values, stored)
    return _setting(reference, stored, mean, _ends(values, mean, stored, (1,), options), (0, 1), None)


def _ends(
    values: Array, mean: Array, stored: NDArray[np.bool_], shares: Collection[int], options: dict[str, Any]
) -> list[tuple[float, float] | None]:
    """The 95% interval of each of K means of values (P, n, K), those in `shares` of a share of traces."""
    chosen = {name: value for name, value in options.items() if name != "interval"}
    draws, _ = drawn_means(values, stored, options["interval"], **chosen)
    if draws is None:
        return [None] * len(mean)
    return [
        draws.estimate(float(mean[k]), draws.means[:, k], share=k in shares).interval()
        for k in range(len(mean))
    ]


def _setting(
    one: Evaluation,
    stored: NDArray[np.bool_],
    mean: Array,
    ends: list[tuple[float, float] | None],
    columns: tuple[int, int],
    obeyed: bool | None,
) -> SettingRecord:
    used, correct = columns
    asks = one.minimum is not None or one.maximum is not None
    share = float(s1.within(one.used[stored], *bounds(one)).mean()) if asks else None
    tokens_low, tokens_high = ends[used] or (None, None)
    low, high = ends[correct] or (None, None)
    return SettingRecord(
        name=one.name,
        minimum=one.minimum,
        maximum=one.maximum,
        tokens=float(mean[used]),
        tokens_low=tokens_low,
        tokens_high=tokens_high,
        accuracy=float(mean[correct]),
        low=low,
        high=high,
        obeyed=obeyed,
        within=share,
        tokens_quantiles=_quantiles(one.used[stored]),
        answer_tokens=None if one.answer is None else float(one.answer[stored].mean()),
        answer_quantiles=None if one.answer is None else _quantiles(one.answer[stored]),
        unfinished=float(one.unfinished[stored].mean()),
    )


def _quantiles(values: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(np.percentile(values, QUANTILES).tolist())
