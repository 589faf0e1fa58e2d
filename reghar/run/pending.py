"""What of a plan a run folder does not hold yet: a resumed run does this and nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reghar.generation.jobs import Job
from reghar.generation.records import TraceKey
from reghar.protocol import PLAIN, Protocol, Setting
from reghar.run.plan import Plan
from reghar.store.folder import RunFolder, TraceShape
from reghar.store.tables import ANSWERS


class PendingJobs:
    """What of a plan is not stored yet: traces to generate, and answers of stored traces."""

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._adapter = None if plan.adapter is None else plan.adapter.name
        self._problems = {(p.task, p.id): p for each in plan.problems.values() for p in each}
        self._settings = {setting.name: setting for setting in (PLAIN, *plan.control)}
        answered: dict[TraceKey, set[int | None]] = {}
        for key, budget in folder.keys(ANSWERS):
            answered.setdefault(key, set()).add(budget)
        self._stored: set[TraceKey] = set()
        self._unanswered: dict[TraceKey, set[int | None]] = {}
        for shape in folder.trace_shapes():
            key = shape.key
            if shape.setting not in self._settings or (shape.task, shape.problem) not in self._problems:
                continue
            self._stored.add(key)
            needed = needed_answers(shape, plan.protocol, self._settings[shape.setting])
            if missing := needed - answered.get(key, set()):
                self._unanswered[key] = missing

    @property
    def count(self) -> int:
        """Jobs left, apart from those that follow them."""
        continued = sum(1 for key in self._stored for _ in self._continuations(key))
        return len(self._unanswered) + continued + sum(1 for _ in self._new())

    @property
    def done(self) -> dict[str, int]:
        """Finished (problem, sample, setting) triples by task."""
        return dict(Counter(key.task for key in self._stored if key not in self._unanswered))

    def jobs(self) -> Iterator[Job]:
        """Stored traces that lack answers or a continuation first, then the traces to generate."""
        continued = {key for key in self._stored if any(self._continuations(key))}
        for trace in self._folder.traces() if self._unanswered or continued else ():
            key = trace.key
            if missing := self._unanswered.get(key):
                yield Job(
                    problem=self._problems[trace.task, trace.problem],
                    sample=trace.sample,
                    setting=self._settings[trace.setting],
                    budgets=tuple(sorted(budget for budget in missing if budget is not None)),
                    trace=trace,
                    own_answer=None in missing,
                    probe=self._plan.probe,
                    adapter=self._adapter,
                )
            for setting in self._continuations(key) if key in continued else ():
                yield Job(
                    problem=self._problems[trace.task, trace.problem],
                    sample=trace.sample,
                    setting=setting,
                    budgets=setting.budgets,
                    base=trace,
                    probe=self._plan.probe,
                    adapter=self._adapter,
                )
        yield from self._new()

    def _continuations(self, key: TraceKey) -> Iterator[Setting]:
        """Settings that continue a stored trace and are not stored."""
        for setting in self._plan.control:
            if setting.after == key.setting and key.at(setting.name) not in self._stored:
                yield setting

    def _new(self) -> Iterator[Job]:
        for problem, sample, setting in self._plan.traces():
            budgets = self._plan.protocol.budgets if setting.is_plain else setting.budgets
            job = Job(
                problem=problem,
                sample=sample,
                setting=setting,
                budgets=budgets,
                probe=self._plan.probe,
                adapter=self._adapter,
            )
            if job.key not in self._stored:
                yield job


def needed_answers(shape: TraceShape, protocol: Protocol, setting: Setting) -> set[int | None]:
    """Budgets at which a trace needs a forced answer, and None for its own."""
    if not setting.is_plain:
        zero = shape.countdown is not None and shape.countdown < shape.counted_thinking
        cut = zero or not shape.finished
        return {None, *(b for b in setting.budgets if cut or shape.counted_thinking > b)}
    counted = shape.length if protocol.budget_counts == "response" else shape.thinking_length
    return {None, *(b for b in protocol.budgets if not shape.finished or counted > b)}
