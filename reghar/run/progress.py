"""What is shown while a run goes on, if standard error is a terminal: a bar a task, a line a replica."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from reghar.generation.jobs import Activity


@dataclass(kw_only=True, eq=False)
class Replica:
    """What the driver knows of one replica."""

    name: str
    """`replica 3 on 10.0.0.7`."""
    actor: Any
    """Ray's handle."""
    alive: bool = True
    in_flight: int = 0
    """Jobs."""
    jobs: int = 0
    """Done."""
    tokens: int = 0
    """Generated."""


class ProgressBars:
    """One bar a task: traces done, probes done, tokens/s, share of probe prompt tokens in the cache."""

    def __init__(self, progress: Progress | None, totals: Mapping[str, int], done: Mapping[str, int]) -> None:
        """`totals` and `done` are traces by task; `done` were stored by an earlier session."""
        self._progress = progress
        self._start = time.monotonic()
        self._stored = dict(done)
        self._bars: dict[str, TaskID] = {}
        self._lines: dict[str, TaskID] = {}
        if progress is not None:
            for task, total in totals.items():
                self._bars[task] = progress.add_task(
                    task, total=total, completed=done.get(task, 0), detail=""
                )

    def update(self, activities: Mapping[str, Activity], replicas: Sequence[Replica] = ()) -> None:
        """Shows what the engine, and each of its replicas, has done in this session."""
        if self._progress is None:
            return
        seconds = max(time.monotonic() - self._start, 1e-9)
        for task, activity in activities.items():
            cached = activity.cached_tokens / max(activity.probe_prompt_tokens, 1)
            self._progress.update(
                self._bars[task],
                completed=self._stored.get(task, 0) + activity.jobs,
                detail=f"{activity.probes} probes, {activity.tokens / seconds:.0f} tok/s, "
                f"{cached:.0%} cached",
            )
        for replica in replicas:
            if replica.name not in self._lines:
                self._lines[replica.name] = self._progress.add_task(replica.name, total=None, detail="")
            state = f"{replica.in_flight} in flight" if replica.alive else "dead, its work moved on"
            self._progress.update(
                self._lines[replica.name],
                completed=replica.jobs,
                detail=f"{state}, {replica.tokens / seconds:.0f} tok/s",
            )


@contextmanager
def progress_bars(
    console: Console, totals: Mapping[str, int], done: Mapping[str, int]
) -> Iterator[ProgressBars]:
    """Bars while the block runs; quiet when `console` is not a terminal."""
    if not console.is_terminal:
        yield ProgressBars(None, totals, done)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("traces, {task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield ProgressBars(progress, totals, done)
