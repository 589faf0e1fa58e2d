"""The one interface between reghar and whatever generates tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from reghar.engines.environment import Environment
from reghar.errors import EngineError
from reghar.protocol import RepetitionDetection

FinishReason = Literal["stop", "length", "repetition"]

CAPTURED = (1, 2, 4, *range(8, 256, 8), *range(256, 513, 16))
"""Batches for which vLLM captures a CUDA graph by default, requests; larger ones are launched by the CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """Settings of one request, a field each as vLLM names them."""

    temperature: float
    """At least 0; 0 is greedy."""
    top_p: float
    """In (0, 1]."""
    max_tokens: int
    """Most tokens to generate, at least 1."""
    seed: int
    """Of this request alone, 0 <= seed < 2**63."""
    top_k: int = 0
    """0 considers all tokens."""
    min_p: float = 0.0
    """In [0, 1]; 0 is off."""
    barred: tuple[int, ...] = ()
    """Token ids that must not be generated."""
    presence_penalty: float = 0.0
    """In [-2, 2]; 0 is off."""
    frequency_penalty: float = 0.0
    """In [-2, 2]; 0 is off."""
    repetition_penalty: float = 1.0
    """Above 0, at most 2; 1 is off."""
    logprobs: bool = False
    """Whether the log-probability of every generated token is wanted."""
    repetition_detection: RepetitionDetection | None = None
    """Ends the response where it loops; None lets it."""
    priority: int = 0
    """Requests of a smaller one go first, where the engine schedules by priority."""
    adapter: str | None = None
    """Name of the LoRA adapter that is asked; None for the model itself."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The tokens that arrived since the last chunk of the same request."""

    token_ids: list[int]
    """New response token ids; the end-of-sequence token is never among them."""
    finish_reason: FinishReason | None = None
    """None while the request runs; `stop` when the model ended it; `length` at `max_tokens`;
    `repetition` where it looped by the rule that was asked for."""
    cached_tokens: int | None = None
    """Prompt tokens of this request found in the engine's prefix cache; None where it does not say."""
    logprobs: list[float] | None = None
    """Natural logarithm of the model's probability of each of `token_ids`, before temperature and cuts;
    None where they were not asked for, or the engine does not say."""


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What a run records about the engine; never part of the protocol."""

    name: str
    version: str
    host: str
    """Kind of host: the accelerator's name, or `cpu`."""
    arguments: dict[str, object]
    kv_caches: tuple[int | None, ...] = (None,)
    """Tokens that each of its KV caches holds: one a data-parallel rank or server; None where it does not
    say."""
    batches: tuple[int, ...] = ()
    """Traces that one of them may have in flight, in increasing order: the batches of its CUDA graphs that
    leave room for as many probes. Empty where it does not say."""

    environment: Environment = field(default_factory=Environment)
    """Where it ran, and in what arithmetic."""

    @property
    def kv_tokens(self) -> int | None:
        """Tokens that all of its KV caches hold; None where one does not say."""
        sizes = [size for size in self.kv_caches if size is not None]
        return sum(sizes) if len(sizes) == len(self.kv_caches) else None


class EngineDeadError(EngineError):
    """The engine is gone, and with it every response in flight; another may be started in its place."""


class ResponseLostError(EngineError):
    """The rest of one response will never come, though the engine lives: draw it again from its start.

    A response is never pieced together from two streams: the second need not repeat the first.
    """


class Engine(Protocol):
    """Generates tokens for many requests at once. All methods but `start` belong to one event loop."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and arguments of the running engine."""

    def start(self) -> None:
        """Loads the model, before any event loop runs. Raises `EngineError` with one line when that fails."""

    def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        """Streams the response to `prompt_ids`, a chunk about every `interval` tokens.

        Requests of one `session` share most of their prompts: an engine of several servers sends
        them where the first one went. Closing the generator ends the request. A response that ends in
        any other way than these is lost, never cut short or finished. Raises
        `EngineDeadError` when the engine died, `ResponseLostError` when this response is lost, and
        `EngineError` for what no further try can mend.
        """

    async def close(self) -> None:
        """Ends the engine and its processes; may be called twice."""
