"""A row per trace: its length, its end, its efficiency (definitions: Efficiency of single traces)."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from reghar.grading.outcome import OUTCOMES
from reghar.measures.efficiency import efficiency_of
from reghar.store import StoredRun
from reghar.store.outcomes import MISSING, TaskOutcomes


def trace_table(run: StoredRun) -> pd.DataFrame:
    """One row per planned trace: `KEY`; `length`, `thinking_length` (tokens), `finished`, `looped`; `outcome`
    of its own answer (null where none is stored); the columns of `reghar.efficiency.Efficiency`."""
    return pd.concat([_of_task(run.outcomes(task)) for task in run.tasks], ignore_index=True)


def _of_task(outcomes: TaskOutcomes) -> pd.DataFrame:
    problems, samples = outcomes.full.shape
    names = np.array([*map(str, OUTCOMES), None], dtype=object)
    outcome = names[np.where(outcomes.full == MISSING, len(OUTCOMES), outcomes.full)]
    columns = {
        "length": outcomes.length,
        "thinking_length": outcomes.thinking_length,
        "finished": outcomes.finished,
        "looped": outcomes.looped,
        "outcome": outcome,
        **asdict(efficiency_of(outcomes)),
    }
    return pd.DataFrame(
        {
            "task": outcomes.task,
            "problem": np.repeat(np.array(outcomes.problems, dtype=object), samples),
            "sample": np.tile(np.arange(samples, dtype=np.int32), problems),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )
