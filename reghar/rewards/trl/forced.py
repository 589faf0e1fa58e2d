"""REO-RL and Q-Spec for TRL: every response is cut at the budgets and asked for its answer.

That takes a second generation, from the weights that wrote the response: an engine of the harness
against the trainer's vLLM server. The probes are the harness's own, so what is rewarded is what the
curve measures.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reghar.boxed import opens_box
from reghar.engines.base import Engine
from reghar.errors import InputError
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.records import ForcedAnswer, Trace
from reghar.generation.schedule import Schedule
from reghar.grading import Segment, forced_segment, natural_segment
from reghar.grading.outcome import Outcome
from reghar.prompting.probes import DEFAULT_PRESET, make_probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.tokenizer import Model
from reghar.protocol import SamplingProtocol
from reghar.rewards.catalogue import FORCED_REWARDS, reward_named
from reghar.rewards.trl.completions import (
    AnswerRule,
    Completion,
    CompletionReader,
    EosTokenIds,
    LogExtra,
    LogMetric,
    Prompt,
    log_outcomes,
    per_problem_columns,
)
from reghar.seeds import derive_seed
from reghar.tasks import Problem

T = TypeVar("T")

TASK = "training"
"""Stands where a run has the name of a task."""
CONCURRENCY = 64
"""Responses that are probed at a time."""


def forced_reward(
    name: str,
    tokenizer: Any,
    model: Model,
    engine: Engine,
    *,
    l_max: int,
    answers: AnswerRule | None = None,
    eos_token_ids: EosTokenIds = None,
    probe: str = DEFAULT_PRESET,
    temperature: float = 0.6,
    top_p: float = 0.95,
    seed: int = 0,
    **settings: Any,
) -> ForcedReward:
    """`reo_rl` (with `budgets`) or `q_spec` (the data set's column `minimal_budget`) for `reward_funcs`.

    `engine` is started here; it must generate from the weights in training, such as the trainer's vLLM
    server through `reghar.engines.openai`. `model` is `reghar.prompting.tokenizer.load_model(name)`.
    `l_max` is the last budget (tokens), at most the trainer's `max_completion_length`. Raises InputError
    for an unknown name or a setting out of range.
    """
    if name not in FORCED_REWARDS:
        raise InputError(f"unknown reward {name!r} of forced answers; there are {', '.join(FORCED_REWARDS)}")
    settings = {**settings, "l_max": l_max}
    reward_named(name, settings)
    schedule = Schedule(
        engine=engine,
        model=model,
        prompt=_Rendered(tokenizer=model.tokenizer),
        delimiters=CompletionReader(tokenizer).delimiters,
        sampling=SamplingProtocol(temperature=temperature, top_p=top_p, top_k=0, min_p=0.0, max_tokens=l_max),
        budget_counts="response",
        probe=make_probe(probe, None, None),
        probe_temperature=temperature,
        run_seed=seed,
        activities={TASK: Activity()},
    )
    engine.start()
    reader = CompletionReader(tokenizer, eos_token_ids)
    return ForcedReward(name, settings, reader, answers or AnswerRule(), schedule)


@dataclass(frozen=True, kw_only=True)
class _Rendered(PromptFormat):
    """Prompts that come as text with their template filled in."""

    def render(self, question: str, task: str | None = None) -> str:  # noqa: ARG002 - it is in the text
        """The text as it is."""
        return question


class ForcedReward:
    """A callable with TRL's signature; made by `forced_reward`."""

    def __init__(
        self,
        name: str,
        settings: dict[str, Any],
        reader: CompletionReader,
        answers: AnswerRule,
        schedule: Schedule,
    ) -> None:
        self.__name__ = name
        """The name under which TRL logs it."""
        self._reward = reward_named(name, settings)
        self._budgets = tuple(int(budget) for budget in settings.get("budgets", ()))
        self._l_max = int(settings["l_max"])
        self._reader = reader
        self._answers = answers
        self._schedule = schedule
        self._calls = 0
        self._loop = _Loop()

    def __call__(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        *,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """A finite reward for every completion. Raises EngineError where the engine died."""
        golds = self._answers.golds(columns)
        read = self._reader.read(prompts, completions, completion_ids)
        problem = per_problem_columns(self.__name__, columns, len(read))
        grids = [
            (*(self._budgets or (int(one["minimal_budget"]),)), self._l_max) for one in problem
        ]  # budgets, then l_max
        forced = self._loop.run(self._force(read, grids))
        # The response's own answer first, then those that were forced, budget by budget.
        segments = [
            (segment, gold)
            for one, answers, gold in zip(read, forced, golds, strict=True)
            for segment in (self._reader.segment(one, self._answers), *map(self._segment, answers.values()))
        ]
        verdicts = iter(self._answers.grade(segments))
        rights, at_l_max = [], []
        for answers, grid in zip(forced, grids, strict=True):
            own = next(verdicts)
            outcomes = {budget: next(verdicts) for budget in answers}
            by_budget = [outcomes.get(budget, own) for budget in grid]
            rights.append([outcome is Outcome.CORRECT for outcome in by_budget])
            at_l_max.append(by_budget[-1])
        log_outcomes(self.__name__, at_l_max, [len(one.ids) for one in read], log_metric, log_extra)
        return [float(self._reward([right], **one)[0]) for right, one in zip(rights, problem, strict=True)]

    async def _force(
        self, read: Sequence[Completion], grids: Sequence[tuple[int, ...]]
    ) -> list[dict[int, ForcedAnswer]]:
        """For every completion, budget to forced answer; a budget that it ended within has none."""
        self._calls += 1
        found: dict[int, dict[int, ForcedAnswer]] = {}

        def keep(result: JobResult) -> None:
            found[result.trace.sample] = {a.budget: a for a in result.answers if a.budget is not None}

        jobs = [
            self._job(number, one, grid) for number, (one, grid) in enumerate(zip(read, grids, strict=True))
        ]
        await self._schedule.run(jobs, CONCURRENCY, keep)
        return [found[number] for number in range(len(read))]

    def _job(self, number: int, completion: Completion, budgets: tuple[int, ...]) -> Job:
        trace = Trace(
            task=TASK,
            problem=str(self._calls),
            sample=number,
            seed=derive_seed(self._schedule.run_seed, TASK, self._calls, number),
            prompt_tokens=0,
            token_ids=completion.ids,
            text="",
            finished=completion.finished,
            thinking_opened=completion.opened,
            thinking_start=completion.block.start,
            thinking_end=completion.block.end,
            looped=False,
        )
        problem = Problem(task=TASK, id=trace.problem, question=completion.prompt, gold=(), choices=())
        return Job(problem=problem, sample=number, budgets=budgets, trace=trace, own_answer=False)

    def _segment(self, answer: ForcedAnswer) -> Segment:
        if answer.text is not None and opens_box(self._schedule.probe.text):
            return forced_segment(answer.text)
        return natural_segment(answer.text, fallback=self._answers.fallback)


class _Loop:
    """An event loop of its own in a thread: the trainer may run inside another one, as in a notebook."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="forced-answers", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result, waited for."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
