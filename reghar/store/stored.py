"""A stored run, read only: its tables, and its outcomes as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading.outcome import OUTCOMES
from reghar.protocol import PLAIN, Protocol, Setting
from reghar.store.manifest import Manifest, read_manifest
from reghar.store.outcome_arrays import SHAPE_COLUMNS, countdowns, spread_codes, task_outcomes
from reghar.store.outcomes import TaskOutcomes
from reghar.store.parts import part_numbers, part_path, read_part, read_parts
from reghar.store.tables import ANSWERS, KEY, SCORES, TRACES, schemas
from reghar.store.totals import ANSWER_COLUMNS, TRACE_COLUMNS, run_totals

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def load_run(path: str | Path) -> StoredRun:
    """The run in a folder. Raises `InputError` with one line where there is none."""
    path = Path(path)
    return StoredRun(path=path, manifest=read_manifest(path))


@dataclass(frozen=True, kw_only=True)
class ProblemRows:
    """What is stored of one problem, at one setting; columns as in `StoredRun`."""

    traces: pd.DataFrame
    answers: pd.DataFrame
    scores: pd.DataFrame


@dataclass(frozen=True)
class StoredRun:
    """What a run's folder holds, as seen from one setting of its control method; see `at`.

    Tables are read when they are first asked for.
    """

    path: Path
    manifest: Manifest
    """`run.json`."""
    setting: str = ""
    """The setting that traces, answers, scores and outcomes belong to; empty for the plain evaluation."""

    @property
    def model(self) -> str:
        """As the user gave it."""
        return self.manifest.model

    @property
    def name(self) -> str:
        """What reports call it: the model, and its adapter where it has one."""
        adapter = self.manifest.adapter
        return self.model if adapter is None else f"{self.model}+{adapter.name}"

    @property
    def digest(self) -> str:
        """Of the protocol."""
        return self.manifest.digest

    @property
    def protocol(self) -> Protocol:
        """Every setting that can change a number."""
        return self.manifest.protocol

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the run's order."""
        return tuple(self.protocol.tasks)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Of the control method, beside the plain evaluation; none for `force`."""
        return self.protocol.control.settings

    def at(self, setting: str) -> StoredRun:
        """The same run as seen from another setting. Raises InputError for one that it does not have."""
        names = [one.name for one in (PLAIN, *self.settings)]
        if setting not in names:
            raise InputError(f"run {str(self.path)!r} has no setting {setting!r}; it has {names}")
        return replace(self, setting=setting)

    @property
    def complete(self) -> bool:
        """True when no planned (problem, sample, budget) is missing, in any setting."""
        views = [self, *(self.at(setting.name) for setting in self.settings)]
        return all(view.outcomes(task).complete for view in views for task in self.tasks)

    def require_complete(self) -> None:
        """Raises `InputError` that says what to do, where a planned answer or its score is missing."""
        if not self.complete:
            raise InputError(f"run {str(self.path)!r} is incomplete: {self.missing}")

    @cached_property
    def missing(self) -> str:
        """What an incomplete run lacks, and the command that brings it back."""
        damaged = [
            f"{table}/{part_path(self.path, number).name}"
            for table in (TRACES, ANSWERS, SCORES)
            for number in part_numbers(self.path / table)
            if read_part(part_path(self.path / table, number), schemas()[table]) is None
        ]
        parts = f"{' and '.join(damaged)} cannot be read; " if damaged else ""
        if self._is_answered:
            return f"{parts}answers are not graded; grade them with `reghar score RUN`"
        return f"{parts}planned answers are missing; finish it with `reghar run ... --resume`"

    @property
    def _is_answered(self) -> bool:
        """Whether every planned answer is stored, graded or not."""
        for setting in ("", *(setting.name for setting in self.settings)):
            view = self.at(setting)
            answers = view._frame(ANSWERS, [*KEY, "budget"]).assign(outcome=str(OUTCOMES[0]))
            if not all(task.complete for task in view._outcomes_of(answers).values()):
                return False
        return True

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row per trace: `reghar.generation.records.Trace`, and `length`, `thinking_length` in tokens."""
        return self._frame(TRACES)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """One row per answer: see `reghar.generation.records.ForcedAnswer`."""
        return self._frame(ANSWERS)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per answer: `KEY`, `budget` (null: the trace's own), `outcome`, `answer`."""
        return self._frame(SCORES)

    def problem_rows(self, task: str, problem: str) -> ProblemRows:
        """The rows of one problem, read from the folder now: a part at a time, and no more is kept."""
        frames = {
            table: self._frame(table, task=task, problem=problem) for table in (TRACES, ANSWERS, SCORES)
        }
        return ProblemRows(**frames)

    def outcomes(self, task: str) -> TaskOutcomes:
        """The outcome of every (problem, sample, budget) of one task, as arrays."""
        if task not in self.protocol.tasks:
            raise InputError(f"run {str(self.path)!r} has no task {task!r}; it has {', '.join(self.tasks)}")
        return self._outcomes[task]

    @cached_property
    def _outcomes(self) -> dict[str, TaskOutcomes]:
        return self._outcomes_of(self._frame(SCORES, [*KEY, "budget", "outcome"]))

    def _outcomes_of(self, scores: pd.DataFrame) -> dict[str, TaskOutcomes]:
        """The outcomes by task, with these rows as the scores."""
        shapes = self._frame(TRACES, SHAPE_COLUMNS)
        own = [setting for setting in self.settings if setting.name == self.setting]
        return {
            task: task_outcomes(
                task,
                self.protocol,
                own[0] if own else None,
                self.manifest.clusters.get(task),
                shapes[shapes["task"] == task],
                scores[scores["task"] == task],
            )
            for task in self.tasks
        }

    def countdown(self, task: str) -> NDArray[np.int64]:
        """Shape (P, n): thinking tokens after which the model's countdown of steps reached zero; where
        it did not, more than any trace has."""
        shapes = self._frame(TRACES, SHAPE_COLUMNS)
        return countdowns(self.outcomes(task), shapes[shapes["task"] == task])

    def spread(self, task: str, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Shape (P, n, B): the code of the answer that every budget of a task has, `MISSING` for none.

        `codes`, from 0 on, stand one for one for the rows of `scores` of that task.
        """
        return spread_codes(self.outcomes(task), self.scores[self.scores["task"] == task], codes)

    @cached_property
    def cost(self) -> dict[str, float]:
        """Tokens and seconds that the run took, over all its sessions."""
        return run_totals(
            self.table(TRACES, TRACE_COLUMNS), self.table(ANSWERS, ANSWER_COLUMNS), self.manifest.sessions
        )

    def table(
        self, table: str, columns: list[str] | None = None, where: Mapping[str, str] | None = None
    ) -> pa.Table:
        """All settings' rows; see `read_parts`."""
        return read_parts(self.path / table, schemas()[table], columns, where)

    def _frame(self, table: str, columns: list[str] | None = None, **where: str) -> pd.DataFrame:
        """The rows of this setting, in the order of their keys; `where` as for `_table`."""
        import pandas as pd

        read = columns if columns is None else [*columns, "setting"]
        rows = self.table(table, read, {"setting": self.setting, **where})
        if columns is not None:
            rows = rows.select(columns)
        frame: pd.DataFrame = rows.to_pandas(types_mapper=lambda t: pd.Int32Dtype() if t == "int32" else None)
        by = [*KEY, "budget"] if "budget" in frame else list(KEY)
        return frame.sort_values(by, kind="stable", ignore_index=True)
