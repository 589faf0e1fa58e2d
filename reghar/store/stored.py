"""A stored run, read only: its tables, and its outcomes as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading.outcome import OUTCOMES
from reghar.protocol import PLAIN, Protocol, Setting
from reghar.store.manifest import Manifest, read_manifest
from reghar.store.outcomes import MISSING, TaskOutcomes
from reghar.store.parts import part_numbers, part_path, read_part
from reghar.store.tables import ANSWERS, KEY, SCORES, TRACES, schemas

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_FAR = (1 << 31) - 1
"""Tokens that no trace reaches."""
_SHAPE_COLUMNS = [
    *KEY,
    "length",
    "thinking_length",
    "finished",
    "looped",
    "thinking_opened",
    "thinking_start",
    "thinking_end",
    "countdown",
]


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
        """A row a trace: see `reghar.generation.records.Trace`, and `length`, `thinking_length` in tokens."""
        return self._frame(TRACES)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """A row an answer: see `reghar.generation.records.ForcedAnswer`."""
        return self._frame(ANSWERS)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row an answer: `task, problem, sample, budget` (null: the trace's own), `outcome`, `answer`."""
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
        shapes = self._frame(TRACES, _SHAPE_COLUMNS)
        own = [setting for setting in self.settings if setting.name == self.setting]
        return {
            task: _task_outcomes(
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
        outcomes = self.outcomes(task)
        shapes = self._frame(TRACES, _SHAPE_COLUMNS)
        place = {problem: i for i, problem in enumerate(outcomes.problems)}
        shapes = _planned(shapes[shapes["task"] == task], place, outcomes.full.shape[1])
        reached = np.full(outcomes.full.shape, _FAR, dtype=np.int64)
        at = (shapes["problem"].map(place).to_numpy(int), shapes["sample"].to_numpy(int))
        reached[at] = shapes["countdown"].fillna(_FAR).to_numpy(np.int64)
        return reached

    def spread(self, task: str, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Shape (P, n, B): the code of the answer that every budget of a task has, `MISSING` for none.

        `codes`, from 0 on, stand one for one for the rows of `scores` of that task.
        """
        outcomes = self.outcomes(task)
        place = {problem: i for i, problem in enumerate(outcomes.problems)}
        shape = outcomes.full.shape
        scores = self.scores[self.scores["task"] == task].assign(code=codes)
        scores = _planned(scores, place, shape[1])
        full, by_budget = _code_arrays(
            scores, scores["code"].to_numpy(np.int64), place, outcomes.budgets, (shape[0], shape[1])
        )
        counted = self.outcomes(task).counted
        return _shared(full, by_budget, outcomes.finished, counted, outcomes.budgets)

    @cached_property
    def cost(self) -> dict[str, float]:
        """Tokens and seconds that the run took, over all its sessions."""
        import pyarrow.compute as pc

        answers = self._table(
            ANSWERS, ["forced", "prompt_tokens", "cached_tokens", "dropped_tokens", "token_ids"]
        )
        traces = self._table(TRACES, ["length", "prompt_tokens", "given_tokens"])
        total = {
            "traces": traces.num_rows,
            "trace_tokens": _sum(traces["length"]) - _sum(traces["given_tokens"]),
            "trace_prompt_tokens": _sum(traces["prompt_tokens"]),
            "probes": _sum(pc.cast(answers["forced"], "int64")),
            "probe_prompt_tokens": _sum(answers["prompt_tokens"]),
            # Of the probes whose engine said how much of their prompt it found in its cache.
            "probe_prompt_tokens_counted": _sum(
                pc.if_else(pc.is_valid(answers["cached_tokens"]), answers["prompt_tokens"], 0)
            ),
            "probe_prompt_tokens_cached": _sum(answers["cached_tokens"]),
            "answer_tokens": _sum(pc.list_value_length(answers["token_ids"])),
            "dropped_tokens": _sum(answers["dropped_tokens"]),
        }
        seconds = sum(session.seconds or 0.0 for session in self.manifest.sessions)
        spent = [session.spent for session in self.manifest.sessions if session.spent is not None]
        return {**total, "seconds": round(seconds, 3)} | ({"spent": spent[-1]} if spent else {})

    def _table(
        self, table: str, columns: list[str] | None = None, where: Mapping[str, str] | None = None
    ) -> pa.Table:
        """All settings' rows, those alone in which each column of `where` has its value; parts that are
        broken are passed over."""
        import pyarrow as pa
        import pyarrow.compute as pc

        schema = schemas()[table]
        folder = self.path / table
        rows = [pa.schema([schema.field(name) for name in columns or schema.names]).empty_table()]
        for number in part_numbers(folder):
            part = read_part(part_path(folder, number), schema, columns)
            if part is None:
                continue
            for name, value in (where or {}).items():
                part = part.filter(pc.equal(part[name], value))
            rows.append(part)
        return pa.concat_tables(rows)

    def _frame(self, table: str, columns: list[str] | None = None, **where: str) -> pd.DataFrame:
        """The rows of this setting, in the order of their keys; `where` as for `_table`."""
        import pandas as pd

        read = columns if columns is None else [*columns, "setting"]
        rows = self._table(table, read, {"setting": self.setting, **where})
        if columns is not None:
            rows = rows.select(columns)
        frame: pd.DataFrame = rows.to_pandas(types_mapper=lambda t: pd.Int32Dtype() if t == "int32" else None)
        by = [*KEY, "budget"] if "budget" in frame else list(KEY)
        return frame.sort_values(by, kind="stable", ignore_index=True)


def _sum(column: Any) -> int:
    import pyarrow.compute as pc

    return pc.sum(column).as_py() or 0


def _task_outcomes(
    task: str,
    protocol: Protocol,
    setting: Setting | None,
    clusters: tuple[str, ...] | None,
    shapes: pd.DataFrame,
    scores: pd.DataFrame,
) -> TaskOutcomes:
    planned = protocol.tasks[task]
    problems = planned.problem_ids
    budgets = np.asarray(protocol.budgets if setting is None else setting.budgets, dtype=np.int64)
    shape = (len(problems), planned.samples)
    place = {problem: i for i, problem in enumerate(problems)}

    shapes = _planned(shapes, place, shape[1])
    at = (shapes["problem"].map(place).to_numpy(int), shapes["sample"].to_numpy(int))

    def grid(values: pd.Series[Any], dtype: type) -> NDArray[Any]:
        array: NDArray[Any] = np.zeros(shape, dtype=dtype)
        array[at] = values.to_numpy(dtype=dtype)
        return array

    length = grid(shapes["length"], np.int64)
    thinking_length = grid(shapes["thinking_length"], np.int64)
    finished = grid(shapes["finished"], np.bool_)
    scores = _planned(scores, place, shape[1])
    numbers = {str(o): i for i, o in enumerate(OUTCOMES)}
    # An outcome of another version is none: grading again says what it is here.
    codes = np.asarray(scores["outcome"].map(numbers).fillna(MISSING), dtype=np.int64)
    full, outcome = _code_arrays(scores, codes, place, budgets, shape)
    # A verdict on a trace that is gone has no length: it would be measured as one of no tokens.
    stored = np.zeros(shape, dtype=np.bool_)
    stored[at] = True
    full = np.where(stored, full, MISSING)
    outcome = np.where(stored[..., None], outcome, MISSING)
    thought = grid(shapes["thinking_start"].notna(), np.bool_)
    counted = length if protocol.budget_counts == "response" else thinking_length
    if setting is not None:
        # Settings ask for thinking tokens; a trace whose countdown ended was cut there, at any budget.
        counted = np.where(thought, thinking_length, length)
        countdown = grid(shapes["countdown"].fillna(_FAR), np.int64)
        counted = np.where(countdown < counted, _FAR, counted)
    outcome = _shared(full, outcome, finished, counted, budgets)
    # Replies that cannot be cut have one budget, which is no setting of budget forcing.
    named = protocol.control.budgets if protocol.cuts_responses else ()
    return TaskOutcomes(
        task=task,
        problems=problems,
        budgets=budgets,
        outcome=outcome.astype(np.int8),
        full=full.astype(np.int8),
        length=length,
        thinking_length=thinking_length,
        finished=finished,
        looped=grid(shapes["looped"], np.bool_),
        thought=thought,
        thinking_opened=grid(shapes["thinking_opened"], np.bool_),
        thinking_closed=grid(shapes["thinking_end"].notna(), np.bool_),
        budget_counts=protocol.budget_counts,
        settings=named,
        clusters=clusters,
    )


def _planned(frame: pd.DataFrame, place: dict[str, int], samples: int) -> pd.DataFrame:
    """Only the rows of planned problems and samples count."""
    return frame[frame["problem"].isin(list(place)) & (frame["sample"] < samples)]


def _code_arrays(
    scores: pd.DataFrame,
    codes: NDArray[np.int64],
    place: dict[str, int],
    budgets: NDArray[np.int64],
    shape: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(full, by budget): shapes (P, n) and (P, n, B) of the rows' codes, `MISSING` where none is stored."""
    row = scores["problem"].map(place).to_numpy(int)
    sample = scores["sample"].to_numpy(int)
    own = scores["budget"].isna().to_numpy()
    full = np.full(shape, MISSING, dtype=np.int64)
    full[row[own], sample[own]] = codes[own]
    budget = scores["budget"].fillna(-1).to_numpy(np.int64)
    on_grid = ~own & np.isin(budget, budgets)
    by_budget = np.full((*shape, len(budgets)), MISSING, dtype=np.int64)
    column = np.searchsorted(budgets, budget[on_grid])
    by_budget[row[on_grid], sample[on_grid], column] = codes[on_grid]
    return full, by_budget


def _shared(
    full: NDArray[np.int64],
    by_budget: NDArray[np.int64],
    finished: NDArray[np.bool_],
    counted: NDArray[np.int64],
    budgets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Budgets that a finished trace never passed share its own answer (definitions: The curve)."""
    shares = finished[:, :, None] & (counted[:, :, None] <= budgets) & (by_budget == MISSING)
    return np.where(shares, full[:, :, None], by_budget)
