"""A callback for `transformers.Trainer` and TRL's trainers: the whole curve every so many steps.

```python
ReasoningEfficiency("aime24", "reg", base_url="http://localhost:8000", every=200, samples=8)
```
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import count
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from reghar.budgets import parse_budgets
from reghar.errors import InputError
from reghar.report.schema import Report
from reghar.run.checks import check_settings
from reghar.run.settings import RunSettings, run_options
from reghar.tasks import load_task
from reghar.trackers.tracker import Tracker

_LOGGER = logging.getLogger(__name__)


class ReasoningEfficiency(TrainerCallback):  # type: ignore[misc]
    """Measures the model in training on a server that holds its weights, by `reghar run`.

    The server is the trainer's own (`vllm serve`, as TRL uses it) or any other that serves the checkpoint. A
    run is a process of its own, so that it neither shares the trainer's signals, event loop and tracker nor
    can end the training: where it fails, training goes on, and the first failure in a row is logged.
    """

    def __init__(
        self,
        tasks: str | Sequence[str],
        budgets: str | Sequence[int] = "reg",
        *,
        base_url: str,
        every: int,
        model: str | None = None,
        out: str | Path | None = None,
        sync: Callable[[], object] | None = None,
        track: str | None = None,
        project: str | None = None,
        **settings: Any,
    ) -> None:
        """`tasks` and `budgets` as for `reghar run`, or lists of them; `every`: optimizer steps.

        `model`: folder or hub name of the tokenizer (default: that of the model in training); `out`: folder
        of the runs (default: `reghar` in the trainer's `output_dir`); `sync`: called on every process before
        a run, to bring the weights to the server; `track` and `project`: a tracker that gets every report at
        its step. `settings` are those of `RunSettings`. Raises `InputError` for what cannot be run.
        """
        self.every, self.model, self.sync = every, model, sync
        self.out = None if out is None else Path(out)
        self.reports: dict[int, Report] = {}
        """The reports so far, by step."""
        self._tracking = _tracking(track, project)
        self._settings = {
            "tasks": (tasks,) if isinstance(tasks, str) else tuple(tasks),
            "budgets": budgets if isinstance(budgets, str) else ",".join(map(str, budgets)),
            "engine": "openai",
            "base_url": base_url,
            "patience": 10.0,  # training waits
            **settings,
        }
        self._failing = False
        self._check()

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, model: Any = None, **_: Any) -> None:
        """Learns whose tokenizer to take. Raises `InputError` for a model without a name."""
        self.model = self.model or getattr(model, "name_or_path", None)
        if not self.model:
            raise InputError("the model in training has no name: give ReasoningEfficiency(model=FOLDER)")

    def on_step_end(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Runs where it is time, on the first process; the others wait at their next exchange."""
        if state.global_step % self.every:
            return
        if self.sync is not None:
            self.sync()
        if state.is_world_process_zero:
            self._evaluate(Path(args.output_dir), state)

    def _evaluate(self, output_dir: Path, state: Any) -> None:
        step = int(state.global_step)
        folder = _unused(self.out or output_dir / "reghar", step)
        command = [sys.executable, "-m", "reghar", "run", *self._words(), "--out", str(folder)]
        command += [*self._tracking, "--step", str(step)] if self._tracking else []
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
        if done.returncode != 0:
            self._failed(step, done.stderr)
        else:
            self._failing = False
        if not (folder / "report.json").is_file():  # it is there where only the tracker failed
            return
        report = self.reports[step] = Report.read(folder)
        figures = dict(_figures(report))
        state.log_history.append({"step": step, "epoch": state.epoch, **figures})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if _is_shown(name))
        _LOGGER.info("step %d: %s", step, shown)

    def _failed(self, step: int, said: str) -> None:
        """The first failure is logged; those that follow it are not, until one succeeds."""
        if not self._failing:
            lines = said.strip().splitlines() or ["it said nothing"]
            _LOGGER.warning(
                "step %d was not evaluated, training goes on, further failures are not logged: %s",
                step,
                lines[-1],
            )
        self._failing = True

    def _words(self) -> Iterator[str]:
        options = run_options()
        for name, value in {"model": self.model, **self._settings}.items():
            yield from options[name].words(value)

    def _check(self) -> None:
        """Everything that can be known without the server."""
        if self.every < 1:
            raise InputError(f"every must be at least 1 step, not {self.every}")
        known = {field.name for field in fields(RunSettings)}
        if unknown := sorted(set(self._settings) - known):
            raise InputError(f"ReasoningEfficiency has no setting {unknown[0]!r}; see `reghar run --help`")
        settings = RunSettings(model=self.model or "model", **self._settings)
        check_settings(settings)
        parse_budgets(settings.budgets, settings.max_tokens)
        for task in settings.tasks:
            load_task(task, settings.include_paths)


def _tracking(track: str | None, project: str | None) -> list[str]:
    if track is None and project is not None:
        raise InputError("project belongs to track; give a tracker, or leave it out")
    if track is None:
        return []
    tracker = Tracker(name=track, project="reghar" if project is None else project)
    return [f"--track={tracker.name}", f"--project={tracker.project}"]


def _unused(folder: Path, step: int) -> Path:
    """A folder for the run of this step; what an earlier training left there is other weights."""
    names = (f"step-{step}" if i == 1 else f"step-{step}-{i}" for i in count(1))
    return next(path for name in names if not (path := folder / name).exists())


def _figures(report: Report) -> Iterator[tuple[str, float]]:
    for task, found in report.tasks.items():
        for measure in found.measures:
            if measure.value is not None:
                yield f"reghar/{task}/{measure.name}", measure.value


def _is_shown(name: str) -> bool:
    return name.rpartition("/")[2] in ("accuracy_full", "mean_length", "reg")
