"""Rewards of whole responses for TRL: correctness by the harness's grader, length by the trainer's ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from reghar.errors import InputError
from reghar.grading.outcome import Outcome
from reghar.rewards.catalogue import OVER_GROUPS, WHOLE, reward_named
from reghar.rewards.trl.completions import (
    AnswerRule,
    CompletionReader,
    EosTokenIds,
    LogExtra,
    LogMetric,
    Prompt,
    keys_of,
    log_outcomes,
    per_problem_columns,
)

RowKey: TypeAlias = tuple[str, int, bool]
"""Group, length in tokens, correct."""
Gather: TypeAlias = Callable[[list[RowKey]], list[RowKey]]


def length_reward(
    name: str,
    tokenizer: Any,
    *,
    answers: AnswerRule | None = None,
    eos_token_ids: EosTokenIds = None,
    gather: Gather | None = None,
    **settings: float,
) -> LengthReward:
    """A reward of whole responses for `reward_funcs`: `length_reward("plp", tokenizer, alpha=4)`.

    `settings` are the keyword arguments of the pure function; `ref_length`, `ref_accuracy` (for
    length_harmonizing) are columns of the data set. `eos_token_ids`: for models with other ends than the
    tokenizer's, `model.generation_config.eos_token_id`. `gather`: collects rows over all processes
    (default: accelerate's). Raises InputError for an unknown name or a setting out of range.
    """
    if name not in WHOLE:
        raise InputError(f"unknown reward {name!r} of whole responses; there are {', '.join(WHOLE)}")
    return LengthReward(
        name, settings, CompletionReader(tokenizer, eos_token_ids), answers or AnswerRule(), gather
    )


class LengthReward:
    """A callable with TRL's signature; made by `length_reward`."""

    def __init__(
        self,
        name: str,
        settings: dict[str, float],
        reader: CompletionReader,
        answers: AnswerRule,
        gather: Gather | None,
    ) -> None:
        self.__name__ = name
        """The name under which TRL logs it."""
        self._reward = reward_named(name, settings)
        self._reader = reader
        self._answers = answers
        self._gather = gather or _gather_over_processes

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
        """A finite reward for every completion; whatever is not `correct` counts as wrong."""
        golds = self._answers.golds(columns)
        read = self._reader.read(prompts, completions, completion_ids)
        segments = (self._reader.segment(one, self._answers) for one in read)
        outcomes = self._answers.grade(zip(segments, golds, strict=True))
        lengths = [len(one.ids) for one in read]
        log_outcomes(self.__name__, outcomes, lengths, log_metric, log_extra)
        rows = [
            # A response of the end token alone is never right; as one token it also has a finite ratio.
            (key, max(length, 1), outcome is Outcome.CORRECT)
            for key, length, outcome in zip(keys_of(prompts, columns), lengths, outcomes, strict=True)
        ]
        values = self._values(rows, columns)
        return [values[row] for row in rows]

    def _values(self, rows: list[RowKey], columns: dict[str, Any]) -> dict[RowKey, float]:
        """The reward of every row; equal rows have equal rewards, whichever process they come from."""
        shared = self._gather(rows) if self.__name__ in OVER_GROUPS else rows
        groups: dict[str, list[RowKey]] = defaultdict(list)
        for row in shared:
            groups[row[0]].append(row)
        if self.__name__ in OVER_GROUPS and (alone := [k for k, g in groups.items() if len(g) == 1]):
            raise InputError(
                f"{self.__name__} compares the responses of a group, and {len(alone)} of {len(groups)} have "
                f"one response, such as {alone[0][:80]!r}: raise num_generations"
            )
        own = per_problem_columns(self.__name__, columns, len(rows))
        problem = {row[0]: values for row, values in zip(rows, own, strict=True)}
        values: dict[RowKey, float] = {}
        for key, group in groups.items():
            _, lengths, correct = zip(*group, strict=True)
            found = self._reward(lengths, correct, **problem.get(key, {}))
            values.update(zip(group, found.tolist(), strict=True))
        return values


def _gather_over_processes(rows: list[RowKey]) -> list[RowKey]:
    """The rows of all processes of the training; of this one where it is alone."""
    from accelerate.utils import gather_object

    gathered: list[RowKey] = gather_object(rows)
    return [(key, length, correct) for key, length, correct in gathered]
