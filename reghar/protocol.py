"""Every setting that can change a number, and the digest that decides what may be compared.

Not in it, on purpose: the model, the seed, the engine and the machine (definitions: Protocol).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from reghar.errors import first_problem

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
    from pydantic_core import CoreSchema

PROTOCOL_VERSION = 1

BudgetCounts = Literal["response", "thinking"]
_LATER = {"later": True}
"""Of fields that came after the first stored runs: left out while they have their default, so that the
digests of older runs stay what they were."""

Tokens = Literal["ids", "text", "reported"]
"""How tokens travel to and from the engine; `reported`: only their number is known."""
Unclosed = Literal["grade", "no_answer"]
"""What the own answer is of a finished response that never closed a thinking block which the prompt
opened: the whole response, or none."""


class _Part:
    """A part of the protocol. A field that this version does not know is passed over when one is read."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "ignore", "strict": False}


@dataclass(frozen=True, kw_only=True)
class TaskProtocol(_Part):
    """What a task contributes."""

    version: str
    """Version of the task's YAML."""
    kind: str
    """Kind of answer, which decides how it is graded."""
    tolerance: float
    """Relative tolerance of numbers."""
    fallback: str | None
    """What is graded where a natural answer has no box; None for nothing."""
    problem_ids: tuple[str, ...]
    """In the order of the task."""
    problems_sha256: str
    """Of the ids, questions and golds of these problems."""
    of_problems: int
    """How many problems the whole task has; more than `problem_ids` under `--limit`."""
    samples: int
    """Samples a problem."""
    few_shot: int = field(default=0, metadata=_LATER)
    """Examples that stand before every question."""
    few_shot_sha256: str | None = field(default=None, metadata=_LATER)
    """Of their questions and answers; None without any."""
    window: str | None = field(default=None, metadata=_LATER)
    """First and last day of the contests whose problems it has, `2024-08-01,2025-05-01`; None where they
    have no days."""


@dataclass(frozen=True, kw_only=True)
class RepetitionDetection(_Part):
    """When a trace counts as looping and is ended; fields as vLLM names them. Raises `ValueError`."""

    min_pattern_size: int
    """Tokens of the shortest pattern that is looked for, at least 1."""
    max_pattern_size: int
    """Tokens of the longest one."""
    min_count: int
    """Times that the pattern stands in a row at the end, at least 2."""

    def __post_init__(self) -> None:
        if self.min_pattern_size < 1:
            raise ValueError(f"the shortest pattern has at least 1 token, not {self.min_pattern_size}")
        if self.max_pattern_size < self.min_pattern_size:
            raise ValueError(
                f"the longest pattern, {self.max_pattern_size}, is shorter than the shortest, "
                f"{self.min_pattern_size}"
            )
        if self.min_count < 2:
            raise ValueError(f"a pattern repeats from the 2nd time on, not from {self.min_count}")


@dataclass(frozen=True, kw_only=True)
class SamplingProtocol(_Part):
    """How traces are sampled."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int
    """Most response tokens of a trace."""
    presence_penalty: float = field(default=0.0, metadata=_LATER)
    frequency_penalty: float = field(default=0.0, metadata=_LATER)
    repetition_penalty: float = field(default=1.0, metadata=_LATER)
    """1 is off."""
    stop: tuple[str, ...] = field(default=(), metadata=_LATER)
    """Texts that end a response where they begin, and an answer whose box never closes."""
    repetition_detection: RepetitionDetection | None = field(default=None, metadata=_LATER)
    """Traces, and no answers, that loop by this rule are ended there; None for none."""


@dataclass(frozen=True, kw_only=True)
class ProbeProtocol(_Part):
    """How answers are forced."""

    name: str
    text: str
    temperature: float
    """The traces' own unless `--probe-temperature` says otherwise."""
    max_answer_tokens: int


@dataclass(frozen=True, kw_only=True)
class PromptProtocol(_Part):
    """How a question becomes a prompt."""

    template: str
    """The rendered chat template, with `{problem}` where the question stands."""
    system: str | None
    arguments: dict[str, Any] = field(default_factory=dict)
    thinking: tuple[str, str] | None
    """Delimiters of the thinking block."""
    date: str | None = field(default=None, metadata=_LATER)
    """The day that the template tells, as ISO 8601 writes it; None where it tells none."""


@dataclass(frozen=True, kw_only=True)
class Setting(_Part):
    """One evaluation of a method of test-time control (`reghar.prompting.control`)."""

    name: str
    """Unique in a run; empty for the plain evaluation."""
    method: str = "force"
    """Settings of one method are one set A; each string of `wait` is a method of its own."""
    minimum: int | None = None
    """Thinking tokens asked for at least; None for no such bound."""
    maximum: int | None = None
    """Thinking tokens asked for at most: there an answer is forced as well, beside the trace's own."""
    user: str | None = None
    """What follows the question and a blank line."""
    system: str | None = None
    """What follows the system prompt, or is it where there is none."""
    after: str | None = None
    """Name of the setting whose trace it continues, its end of thinking ignored; None for a new trace."""
    appended: str = ""
    """The string in the place of the ignored end."""
    countdown: bool = False
    """Forcing on top also ends the thinking where the model's own countdown of steps reaches zero."""
    body: str | None = None
    """Fields of the request's body that ask a chat server for more or less thinking, as a JSON object;
    its replies cannot be cut, so no answer is forced at `maximum`."""
    counted: bool = True
    """False for a trace that is only the way to another setting: it is stored, but not in A."""

    @property
    def is_plain(self) -> bool:
        """True for the plain evaluation, which asks for nothing and belongs to every run."""
        return self.name == ""

    @property
    def budgets(self) -> tuple[int, ...]:
        """Thinking tokens at which answers are forced."""
        return () if self.maximum is None or self.body is not None else (self.maximum,)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in `run.json`: `body` only where there is one, as in runs from before it."""
        return {name: value for name, value in asdict(self).items() if name != "body" or value is not None}


PLAIN = Setting(name="")


@dataclass(frozen=True, kw_only=True)
class ControlProtocol(_Part):
    """The method of test-time control that a run evaluates."""

    method: str = "force"
    settings: tuple[Setting, ...] = ()
    """Beside the plain evaluation; none for `force`."""
    budgets: tuple[int, ...] | None = None
    """The budgets, in tokens, that a user named as the settings of `force`; None where none were named."""

    def as_dict(self) -> dict[str, Any]:
        """As it stands in `run.json`: settings and budgets only where there are any."""
        content: dict[str, Any] = {"method": self.method}
        if self.settings:
            content["settings"] = [setting.as_dict() for setting in self.settings]
        if self.budgets is not None:
            content["budgets"] = list(self.budgets)
        return content


@dataclass(frozen=True, kw_only=True)
class Protocol(_Part):
    """A run's protocol: two runs are comparable when their digests are equal.

    The same type where a run is planned and where a stored one is read. Raises `ValueError` for budgets
    that are none.
    """

    tasks: dict[str, TaskProtocol]
    budgets: tuple[int, ...]
    """Tokens, strictly increasing, from 0 or later."""
    budget_counts: BudgetCounts
    sampling: SamplingProtocol
    probe: ProbeProtocol
    prompt: PromptProtocol
    grader: str
    """Version of the grading rules."""
    tokens: Tokens = "ids"
    """`text` where a server takes or gives no token ids: its text is tokenized again, and cuts fall there.
    `reported` where a chat server shows no tokens: lengths are what it says, and nothing is cut."""
    unclosed: Unclosed = field(default="no_answer", metadata=_LATER)
    """As `no_answer` graded all runs from before it, and where no prompt opens a block it cannot matter:
    there the file has no such setting, and the digest is as it was."""
    integration: str = "trapezoid"
    control: ControlProtocol = field(default_factory=ControlProtocol)
    version: int = PROTOCOL_VERSION
    _stored: ClassVar[Mapping[str, Any] | None] = None
    """What a protocol that was read stood in its file as, set on the instance."""

    def __post_init__(self) -> None:
        if not self.budgets or self.budgets[0] < 0:
            raise ValueError(f"budgets must be tokens from 0 on, not {list(self.budgets)}")
        for before, after in itertools.pairwise(self.budgets):
            if after <= before:
                raise ValueError(f"budgets are not strictly increasing: {after} follows {before}")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Protocol:
        """The protocol in a file's settings: `from_dict(protocol.as_dict()) == protocol`.

        Settings that older versions did not write take the value that was theirs. Settings of newer
        versions have no attribute, but stand in `as_dict`, and so in the digest and in `differences`.
        Raises `ValueError` with one line for a setting that is missing or cannot be.
        """
        from pydantic import ValidationError

        try:
            return _adapter().validate_python(settings)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As a field of a file's model: read as by `from_dict`, written as by `as_dict`."""
        from pydantic_core import core_schema

        def read(value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Protocol:
            if isinstance(value, Protocol):
                return value
            protocol: Protocol = inner(value)
            object.__setattr__(protocol, "_stored", value)
            return protocol

        written = core_schema.plain_serializer_function_ser_schema(lambda protocol: protocol.as_dict())
        return core_schema.no_info_wrap_validator_function(read, handler(source), serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """An object: what stands in it is this class's affair, not that of the file around it."""
        return {"type": "object"}

    def as_dict(self) -> dict[str, Any]:
        """The settings as they stand in `run.json`: only JSON types; of a stored protocol, as it was read."""
        content = self._stored or _without_defaults(self, {**asdict(self), "control": self.control.as_dict()})
        settings: dict[str, Any] = json.loads(json.dumps(content))
        return settings

    @property
    def digest(self) -> str:
        """See `digest`."""
        return digest(self.as_dict())

    def with_grader(self, version: str) -> Protocol:
        """The same, graded by the rules of another version."""
        return Protocol.from_dict(self.as_dict() | {"grader": version})

    def of_task(self, name: str) -> Protocol:
        """The same with one of its tasks alone."""
        settings = self.as_dict()
        return Protocol.from_dict(settings | {"tasks": {name: settings["tasks"][name]}})

    @property
    def cuts_responses(self) -> bool:
        """False where a chat server's replies can be cut at no budget."""
        return self.tokens != "reported"

    def differences(self, other: Protocol) -> list[str]:
        """See `differences`."""
        return differences(self.as_dict(), other.as_dict())


@cache
def _adapter() -> TypeAdapter[Protocol]:
    from pydantic import TypeAdapter

    return TypeAdapter(Protocol)


def _without_defaults(record: Any, recorded: dict[str, Any]) -> dict[str, Any]:
    """`recorded` without the later fields of `record` that have their default."""
    for each in fields(record):
        value = getattr(record, each.name)
        if each.metadata.get("later") and value == each.default:
            del recorded[each.name]
        elif is_dataclass(value) and each.name in recorded:
            _without_defaults(value, recorded[each.name])
        elif isinstance(value, Mapping):
            for key, one in value.items():
                if is_dataclass(one):
                    _without_defaults(one, recorded[each.name][key])
    return recorded


def digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 over the settings, independent of the order of keys: 64 hexadecimal digits."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every setting that two protocols do not share, one line each: `sampling.top_p: 0.95 != 1.0`."""
    lines: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(key), other.get(key)
        name = f"{prefix}{key}"
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            lines.extend(differences(mine, theirs, f"{name}."))
        elif isinstance(mine, list | tuple) and isinstance(theirs, list | tuple) and mine != theirs:
            lines.append(f"{name}: {_unequal_lists(list(mine), list(theirs))}")
        elif mine != theirs:
            lines.append(f"{name}: {_short(mine)} != {_short(theirs)}")
    return lines


def _unequal_lists(mine: list[Any], theirs: list[Any]) -> str:
    """Where two lists part: cut to a line, long ones would look equal."""
    whole = f"{_short(mine)} != {_short(theirs)}"
    if "…" not in whole:
        return whole
    counts = f"{len(mine)} entries != {len(theirs)} entries"
    for place, (one, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        if one != other:
            return f"{counts}; entry {place} is {_short(one)} != {_short(other)}"
    return f"{counts}, of which the first {min(len(mine), len(theirs))} are equal"


def _short(value: object, limit: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
