"""What lm-eval asks, held against what a run asked, and answered from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from reghar.errors import InputError
from reghar.generation.records import TraceKey
from reghar.lm_eval_bridge.figures import TaskFigures, run_figures
from reghar.lm_eval_bridge.task import TraceText
from reghar.protocol import SamplingProtocol
from reghar.store import StoredRun
from reghar.store.problems import read_problems
from reghar.tasks import Problem
from reghar.tasks.task import PREFIX, short_name


class Requests:
    """lm-eval's requests, and by task the distinct ones in the task's order."""

    def __init__(self, requests: Sequence[Any]) -> None:
        """`requests` are lm-eval's instances, one repeated k times where the task says `repeats: k`."""
        self.requests = requests
        self.tasks: dict[str, list[Any]] = {}
        seen: set[int] = set()
        for request in requests:
            if id(request) not in seen:
                seen.add(id(request))
                self.tasks.setdefault(request.task_name, []).append(request)

    def check(self, task: str, problems: Sequence[Problem], sampling: SamplingProtocol) -> None:
        """Raises `InputError` unless lm-eval asks these problems, in these words, sampled like this."""
        requests = self.tasks.get(PREFIX + task) or self.tasks.get(task)
        if requests is None or len(requests) != len(problems):
            raise InputError(
                f"lm-eval asks {len(requests or ())} problems of {task}, the run {len(problems)}: "
                "give all of a task, or a whole number as limit"
            )
        for request, problem in zip(requests, problems, strict=True):
            context, wanted = request.args[:2]
            if context != problem.question:
                raise InputError(
                    f"lm-eval asks problem {problem.id} of {task} in other words than the run: leave out "
                    "apply_chat_template, num_fewshot and system_instruction; the run has its own prompt"
                )
            for key in ("temperature", "top_p", "top_k", "min_p"):
                own = getattr(sampling, key)
                if key in wanted and wanted[key] != own:
                    raise InputError(
                        f"task {task} asks for {key}={wanted[key]}, the run samples with {own}: "
                        f"set {key} on the model and in gen_kwargs alike"
                    )


class RunAnswers:
    """A stored run as answers to requests."""

    def __init__(self, run: StoredRun) -> None:
        """Nothing is read before it is needed."""
        self._run = run

    @cached_property
    def _figures(self) -> dict[str, TaskFigures]:
        return run_figures(self._run)

    @cached_property
    def _texts(self) -> dict[TraceKey, str]:
        table = self._run.traces[["task", "problem", "sample", "text"]]
        return {
            TraceKey(task, problem, sample): text
            for task, problem, sample, text in table.itertuples(index=False)
        }

    def to(self, asked: Requests) -> list[TraceText]:
        """A trace a request. Raises `InputError` where the run holds other problems, or too few samples."""
        protocol = self._run.protocol
        problems: dict[str, list[Problem]] = {}
        for problem in read_problems(self._run.path):
            problems.setdefault(problem.task, []).append(problem)
        places: dict[int, int] = {}
        for name, requests in asked.tasks.items():
            task = short_name(name)
            if task not in problems:
                raise InputError(f"the run has no task {task!r}; it has {', '.join(problems)}")
            asked.check(task, problems[task], protocol.sampling)
            places |= {id(request): place for place, request in enumerate(requests)}
        traces: list[TraceText] = []
        used: dict[int, int] = {}
        for request in asked.requests:
            task = short_name(request.task_name)
            place, sample = places[id(request)], used.get(id(request), 0)
            used[id(request)] = sample + 1
            if sample >= protocol.tasks[task].samples:
                raise InputError(f"lm-eval repeats {task} more often than the run has samples: lower repeats")
            text = self._texts[TraceKey(task, problems[task][place].id, sample)]
            traces.append(TraceText(text, self._figures[task], place))
        return traces
