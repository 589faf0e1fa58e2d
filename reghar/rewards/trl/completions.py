"""What a trainer hands to a reward, graded as the harness grades a run.

A response is its token ids less the end-of-sequence token, and its text what these decode to, special
tokens included: TRL's own text lacks the delimiters of the thinking block where they are special.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from reghar.errors import InputError
from reghar.grading import (
    DEFAULT_TOLERANCE,
    AnswerKind,
    GradeRequest,
    GraderPool,
    Segment,
    natural_segment,
)
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.prompting.prompts import PROMPT_DATE
from reghar.prompting.thinking import Block, answer_start, find_block, find_delimiters, opened_by_prompt
from reghar.prompting.tokenizer import PretrainedTokenizer, Tokenizer
from reghar.protocol import Unclosed
from reghar.rewards.catalogue import PER_PROBLEM

Prompt: TypeAlias = str | Sequence[Mapping[str, Any]]
"""As TRL gives it: text, or chat messages."""

EosTokenIds: TypeAlias = int | Collection[int] | None
"""As `model.generation_config.eos_token_id` gives them."""

LogMetric: TypeAlias = Callable[[str, float], None]
LogExtra: TypeAlias = Callable[[str, list[Any]], None]


@dataclass(frozen=True, kw_only=True)
class AnswerRule:
    """How the answers of a data set are graded, as a task's YAML says it, and where its gold stands."""

    column: str = "gold"
    """The data set's column with the right answer: a string, or a list where several must all be given."""
    kind: AnswerKind | str = AnswerKind.MATH
    """integer, math or choice (the letter in `column`)."""
    tolerance: float = DEFAULT_TOLERANCE
    """Relative, 0..1."""
    fallback: str | None = None
    """What is read where there is no box, such as `last_number`; None for nothing."""
    unclosed: Unclosed = "grade"
    """A finished response that never closed a thinking block which the prompt opened (as models trained
    with a length reward answer easy problems): graded as a whole, or no answer."""

    def __post_init__(self) -> None:
        kinds = [kind for kind in AnswerKind if kind is not AnswerKind.CODE]
        if str(self.kind) not in kinds:
            raise InputError(f"answer kind {self.kind!r} is unknown here; there are {', '.join(kinds)}")

    def golds(self, columns: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """The right answers of every row. Raises InputError where there is no such column or value."""
        if self.column not in columns:
            raise InputError(
                f"the data set has no column {self.column!r} with the right answers; "
                "name the one that it has with AnswerRule(column=...)"
            )
        return [self._gold(value) for value in columns[self.column]]

    def _gold(self, value: Any) -> tuple[str, ...]:
        values = value if isinstance(value, (list, tuple)) else [value]
        if not values or any(one is None for one in values):
            raise InputError(f"column {self.column!r} holds {value!r}: every row needs a right answer")
        return tuple(str(one) for one in values)

    def grade(self, answers: Iterable[tuple[Segment, tuple[str, ...]]]) -> list[Outcome]:
        """The outcome of each answer segment against its gold; waits for the graders, and never raises."""
        answers = list(answers)
        verdicts = shared_pool().grade_all(
            GradeRequest(
                gold=gold, answer=segment.answer, kind=AnswerKind(self.kind), tolerance=self.tolerance
            )
            for segment, gold in answers
            if segment.answer is not None
        )
        return [segment.outcome or next(verdicts).outcome for segment, _ in answers]


@cache
def shared_pool() -> GraderPool:
    """The one pool of grader processes that all rewards of this process use; ends with it."""
    pool = GraderPool()
    atexit.register(pool.close, wait=False)
    return pool


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One response to one prompt."""

    prompt: str
    """The prompt's text up to where the response begins."""
    ids: tuple[int, ...]
    """End-of-sequence token excluded."""
    finished: bool
    """False where it was cut at the trainer's `max_completion_length`."""
    opened: bool
    """The prompt left a thinking block open."""
    block: Block
    """The thinking block among `ids`."""


class CompletionReader:
    """Reads the prompts and completion ids of a trainer with the model's own tokenizer."""

    def __init__(self, tokenizer: Any, eos_token_ids: EosTokenIds = None) -> None:
        """`tokenizer`: of `transformers`; `eos_token_ids`: those that end a response beside its own."""
        self.tokenizer: Tokenizer = PretrainedTokenizer(tokenizer)
        self.delimiters = find_delimiters(self.tokenizer)
        more = (eos_token_ids,) if isinstance(eos_token_ids, int) else eos_token_ids or ()
        self._ends = {tokenizer.eos_token_id, *more}

    def read(
        self, prompts: Sequence[Prompt], completions: Sequence[Any], completion_ids: Sequence[Sequence[int]]
    ) -> list[Completion]:
        """A `Completion` for each. Raises InputError where the three are not equally many."""
        if not len(prompts) == len(completions) == len(completion_ids):
            raise InputError(
                f"{len(prompts)} prompts, {len(completions)} completions and {len(completion_ids)} lists of "
                "completion_ids: give one of each per response"
            )
        shown = {key_of(prompt): self._prompt(prompt) for prompt in prompts}
        read = []
        for prompt, all_ids in zip(prompts, completion_ids, strict=True):
            text, opened = shown[key_of(prompt)]
            finished = bool(len(all_ids)) and all_ids[-1] in self._ends
            ids = tuple(all_ids[:-1] if finished else all_ids)
            block = find_block(ids, self.delimiters, opened=opened)
            read.append(Completion(prompt=text, ids=ids, finished=finished, opened=opened, block=block))
        return read

    def segment(self, completion: Completion, rule: AnswerRule) -> Segment:
        """The part of a whole response that is graded."""
        start = answer_start(
            completion.block,
            opened=completion.opened,
            finished=completion.finished,
            unclosed=rule.unclosed,
        )
        text = None if start is None else self.tokenizer.decode(completion.ids[start:])
        return natural_segment(text, fallback=rule.fallback)

    def _prompt(self, prompt: Prompt) -> tuple[str, bool]:
        """Its text, and whether it leaves a thinking block open."""
        if isinstance(prompt, str):
            text = self.tokenizer.bos + prompt
        else:
            text = self.tokenizer.render_chat(prompt, {}, PROMPT_DATE)
        return text, opened_by_prompt(self.tokenizer.encode_text(text), self.delimiters)


def key_of(prompt: Prompt) -> str:
    """What tells one prompt from another."""
    return prompt if isinstance(prompt, str) else json.dumps(list(prompt), sort_keys=True)


def keys_of(prompts: Sequence[Prompt], columns: Mapping[str, Any]) -> list[str]:
    """The group of every response: the column `problem_id` where there is one, else the prompt."""
    if "problem_id" in columns:
        return [str(key) for key in columns["problem_id"]]
    return [key_of(prompt) for prompt in prompts]


def per_problem_columns(name: str, columns: Mapping[str, Any], count: int) -> list[dict[str, float]]:
    """For each of `count` responses, what the reward of that name needs to know of its problem."""
    needed = PER_PROBLEM.get(name, ())
    if missing := [column for column in needed if column not in columns]:
        raise InputError(f"{name} needs the data set's column {', '.join(missing)}")
    return [{column: columns[column][i] for column in needed} for i in range(count)]


def log_outcomes(
    name: str,
    outcomes: Sequence[Outcome],
    lengths: Sequence[int],
    log_metric: LogMetric | None,
    log_extra: LogExtra | None,
) -> None:
    """The share of every outcome to the trainer's metrics; outcome and length to its completions table."""
    if log_metric is not None and outcomes:
        for outcome in OUTCOMES:
            log_metric(f"{name}/{outcome}", outcomes.count(outcome) / len(outcomes))
    if log_extra is not None:
        log_extra(f"{name}_outcome", [str(outcome) for outcome in outcomes])
        log_extra(f"{name}_length", list(lengths))
