"""What judges said of a run's traces, stored beside its scores: `judgements/`, numbered Parquet parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reghar.store.parts import part_numbers, part_path, read_part, set_damaged_aside, write_part

if TYPE_CHECKING:
    import pyarrow as pa

JUDGEMENTS = "judgements"
"""The folder."""
Aspect = Literal["rv", "cd", "valid"]
"""Reasoning verbosity, cognitive difficulty, validity."""
JudgementKey = tuple[str, str, str, int, int]
"""Aspect, task, problem id, sample and repeat."""
MOST_KEPT = 2_000
"""Characters of a reply that are kept: its end, where the score stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One reply of a judge about one trace."""

    judge: str
    """The judge's model, as the server calls it."""
    rubric: str
    """Version of what was asked."""
    aspect: str
    """An `Aspect`."""
    task: str
    problem: str
    """Problem id."""
    sample: int
    repeat: int
    """0, 1, ...: replies to the same question."""
    score: int | None
    """0 to 9, of `valid` 0 or 1; None: unparsed, never 0."""
    reply: str
    """The end of what the judge wrote; not to be trusted."""
    prompt_tokens: int
    """As the server reports them."""
    completion_tokens: int

    @property
    def key(self) -> JudgementKey:
        """What was asked of this judge: no two of its replies have the same, with one rubric."""
        return (self.aspect, self.task, self.problem, self.sample, self.repeat)


def read_judgements(run: Path) -> Iterator[Judgement]:
    """Every stored judgement, in the order in which they came; unreadable parts are passed over."""
    folder = run / JUDGEMENTS
    for number in part_numbers(folder):
        part = read_part(part_path(folder, number), _schema())
        if part is not None:
            yield from (Judgement(**row) for row in part.to_pylist())


class JudgementWriter:
    """Writes parts; whoever uses it holds the run folder's lock."""

    def __init__(self, run: Path) -> None:
        """Sets unreadable parts aside, so that what they held is asked again."""
        self._folder = run / JUDGEMENTS
        set_damaged_aside(self._folder, _schema())
        self._pending: list[Judgement] = []

    def add(self, judgement: Judgement) -> None:
        """Keeps one until `flush`."""
        self._pending.append(judgement)

    @property
    def pending(self) -> int:
        """How many are not on disk yet."""
        return len(self._pending)

    def flush(self) -> None:
        """Writes what is pending as one part. Raises `StorageError`."""
        if not self._pending:
            return
        number = max(part_numbers(self._folder), default=-1) + 1
        write_part(self._folder, number, map(asdict, self._pending), _schema())
        self._pending.clear()


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"str": pa.string(), "int": pa.int64(), "int | None": pa.int64()}
    return pa.schema([(each.name, types[str(each.type)]) for each in fields(Judgement)])
