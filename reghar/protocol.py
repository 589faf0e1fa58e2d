"""Every setting that can change a number, and the digest that decides what may be compared.

Not in it, on purpose: the model, the seed, the engine and the machine (definitions: Protocol).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

PROTOCOL_VERSION = 1

BudgetCounts = Literal["response", "thinking"]
Tokens = Literal["ids", "text", "reported"]
"""How tokens travel to and from the engine; `reported`: only their number is known."""


@dataclass(frozen=True, kw_only=True)
class TaskProtocol:
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


@dataclass(frozen=True, kw_only=True)
class SamplingProtocol:
    """How traces are sampled."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int
    """Most response tokens of a trace."""


@dataclass(frozen=True, kw_only=True)
class ProbeProtocol:
    """How answers are forced."""

    name: str
    text: str
    temperature: float
    """The traces' own unless `--probe-temperature` says otherwise."""
    max_answer_tokens: int


@dataclass(frozen=True, kw_only=True)
class PromptProtocol:
    """How a question becomes a prompt."""

    template: str
    """The rendered chat template, with `{problem}` where the question stands."""
    system: str | None
    arguments: dict[str, Any] = field(default_factory=dict)
    thinking: tuple[str, str] | None
    """Delimiters of the thinking block."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A run's protocol: two runs are comparable when their digests are equal."""

    tasks: dict[str, TaskProtocol]
    budgets: tuple[int, ...]
    """Tokens, strictly increasing."""
    budget_counts: BudgetCounts
    sampling: SamplingProtocol
    probe: ProbeProtocol
    prompt: PromptProtocol
    grader: str
    """Version of the grading rules."""
    tokens: Tokens = "ids"
    """`text` where a server takes or gives no token ids: its text is tokenized again, and cuts fall there.
    `reported` where a chat server shows no tokens: lengths are what it says, and nothing is cut."""
    integration: str = "trapezoid"
    control: dict[str, Any] = field(default_factory=lambda: {"method": "force"})
    version: int = PROTOCOL_VERSION

    def as_dict(self) -> dict[str, Any]:
        """The settings as they stand in `run.json`: only JSON types."""
        settings: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return settings

    @property
    def digest(self) -> str:
        """See `digest`."""
        return digest(self.as_dict())


def digest(settings: dict[str, Any]) -> str:
    """SHA-256 over the settings, independent of the order of keys: 64 hexadecimal digits."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> list[str]:
    """Every setting that two protocols do not share, one line each: `sampling.top_p: 0.95 != 1.0`."""
    lines: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(key), other.get(key)
        name = f"{prefix}{key}"
        if isinstance(mine, dict) and isinstance(theirs, dict):
            lines.extend(differences(mine, theirs, f"{name}."))
        elif mine != theirs:
            lines.append(f"{name}: {_short(mine)} != {_short(theirs)}")
    return lines


def _short(value: object, limit: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
