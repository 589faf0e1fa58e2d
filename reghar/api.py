"""A stored run in a notebook: `reghar.load(path)`.

```python
run = reghar.load("results/my-run")
run.traces  # one row per trace, with its efficiency
run.reg("aime24", "Qwen3-4B").total
run.plot("aime24", frontier="Qwen3-4B")
```
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.errors import InputError
from reghar.frontiers.frontier import TaskFrontier
from reghar.measures import reg
from reghar.measures.curves import Curve, curve_of
from reghar.measures.efficiency import Efficiency
from reghar.measures.trace_table import trace_table
from reghar.store import StoredRun, load_run
from reghar.store.tables import KEY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from reghar.report.figures.axes import Scale


def load(path: str | Path) -> Run:
    """The run in a folder that `reghar run` wrote. Raises `InputError` with one line where there is none."""
    return Run(stored=load_run(path))


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run's tables, curves and REG. Everything is read when it is first asked for."""

    stored: StoredRun

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return self.stored.tasks

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row per trace: key `task, problem, sample`; text, lengths (tokens), efficiency.

        The columns of `docs/page.md`: those of `traces/`, and `first_correct`, `settled`, `flips`,
        `overthought`, `wasted_tokens`, `outcome_efficiency`, NaN where they do not exist.
        """
        efficiency = trace_table(self.stored)[[*KEY, *(field.name for field in fields(Efficiency))]]
        return self.stored.traces.merge(efficiency, on=list(KEY), how="left")

    @property
    def answers(self) -> pd.DataFrame:
        """One row per answer: key and `budget` (null: the trace's own), `forced`, `text`, tokens."""
        return self.stored.answers

    @property
    def scores(self) -> pd.DataFrame:
        """One row per answer: key, `budget` (null: the trace's own), `outcome`, `answer` that was graded."""
        return self.stored.scores

    def curve(self, task: str) -> Curve:
        """Accuracy by budget. Raises `InputError` for an unknown task or an incomplete run."""
        return curve_of(self.stored.outcomes(task))

    def reg(self, task: str, frontier: str) -> reg.RegResult:
        """REG in tokens against a frontier, a name or a file (REG eq. 6, 8, 9).

        Raises `InputError` where the two must not be compared: a subset of the problems, other
        budgets than the frontier covers, budgets that count thinking tokens alone.
        """
        curve, known = self.curve(task), self._frontier(task, frontier)
        return reg.reg(curve.budgets, curve.accuracy, known.budgets, known.accuracy)

    def plot(
        self, task: str, *, frontier: str | None = None, axes: Axes | None = None, scale: Scale = "linear"
    ) -> Axes:
        """Draws the curve of a task, with the frontier and the gap if one is named; returns the Axes.

        Raises `InputError` as `reg` does.
        """
        from reghar.report.figures import curves, picture, style
        from reghar.report.schema import CurveRecord, FrontierCurveRecord

        curve = self.curve(task)
        record = CurveRecord(
            budgets=tuple(curve.budgets.tolist()),
            accuracy=tuple(curve.accuracy.tolist()),
            low=None,
            high=None,
        )
        best = None
        if frontier is not None:
            known = self._frontier(task, frontier)
            values = reg.frontier_at(curve.budgets, known.budgets, known.accuracy)
            own = set(curve.budgets.tolist()) <= set(known.budgets)
            best = FrontierCurveRecord(accuracy=tuple(values.tolist()), interpolated=not own)
        with style.styled():
            if axes is None:
                from matplotlib.figure import Figure

                axes = Figure(figsize=(style.COLUMN_WIDTH, style.PANEL_HEIGHT)).subplots()
            label, counts = picture.model_label(self.stored.model), self.stored.protocol.budget_counts
            curves.curve(axes, record, best, label=label, scale=scale, counts=counts)
        return axes

    def _frontier(self, task: str, name: str) -> TaskFrontier:
        """The frontier of one task, if the run may be compared with it."""
        from reghar.frontiers.choose import choose_frontier

        protocol = self.stored.protocol.of_task(task)
        known = choose_frontier(name, model=self.stored.model, protocol=protocol).tasks.get(task)
        if known is None:
            raise InputError(f"no frontier {name!r} can be compared with {task}; name one of its task")
        return known
