"""Frontiers: the best known accuracy by budget for a base model, read from and written to JSON files.

A frontier is an empirical lower bound of the optimum (REG definition 4.1). It is not monotone and
never smoothed. The task-averaged frontier is the plain mean of the tasks; it is not stored.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from reghar.errors import InputError
from reghar.paths import data_dir
from reghar.protocol import Protocol

FRONTIER_SCHEMA: Literal["reghar.frontier/2"] = "reghar.frontier/2"
"""What is written; `SCHEMAS` are read."""
SCHEMAS = ("reghar.frontier/1", FRONTIER_SCHEMA)
"""Version 1 holds task means only; version 2 may hold what every problem contributed."""

_ROUNDING = 1e-9
"""A file's decimals may round the last digits of a mean."""

Positive = Annotated[int, Field(ge=1)]


_Row = Annotated[tuple[float, ...], Field(strict=False)]


class _FrontierRecord(BaseModel):
    """Frozen; a field that the schema does not know is an error, so that a typing mistake cannot hide."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TaskFrontier(_FrontierRecord):
    """Best known accuracy by budget on one task; B points."""

    budgets: Annotated[tuple[int, ...], Field(min_length=1, strict=False)]
    """Tokens, strictly increasing, from 0 or later."""
    accuracy: Annotated[tuple[float, ...], Field(strict=False)]
    """0..1."""
    samples: Positive
    """Samples per problem behind every point: n of avg@n."""
    problems: Positive
    """Problems behind every point."""
    winner: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Name of the run that gave each point; None where only the maximum is published."""
    low: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    """Lower ends of the 95% bootstrap intervals of the winners' accuracy."""
    high: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    cross_fitted: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    """The maximum without its upward bias: winner chosen on one half of the problems, read on the other."""
    problem_ids: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """P ids; None where only task means are known."""
    problem_accuracy: Annotated[tuple[_Row, ...], Field(strict=False)] | None = None
    """A row of B a problem: the mean over samples, at each budget, of the run that won there."""

    @field_validator("accuracy", "low", "high", "cross_fitted")
    @classmethod
    def _fractions(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        for value in values or ():
            if not 0 <= value <= 1:  # false for NaN
                raise ValueError(f"accuracy {value} is outside 0..1: give fractions, not percent")
        return values

    @model_validator(mode="after")
    def _points(self) -> Self:
        named = {"accuracy": self.accuracy, "winner": self.winner, "low": self.low, "high": self.high}
        for name, values in {**named, "cross_fitted": self.cross_fitted}.items():
            if values is not None and len(values) != len(self.budgets):
                raise ValueError(
                    f"unequal lengths: {len(self.budgets)} budgets, {len(values)} values of {name}"
                )
        if self.budgets[0] < 0:
            raise ValueError(f"budget {self.budgets[0]} is negative")
        for before, after in itertools.pairwise(self.budgets):
            if after <= before:
                raise ValueError(f"budgets are not strictly increasing: {after} follows {before}")
        return self

    @model_validator(mode="after")
    def _by_problem(self) -> Self:
        ids, rows = self.problem_ids, self.problem_accuracy
        if ids is None and rows is None:
            return self
        if ids is None or rows is None:
            raise ValueError("problem_ids and problem_accuracy belong together: one of them is missing")
        if len(set(ids)) != self.problems or len(ids) != self.problems or len(rows) != self.problems:
            raise ValueError(f"{len(set(ids))} ids and {len(rows)} curves for {self.problems} problems")
        for problem, row in zip(ids, rows, strict=True):
            if len(row) != len(self.budgets):
                raise ValueError(f"unequal lengths: {len(self.budgets)} budgets, {len(row)} of {problem}")
            self._fractions(row)
        for budget, mean, column in zip(self.budgets, self.accuracy, zip(*rows, strict=True), strict=True):
            if abs(math.fsum(column) / len(column) - mean) > _ROUNDING:
                raise ValueError(f"accuracy {mean} at budget {budget} is not the mean of its problems")
        return self


class FrontierProtocol(_FrontierRecord):
    """The protocol that all runs behind a frontier share."""

    digest: str
    settings: Protocol


class FrontierSource(_FrontierRecord):
    """Where the points come from."""

    citation: str
    address: str
    date: str
    """ISO 8601: a year, a month or a day."""


class Frontier(_FrontierRecord):
    """The frontier file of one base model."""

    schema_: Literal["reghar.frontier/1", "reghar.frontier/2"] = Field(
        default=FRONTIER_SCHEMA, alias="schema"
    )
    base_model: str = Field(min_length=1)
    protocol: Literal["unverified"] | FrontierProtocol
    """`unverified` where the authors did not publish all of it: runs may be compared, with a note."""
    source: FrontierSource
    sha256: str
    """Of the points, see `points_sha256`."""
    tasks: dict[str, TaskFrontier] = Field(min_length=1)

    _file: str | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """What reports call it: the name of its file, by which it is asked for, or the base model."""
        return self._file or self.base_model

    def __eq__(self, other: object) -> bool:
        """Equal in content; the file's name is no part of it."""
        return isinstance(other, Frontier) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.sha256)

    def task(self, name: str) -> TaskFrontier:
        """The frontier of one task; InputError where there is none."""
        if name not in self.tasks:
            raise InputError(f"frontier {self.name!r} has no task {name!r}: {_nearest(name, self.tasks)}")
        return self.tasks[name]

    def to_json(self) -> str:
        """The text of the file: a line a series of a task, and a line a problem."""
        content = self.model_dump(by_alias=True, exclude_none=True)
        tasks = content.pop("tasks")
        head = json.dumps(content, indent=1, ensure_ascii=False)[:-2]
        blocks = [
            f"  {json.dumps(task)}: {{\n"
            + ",\n".join(f"   {json.dumps(key)}: {_series(key, value)}" for key, value in series.items())
            + "\n  }"
            for task, series in tasks.items()
        ]
        return head + ',\n "tasks": {\n' + ",\n".join(blocks) + "\n }\n}\n"


def _series(key: str, value: Any) -> str:
    if key != "problem_accuracy":
        return json.dumps(value)
    return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n   ]"


def points_sha256(tasks: Mapping[str, TaskFrontier]) -> str:
    """SHA-256 over lines `task,budget,accuracy`, tasks in alphabetical order, floats as Python's repr.

    Where problems are known, a line `task,problem,accuracy,accuracy,...` a problem follows its task's.
    """
    return hashlib.sha256("".join(_lines(tasks)).encode()).hexdigest()


def _lines(tasks: Mapping[str, TaskFrontier]) -> Iterator[str]:
    for task, points in sorted(tasks.items()):
        for budget, accuracy in zip(points.budgets, points.accuracy, strict=True):
            yield f"{task},{budget},{float(accuracy)!r}\n"
        for problem, row in zip(points.problem_ids or (), points.problem_accuracy or (), strict=True):
            yield f"{task},{problem},{','.join(repr(float(accuracy)) for accuracy in row)}\n"


def parse_frontier(text: str, *, origin: str) -> Frontier:
    """The frontier in a file's text; `origin` names the file in the InputError for a broken one."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"frontier {origin} is not JSON: {error}") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found not in SCHEMAS:
        known = " and ".join(map(repr, SCHEMAS))
        raise InputError(
            f"frontier {origin} has the unknown schema {ascii(found)[:60]}: this version reads {known}"
        )
    try:
        frontier = Frontier.model_validate(content)
    except ValidationError as error:
        raise InputError(f"frontier {origin}: {_first_problem(error)}") from error
    expected = points_sha256(frontier.tasks)
    if frontier.sha256 != expected:
        raise InputError(
            f"frontier {origin} has the wrong checksum {frontier.sha256[:12]!r}: its points give sha256 "
            f"{expected}; restore the file, or write that if you changed points on purpose"
        )
    return frontier


def read_frontier(path: Path) -> Frontier:
    """The frontier in a file. Raises InputError with one line for anything that is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read the frontier {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"frontier {path} is not JSON: it is not UTF-8 text") from error
    frontier = parse_frontier(text, origin=str(path))
    frontier._file = path.stem
    return frontier


def write_frontier(frontier: Frontier, path: Path) -> None:
    """Writes the file aside and renames it. Raises InputError where it cannot be written."""
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(frontier.to_json(), encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; choose another -o FILE") from error


def available(include_dirs: Iterable[str | Path] = ()) -> list[str]:
    """Names of the frontiers at hand, in alphabetical order."""
    return sorted(_files(include_dirs))


def load_frontier(name_or_path: str | Path, include_dirs: Iterable[str | Path] = ()) -> Frontier:
    """The frontier of that name (case does not matter) or at that path.

    Files in `include_dirs` come before the ones that travel with reghar. Raises InputError for an
    unknown name (with the nearest ones), a missing file, or a broken one.
    """
    files = _files(include_dirs)
    wanted = str(name_or_path).lower()
    for name, path in files.items():
        if name.lower() == wanted:
            return read_frontier(path)
    path = Path(name_or_path)
    if path.suffix == ".json" or path.is_file():
        return read_frontier(path)
    known = f"{_nearest(wanted, files)} A path to a .json file works too"
    raise InputError(f"unknown frontier {str(name_or_path)!r}: {known}")


def match_frontier(model: str, include_dirs: Iterable[str | Path] = ()) -> Frontier | None:
    """The frontier whose base model's name stands in the model's name; the longest one where several do.

    Case does not matter; letters or digits right beside the name do: Qwen3-4B is not in
    Qwen3-4Bit. None where none matches; `Frontier.name` says which one did.
    """
    frontiers = [read_frontier(path) for path in _files(include_dirs).values()]
    matching = [one for one in frontiers if _stands_in(one.base_model.lower(), model.lower())]
    return max(matching, key=lambda one: len(one.base_model), default=None)


def _stands_in(name: str, model: str) -> bool:
    start = model.find(name)
    while start >= 0:
        beside = model[max(0, start - 1) : start] + model[start + len(name) : start + len(name) + 1]
        if not any(character.isalnum() for character in beside):
            return True
        start = model.find(name, start + 1)
    return False


def _files(include_dirs: Iterable[str | Path]) -> dict[str, Path]:
    """Name to file; earlier folders win."""
    files: dict[str, Path] = {}
    for folder in (*map(Path, include_dirs), data_dir("frontiers")):
        for path in sorted(folder.glob("*.json")):
            files.setdefault(path.stem, path)
    return files


def _nearest(name: str, known: Iterable[str]) -> str:
    by_lower = {one.lower(): one for one in sorted(known)}
    near = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(by_lower.values())}"


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
