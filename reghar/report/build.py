"""A stored run to its report: the one place where outcomes, frontier and measures meet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reghar.frontiers.choose import FrontierChoice, choose_frontier
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.measures.allocation import allocation_json, allocation_of
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.catalogue import IntervalKind
from reghar.measures.curves import curve_of, stored_traces
from reghar.measures.efficiency import efficiency_means
from reghar.measures.task import TaskMeasures, average_band, average_measures, task_measures
from reghar.protocol import SamplingProtocol
from reghar.report.control import method_records
from reghar.report.schema import (
    INCOMPLETE,
    AllocationRecord,
    Average,
    CurveRecord,
    EfficiencyRecord,
    FrontierCurveRecord,
    GraderFailures,
    Interval,
    MethodRecord,
    Report,
    TaskReport,
)
from reghar.store import StoredRun
from reghar.store.outcomes import MISSING, TaskOutcomes


def build_report(
    run: StoredRun,
    *,
    frontier: str = "auto",
    interval: IntervalKind = "problems",
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Report:
    """The report of a run against a frontier: `auto`, `none`, a name or a path.

    `seed` and `replicates` belong to the bootstrap. Raises InputError where a named frontier cannot
    be compared with the run (definitions: REG), or where nothing is stored.
    """
    reference = choose_frontier(frontier, model=run.model, protocol=run.protocol)
    outcomes = {task: run.outcomes(task) for task in run.tasks}
    if not all(stored_traces(one).any() for one in outcomes.values()):
        run.require_complete()
    measures = {
        task: task_measures(
            one,
            reference.tasks.get(task),
            interval=interval,
            seed=seed,
            replicates=replicates,
        )
        for task, one in outcomes.items()
    }
    return Report(
        model=run.name,
        digest=run.digest,
        protocol=run.protocol,
        complete=run.complete,
        frontier=reference.record,
        interval=Interval(kind=interval, replicates=replicates, seed=seed),
        tasks={
            task: _task(
                outcomes[task],
                measures[task],
                reference,
                method_records(run, task, interval=interval, seed=seed, replicates=replicates),
                _efficiency(outcomes[task], seed, replicates) if run.protocol.cuts_responses else None,
                _allocation(outcomes[task], interval, seed, replicates)
                if run.protocol.cuts_responses
                else None,
                _ended_loops(outcomes[task], run.protocol.sampling),
            )
            for task in run.tasks
        },
        average=_average(list(measures.values()), reference),
        cost=_cost(run.cost),
        notes=(
            *reference.notes,
            *run.manifest.notes,
            *([] if run.complete else [f"{INCOMPLETE}{run.missing}"]),
        ),
    )


def _task(
    outcomes: TaskOutcomes,
    measures: TaskMeasures,
    reference: FrontierChoice,
    methods: tuple[MethodRecord, ...],
    efficiency: EfficiencyRecord | None,
    allocation: AllocationRecord | None,
    notes: tuple[str, ...],
) -> TaskReport:
    """`cuts`: answers were forced at budgets, without which nothing is known of a trace's course."""
    counts = _counts(outcomes.outcome)
    failures = np.add(counts[Outcome.GRADER_TIMEOUT], counts[Outcome.GRADER_ERROR])
    return TaskReport(
        problems=len(outcomes.problems),
        samples=outcomes.outcome.shape[1],
        missing=int((outcomes.outcome == MISSING).sum()),
        curve=_curve(measures),
        frontier=_frontier_curve(measures, reference),
        outcomes=counts,
        full_outcomes={name: values[0] for name, values in _counts(outcomes.full[..., None]).items()},
        grader_failures=GraderFailures(
            count=int(failures.sum()), accuracy_if_right=_floats(_accuracy_if_right(outcomes))
        ),
        measures=measures.measures,
        efficiency=efficiency,
        allocation=allocation,
        control=methods,
        notes=(*reference.task_notes.get(outcomes.task, ()), *measures.notes, *notes),
    )


def _ended_loops(outcomes: TaskOutcomes, sampling: SamplingProtocol) -> tuple[str, ...]:
    """How many traces were ended for looping, where the protocol has them ended."""
    if sampling.repetition_detection is None:
        return ()
    ended = outcomes.looped & (outcomes.length < sampling.max_tokens)
    return (
        f"{int(ended.sum())} of {ended.size} traces looped and were ended for it; they count as unfinished, "
        "and at larger budgets their answers are forced where they ended",
    )


def _allocation(
    outcomes: TaskOutcomes, interval: IntervalKind, seed: int, replicates: int
) -> AllocationRecord | None:
    """Where the tokens went; None where traces are missing."""
    if not outcomes.complete:
        return None
    found = allocation_of(outcomes, kind=interval, seed=seed, replicates=replicates)
    # As JSON: only there do lists stand for tuples.
    return AllocationRecord.model_validate_json(json.dumps(allocation_json(found)))


def _efficiency(outcomes: TaskOutcomes, seed: int, replicates: int) -> EfficiencyRecord:
    """Means over problems, with how many traces are behind each."""
    means = efficiency_means(outcomes, seed=seed, replicates=replicates)
    return EfficiencyRecord.model_validate(
        {
            **{name: None if one is None else one.value for name, one in means.items()},
            "traces": {name: 0 if one is None else one.traces for name, one in means.items()},
            "intervals": {
                name: None if one is None or one.low is None else (one.low, one.high)
                for name, one in means.items()
            },
        }
    )


def _counts(outcome: NDArray[np.int8]) -> dict[str, tuple[int, ...]]:
    """Outcome to its count at each budget, from shape (P, n, B); `missing` is one more."""
    codes = {str(name): code for code, name in enumerate(OUTCOMES)} | {"missing": MISSING}
    return {
        name: tuple(int(count) for count in (outcome == code).sum(axis=(0, 1)))
        for name, code in codes.items()
    }


def _accuracy_if_right(outcomes: TaskOutcomes) -> NDArray[np.float64]:
    """Shape (B,): the curve, were every answer right that the grader could not judge."""
    failed = [OUTCOMES.index(Outcome.GRADER_TIMEOUT), OUTCOMES.index(Outcome.GRADER_ERROR)]
    right = np.int8(OUTCOMES.index(Outcome.CORRECT))
    outcome = np.where(np.isin(outcomes.outcome, failed), right, outcomes.outcome)
    return curve_of(replace(outcomes, outcome=outcome), partial=True).accuracy


def _frontier_curve(measures: TaskMeasures, reference: FrontierChoice) -> FrontierCurveRecord | None:
    frontier = reference.tasks.get(measures.task)
    if frontier is None or measures.frontier is None:
        return None
    own = np.isin(measures.curve.budgets, frontier.budgets)
    return FrontierCurveRecord(
        accuracy=_floats(measures.frontier), interpolated=not own.all(), reg_error=measures.frontier_error
    )


def _average(tasks: Sequence[TaskMeasures], reference: FrontierChoice) -> Average:
    """Plain means over tasks: a run has the same budgets on all of them."""
    budgets = tuple(tasks[0].curve.budgets.tolist())
    accuracy = np.mean([task.curve.accuracy for task in tasks], axis=0)
    band = average_band(tasks)
    frontiers = [_frontier_curve(task, reference) for task in tasks]
    known = [one for one in frontiers if one is not None]
    frontier = (
        FrontierCurveRecord(
            accuracy=_floats(np.mean([one.accuracy for one in known], axis=0)),
            interpolated=any(one.interpolated for one in known),
            reg_error=_error_of_mean([one.reg_error for one in known]),
        )
        if len(known) == len(tasks)
        else None
    )
    return Average(
        curve=CurveRecord(
            budgets=budgets,
            accuracy=_floats(accuracy),
            low=None,
            high=None,
            band_low=None if band is None else _floats(band[0]),
            band_high=None if band is None else _floats(band[1]),
        ),
        frontier=frontier,
        measures=tuple(average_measures(tasks)),
    )


def _error_of_mean(errors: Sequence[float | None]) -> float | None:
    """Of independent tasks; None where one is not known."""
    known = [error for error in errors if error is not None]
    return float(np.sqrt(np.sum(np.square(known)))) / len(known) if len(known) == len(errors) else None


def _cost(cost: dict[str, float]) -> dict[str, float | int | None]:
    """The run's counters and the two shares that they are read for."""
    return {
        **cost,
        "probe_prompt_tokens_cached_share": _ratio(
            cost.get("probe_prompt_tokens_cached"), cost.get("probe_prompt_tokens_counted")
        ),
        "generated_tokens_per_second": _ratio(
            cost.get("trace_tokens", 0) + cost.get("answer_tokens", 0), cost.get("seconds")
        ),
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _curve(measures: TaskMeasures) -> CurveRecord:
    low, high, band = measures.low, measures.high, measures.band
    return CurveRecord(
        budgets=tuple(measures.curve.budgets.tolist()),
        accuracy=_floats(measures.curve.accuracy),
        low=None if low is None else _floats(low),
        high=None if high is None else _floats(high),
        band_low=None if band is None else _floats(band[0]),
        band_high=None if band is None else _floats(band[1]),
    )


def _floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Fractions; sums of floats may pass 1 by a rounding error."""
    return tuple(np.clip(values, 0.0, 1.0).tolist())
