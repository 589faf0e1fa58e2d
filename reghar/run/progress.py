"""What is shown while a run goes on: bars on a terminal, elsewhere a line a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from reghar.generation.jobs import Activity
from reghar.run.engine import Member

LINE_SECONDS = 60.0
"""Between two lines where there is no terminal."""


class Display(Protocol):
    """Shows how far a run is."""

    def update(self, activities: Mapping[str, Activity], members: Sequence[Member] = ()) -> None:
        """Called about once a second with what was done in this session, by task, and by which engine."""


@contextmanager
def progress(console: Console, totals: Mapping[str, int], done: Mapping[str, int]) -> Iterator[Display]:
    """The display while the block runs. `totals` and `done` are traces by task; `totals` may grow in place,
    `done` were stored by an earlier session."""
    if not console.is_terminal:
        lines = Lines(console, totals, done)
        yield lines
        lines.end()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("traces, {task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as live:
        yield Bars(live, totals, done)


class Bars:
    """One bar per task: traces, probes, tokens/s, share of probe prompt tokens in the cache; one line an
    engine where there are several."""

    def __init__(self, live: Progress, totals: Mapping[str, int], done: Mapping[str, int]) -> None:
        self._live = live
        self._start = time.monotonic()
        self._stored = dict(done)
        self._totals = totals
        self._bars: dict[str, TaskID] = {
            task: live.add_task(task, total=total, completed=done.get(task, 0), detail="")
            for task, total in totals.items()
        }
        self._lines: dict[str, TaskID] = {}

    def update(self, activities: Mapping[str, Activity], members: Sequence[Member] = ()) -> None:
        """See `Display`."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        for task, activity in activities.items():
            cached = activity.cached_tokens / max(activity.probe_prompt_tokens, 1)
            self._live.update(
                self._bars[task],
                total=self._totals[task],
                completed=self._stored.get(task, 0) + activity.jobs,
                detail=f"{activity.probes} probes, {activity.tokens / seconds:.0f} tok/s, "
                f"{cached:.0%} cached",
            )
        for member in members:
            if member.name not in self._lines:
                self._lines[member.name] = self._live.add_task(member.name, total=None, detail="")
            state = f"{member.in_flight} in flight" if member.alive else "dead, its work moved on"
            self._live.update(
                self._lines[member.name],
                completed=member.jobs,
                detail=f"{state}, {member.tokens / seconds:.0f} tok/s",
            )


class Lines:
    """One line per minute, and one at the end: what a batch system's log needs."""

    def __init__(self, console: Console, totals: Mapping[str, int], done: Mapping[str, int]) -> None:
        self._console = console
        self._totals = totals
        self._stored = sum(done.values())
        self._start = self._last = time.monotonic()
        self._activities: Mapping[str, Activity] = {}

    def update(self, activities: Mapping[str, Activity], members: Sequence[Member] = ()) -> None:
        """See `Display`."""
        self._activities = activities
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS:
            self._last = now
            dead = sum(not member.alive for member in members)
            self._print(f"{self._counts()}{self._left()}" + (f", {dead} replicas dead" if dead else ""))

    def end(self) -> None:
        """The last line."""
        seconds = time.monotonic() - self._start
        self._print(f"{self._counts()} in {_duration(seconds)}")

    @property
    def _total(self) -> int:
        return sum(self._totals.values())

    def _counts(self) -> str:
        done = self._activities.values()
        tokens = sum(activity.tokens for activity in done)
        rate = tokens / max(time.monotonic() - self._start, 1e-9)
        return (
            f"{self._stored + sum(a.jobs for a in done):,} of {self._total:,} traces, "
            f"{sum(a.probes for a in done):,} probes, {rate:,.0f} tokens/s"
        )

    def _left(self) -> str:
        jobs = sum(activity.jobs for activity in self._activities.values())
        if not jobs:
            return ""
        left = (self._total - self._stored - jobs) * (time.monotonic() - self._start) / jobs
        return f", about {_duration(left)} left"

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
