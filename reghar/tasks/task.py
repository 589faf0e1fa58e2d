"""One benchmark: where its problems come from, how they are asked and how answers are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reghar.errors import InputError
from reghar.paths import data_dir
from reghar.tasks.config import FunctionReference, read_config

PREFIX = "reghar_"
"""Stands before a task's name for lm-eval, so that it does not shadow lm-eval's own."""

PROBLEMS_HOOKS = ("reghar.lm_eval_bridge.hooks.problems", "reghar.tasks.lm_eval_hooks.problems")
"""`custom_dataset` of a task whose problems lm-eval asks us for: here its `dataset_path` counts. The
second is the name of earlier versions."""

CURVE_CLASS = "reghar.lm_eval_bridge.CurveTask"
"""`class` of a task that hands the whole curve to lm-eval; it is as configurable as any other."""

Kind = Literal["integer", "math", "choice", "code"]
Fallback = Literal["last_number"]
TestsForm = Literal["humaneval", "livecodebench"]
"""How a data set writes the tests of its programs."""


@dataclass(frozen=True, kw_only=True)
class AnswerFormat:
    """How answers are compared with the gold answer."""

    kind: Kind = "math"
    """Integers, any mathematics, the letter of a choice, or a program that passes tests."""
    tolerance: float | None = None
    """Relative tolerance of numbers, > 0; None for the grader's own (1e-4)."""
    tolerance_reason: str | None = None
    """Why the task departs from the grader's own tolerance."""
    fallback: Fallback | None = None
    """What is taken from a natural answer without a box; None: such an answer is `no_answer`."""
    tests: TestsForm | None = None
    """Of code: the form in which the data set writes the tests; None: they are its column `tests`."""

    @property
    def is_program(self) -> bool:
        """True where an answer is a program, which tests decide on."""
        return self.kind == "code"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Where a task's rows come from when no data folder is given. Exactly one of `path`, `function`."""

    path: str | None
    """Name on the Hugging Face hub, or the format of `data_files` (`json`, `csv`, `parquet`)."""
    name: str | None
    """Configuration of the data set."""
    split: str
    """The split whose rows are asked."""
    revision: str | None
    """Commit of the data set; None where it is not pinned."""
    arguments: Mapping[str, Any]
    """The other `dataset_kwargs`, such as `data_files`."""
    function: FunctionReference | None
    """lm-eval's `custom_dataset`: returns a mapping from split to rows."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One benchmark, as its YAML file describes it. `path` locates it and is no part of the protocol."""

    name: str
    """Without the prefix `reghar_`."""
    path: Path
    """The YAML file."""
    version: str
    """Part of the protocol: raised when a question or its grading changes."""
    description: str
    """One sentence for people; empty where the file has none."""
    answer: AnswerFormat
    """How its answers are compared."""
    prompt: str | FunctionReference
    """lm-eval's `doc_to_text`: a column, a Jinja template or a function; gives the whole user message."""
    target: str | FunctionReference
    """lm-eval's `doc_to_target`: gives the gold answer, or a list of accepted ones."""
    process_docs: FunctionReference | None
    """lm-eval's function from a `datasets.Dataset` to the rows that count."""
    dataset: Dataset
    """Where its rows come from."""
    fields: Mapping[str, str | list[str]] = field(default_factory=dict)
    """Our column (`id`, `problem`, `answer`, `answers`, `stem`, `choices`, `tests`, `date`) -> the data
    set's own, or, for `answers` and `choices`, a list of its columns."""
    data: str
    """Stem of its file in a data folder."""
    ids: str | None
    """A regular expression: only problems whose whole id it matches are asked; None for all."""
    window: str | None
    """First and last day, `2024-08-01,2025-05-01`: only problems of contests from the one to the other are
    asked; None for all."""
    shuffle_seed: int | None
    """Seed of the order of choices; None keeps the data's order."""
    cluster: str | None = None
    """A column or a Jinja template: problems for which it gives the same text belong to one source and are
    drawn together in a bootstrap over problems. None where each stands alone."""
    private: bool
    """The authors ask that examples never appear in plain text online: never shown."""
    few_shot: Mapping[str, Any] | None = None
    """lm-eval's `fewshot_config`, read by `reghar.tasks.few_shot` where examples are asked for."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The YAML's `metadata`, which lm-eval hands to a `custom_dataset` function."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Kind = "math"
    tolerance: float | None = Field(default=None, gt=0, lt=1)
    tolerance_reason: str | None = None
    fallback: Fallback | None = None
    tests: TestsForm | None = None


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    id: str | None = None
    problem: str | None = None
    answer: str | None = None
    answers: str | list[str] | None = None
    stem: str | None = None
    choices: str | list[str] | None = None
    tests: str | None = None
    date: str | None = None


class _Metadata(BaseModel):
    """Our keys under `metadata:`; others are the user's own and left alone."""

    version: str | int | float = 1
    description: str = ""
    answer: _Answer = Field(default_factory=_Answer)
    fields: _Fields = Field(default_factory=lambda: _Fields())
    shuffle_seed: int | None = None
    cluster: str | None = Field(default=None, min_length=1)
    private: bool = False
    data: str | None = Field(default=None, pattern=r"^\w[\w.-]*$")
    ids: str | None = None
    window: str | None = None


def short_name(name: str) -> str:
    """The task's name without lm-eval's prefix."""
    return name.removeprefix(PREFIX)


def generates(config: Mapping[str, Any]) -> bool:
    """True for a task whose answers the model writes; lm-eval knows others."""
    return bool(config.get("output_type", "generate_until") == "generate_until")


def read_task(path: Path) -> Task:
    """The task in a YAML file. Raises InputError, one line, where the file does not describe one."""
    return task_from_config(read_config(path), path)


def task_from_config(config: Mapping[str, Any], path: Path) -> Task:
    """The task in a YAML's mapping (see `read_task`)."""
    if not isinstance(config.get("task"), str):
        raise InputError(f"the task file {path} has no `task: NAME`")
    if not re.fullmatch(r"\w[\w.-]*", config["task"]):
        raise InputError(f"{path}: task {config['task']!r} names no file: use letters, digits, . _ -")
    if not generates(config):
        raise InputError(
            f"{path}: output_type {config['output_type']!r} generates nothing: only generate_until can be run"
        )
    metadata = config.get("metadata") or {}
    settings = _read_metadata(metadata, path)
    return Task(
        name=short_name(config["task"]),
        path=path,
        version=str(settings.version),
        description=settings.description,
        answer=AnswerFormat(**settings.answer.model_dump()),
        prompt=_rule(config, "doc_to_text", _our_prompt(), path),
        target=_rule(config, "doc_to_target", "gold", path),
        process_docs=_function(config, "process_docs", path),
        dataset=_dataset(config, path),
        fields=settings.fields.model_dump(exclude_none=True),
        data=settings.data or short_name(config["task"]),
        ids=settings.ids,
        window=settings.window,
        shuffle_seed=settings.shuffle_seed,
        cluster=settings.cluster,
        private=settings.private,
        few_shot=_mapping(config, "fewshot_config", path),
        metadata=metadata,
    )


def _mapping(config: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any] | None:
    value = config.get(key)
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{path}: {key} is {str(value)[:60]!r}: give a mapping")
    return value


def _read_metadata(metadata: object, path: Path) -> _Metadata:
    try:
        settings = _Metadata.model_validate(metadata)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("metadata", *first["loc"])))
        raise InputError(f"{path}: {where}: {first['msg']} (is {first['input']!r})") from error
    if settings.answer.tolerance is not None and not settings.answer.tolerance_reason:
        raise InputError(
            f"{path}: metadata.answer.tolerance needs metadata.answer.tolerance_reason beside it"
        )
    try:
        re.compile(settings.ids or "")
    except re.error as error:
        raise InputError(
            f"{path}: metadata.ids {settings.ids!r} is no regular expression: {error}"
        ) from error
    return settings


def _rule(config: Mapping[str, Any], key: str, default: str, path: Path) -> str | FunctionReference:
    value = config.get(key, default)
    if not isinstance(value, str | FunctionReference):
        raise InputError(
            f"{path}: {key} is {value!r}: give a column, a Jinja template or !function module.name"
        )
    return value


@cache
def _our_prompt() -> str:
    """How the project's own mathematics tasks ask: also the default of a user's task."""
    return str(read_config(data_dir("tasks") / "_task_yaml")["doc_to_text"])


def _function(config: Mapping[str, Any], key: str, path: Path) -> FunctionReference | None:
    value = config.get(key)
    if value is None or isinstance(value, FunctionReference):
        return value
    raise InputError(f"{path}: {key} is {value!r}: give !function module.name")


def _dataset(config: Mapping[str, Any], path: Path) -> Dataset:
    function = _function(config, "custom_dataset", path)
    if function is not None and function.name in PROBLEMS_HOOKS:
        if "process_docs" in config:
            raise InputError(f"{path}: process_docs cannot stand beside {function.name}: remove one of them")
        function = None
    source = config.get("dataset_path")
    arguments = config.get("dataset_kwargs") or {}
    if source is not None and not isinstance(source, str):
        raise InputError(f"{path}: dataset_path is {source!r}: give the data set's name")
    if not isinstance(arguments, dict):
        raise InputError(f"{path}: dataset_kwargs is {arguments!r}: give a mapping")
    splits = (config.get(key) for key in ("test_split", "validation_split", "training_split"))
    revision = arguments.get("revision")
    return Dataset(
        path=source if function is None else None,
        name=config.get("dataset_name"),
        split=next((str(split) for split in splits if split), "test"),
        revision=str(revision) if revision is not None else None,
        arguments={key: value for key, value in arguments.items() if key != "revision"},
        function=function,
    )
