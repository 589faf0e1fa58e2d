"""One side of a comparison: a run, or the runs of one method, and what keeps sides from being compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from reghar.errors import InputError
from reghar.protocol import Protocol
from reghar.report.text import model_name
from reghar.store import StoredRun, load_run
from reghar.store.outcomes import TaskOutcomes

_BY_TRACE = (
    *("full", "length", "thinking_length", "finished", "looped", "thought"),
    *("thinking_opened", "thinking_closed"),
)
"""Arrays of shape (P, n) in `TaskOutcomes`; `outcome` has one axis more."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One method: a run, or one run for each training seed.

    Several runs count as one with all their samples: a problem's mean is the mean over the runs. A
    bootstrap over problems draws a problem with the samples of every run, so that an interval speaks
    of these trained models, not of further training seeds.
    """

    label: str
    """How tables call it."""
    runs: tuple[StoredRun, ...]
    """At least one; of equal protocol."""

    @property
    def protocol(self) -> Protocol:
        """Of its first run."""
        return self.runs[0].protocol

    def outcomes(self, task: str) -> TaskOutcomes:
        """The samples of all runs on one task, along the axis of samples: shapes (P, n x runs, ...)."""
        return pooled_outcomes([run.outcomes(task) for run in self.runs])


def pooled_outcomes(outcomes: Sequence[TaskOutcomes]) -> TaskOutcomes:
    """Several runs on the same problems and budgets as one with all their samples."""
    first = outcomes[0]
    if len(outcomes) == 1:
        return first
    arrays = {
        name: np.concatenate([getattr(one, name) for one in outcomes], axis=1)
        for name in (*_BY_TRACE, "outcome")
    }
    return replace(first, **arrays)


def only_problems(outcomes: TaskOutcomes, problems: Sequence[str]) -> TaskOutcomes:
    """The outcomes of these problems, in this order."""
    if outcomes.problems == tuple(problems):
        return outcomes
    place = {problem: i for i, problem in enumerate(outcomes.problems)}
    rows = [place[problem] for problem in problems]
    arrays = {name: getattr(outcomes, name)[rows] for name in (*_BY_TRACE, "outcome")}
    clusters = None if outcomes.clusters is None else tuple(outcomes.clusters[row] for row in rows)
    return replace(outcomes, problems=tuple(problems), clusters=clusters, **arrays)


def up_to_budget(outcomes: TaskOutcomes, budget: int) -> TaskOutcomes:
    """The outcomes as if `budget` were the last one. Raises InputError where it is no budget of the run."""
    grid = outcomes.budgets.tolist()
    if budget not in grid:
        raise InputError(f"{budget} is no budget of the run: choose among {', '.join(map(str, grid))}")
    count = grid.index(budget) + 1
    settings = outcomes.settings
    return replace(
        outcomes,
        budgets=outcomes.budgets[:count],
        outcome=outcomes.outcome[..., :count],
        settings=None if settings is None else tuple(one for one in settings if one <= budget),
    )


def load_sides(arguments: Iterable[str]) -> list[Side]:
    """The sides that `[NAME=]RUN[+RUN...]` name. Raises InputError for a folder that is no run.

    An argument that is a path is one run, whatever characters are in it.
    """
    named = [_split(argument) for argument in arguments]
    loaded = [(name, tuple(load_run(path) for path in paths)) for name, paths in named]
    for _, runs in loaded:
        _refuse_repeated(runs)
    models = [name or model_name(runs[0].name) for name, runs in loaded]
    folders = ["+".join(run.path.resolve().name for run in runs) for _, runs in loaded]
    labels = [
        folder if name is None and models.count(model) > 1 else model
        for (name, _), model, folder in zip(loaded, models, folders, strict=True)
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"two sides are called {label!r}: name them, as in first=RUN second=RUN")
    return [Side(label=label, runs=runs) for label, (_, runs) in zip(labels, loaded, strict=True)]


def _split(argument: str) -> tuple[str | None, list[Path]]:
    if Path(argument).exists():
        return None, [Path(argument)]
    name, equals, rest = argument.partition("=")
    if not equals:
        name, rest = "", argument
    paths = [rest] if Path(rest).exists() else rest.split("+")
    if not all(paths) or (equals and not name):
        raise InputError(f"{argument!r} names no run: give RUN, RUN+RUN for several seeds, or NAME=RUN+RUN")
    return name or None, [Path(path) for path in paths]


def _refuse_repeated(runs: Sequence[StoredRun]) -> None:
    folders = [run.path.resolve() for run in runs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError(f"run {str(folder)!r} is named twice on one side: name each training seed once")
    for one, other in pairwise(sorted(runs, key=_identity)):
        if one.manifest.start is not None and _identity(one) == _identity(other):
            raise InputError(
                f"{str(other.path)!r} is a copy of {str(one.path)!r}: name each training seed once"
            )


def _identity(run: StoredRun) -> tuple[str, str, str]:
    """What two runs share only where one is a copy of the other: they have the traces of one start."""
    return run.name, run.digest, f"{run.manifest.start} {run.manifest.seed}"


def require_equal_protocols(
    name: str, protocol: Protocol, other: str, others: Protocol, allowed: Sequence[str] = ()
) -> list[str]:
    """The allowed settings in which two protocols differ, a line each; InputError names the others.

    An allowed name stands for itself and for all settings below it: `sampling` for `sampling.top_p`.
    """
    lines = protocol.differences(others)
    refused = [line for line in lines if not _is_allowed(line, allowed)]
    if refused:
        raise InputError(
            f"{name} and {other} must not be compared, their protocols differ: {'; '.join(refused)}; "
            "repeat one of them under the other's protocol, or allow a setting by its name with --allow"
        )
    return [f"{name} and {other} differ in a setting that was allowed: {line}" for line in lines]


def _is_allowed(line: str, allowed: Sequence[str]) -> bool:
    setting = line.partition(": ")[0]
    return any(setting == name or setting.startswith(f"{name}.") for name in allowed)


def require_comparable(sides: Sequence[Side], baseline: Side, allowed: Sequence[str] = ()) -> list[str]:
    """Notes on allowed differences. Raises InputError for an incomplete run or unequal protocols."""
    notes: list[str] = []
    first = baseline.runs[0]
    for side in sides:
        for run in side.runs:
            run.require_complete()
            if run is not first:
                # Runs of one side are averaged: nothing may differ between them.
                within = side.runs[0] if run is not side.runs[0] else first
                granted = () if run is not side.runs[0] else allowed
                notes += require_equal_protocols(
                    str(run.path), run.protocol, str(within.path), within.protocol, granted
                )
    return notes


def shared_problems(sides: Sequence[Side]) -> dict[str, tuple[str, ...]]:
    """Task to the problems that all sides have, in the first side's order.

    Equal protocols have all in common; less is left where a difference was allowed. Raises InputError
    where nothing is left.
    """
    shared: dict[str, tuple[str, ...]] = {}
    for task in sides[0].runs[0].tasks:
        if all(task in side.protocol.tasks for side in sides):
            ids = [set(side.protocol.tasks[task].problem_ids) for side in sides]
            first = sides[0].protocol.tasks[task].problem_ids
            shared[task] = tuple(problem for problem in first if all(problem in one for one in ids))
    shared = {task: problems for task, problems in shared.items() if problems}
    if not shared:
        raise InputError("the runs have no problem in common: there is nothing to pair")
    return shared
