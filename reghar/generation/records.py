"""What generation makes: traces (full responses) and the answers read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reghar.seeds import derive_seed

Withheld = Literal["truncated", "refused"]
"""Why a chat server's reply is not graded."""


@dataclass(frozen=True, slots=True)
class TraceKey:
    """Which trace of a run: no two have the same."""

    task: str
    problem: str
    """Problem id."""
    sample: int
    """0 .. n-1."""
    setting: str = ""
    """Of the control method (`reghar.prompting.control`); empty for the plain evaluation."""

    def at(self, setting: str) -> TraceKey:
        """The trace of the same problem and sample at another setting."""
        return replace(self, setting=setting)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One response, from the first token to the model's own end, `max_tokens`, or a loop that ended it."""

    task: str
    problem: str
    """Problem id."""
    sample: int
    """0 .. n-1."""
    seed: int
    """Of the request that generated it."""
    prompt_tokens: int
    token_ids: tuple[int, ...]
    """The response |y|, end-of-sequence token excluded."""
    text: str
    """What the tokens decode to, special tokens included."""
    finished: bool
    """False when it hit `max_tokens`, or was ended because it looped."""
    thinking_opened: bool
    """True when the prompt left a thinking block open."""
    thinking_start: int | None
    """Index of the first token inside the thinking block; None where there is none."""
    thinking_end: int | None
    """Index of the first token of the closing delimiter; None while open or absent."""
    looped: bool
    """Not finished, and it ends in a verbatim repetition: by `ends_in_loop`, or by the rule that ended it."""
    setting: str = ""
    """Of the control method (`reghar.prompting.control`); empty for the plain evaluation."""
    given_tokens: int = 0
    """Its first tokens that were not generated for it: those of the trace that it continues, and the
    string in the place of the ignored end of thinking."""
    countdown: int | None = None
    """Thinking tokens after which the model's countdown of steps reached zero; None where it did not,
    or the setting asks for no steps."""

    reported_length: int | None = None
    """Tokens of the response as a chat server reports them; `token_ids` is then empty, and where the
    server tells the tokens of reasoning, they stand as the block from 0 to `thinking_end`."""
    withheld: Withheld | None = None
    """Why a chat server's reply is no answer; None for all others."""

    @property
    def length(self) -> int:
        """Tokens |y| of the response, end-of-sequence token excluded."""
        return len(self.token_ids) if self.reported_length is None else self.reported_length

    @property
    def key(self) -> TraceKey:
        """Which trace it is."""
        return TraceKey(self.task, self.problem, self.sample, self.setting)

    @property
    def thinking_length(self) -> int:
        """Tokens inside the thinking block; 0 where there is none."""
        if self.thinking_start is None:
            return 0
        end = self.length if self.thinking_end is None else self.thinking_end
        return end - self.thinking_start


@dataclass(frozen=True, kw_only=True, slots=True)
class ForcedAnswer:
    """One answer. A trace has one for every budget that cut it, and one of its own (`budget` None)."""

    task: str
    problem: str
    sample: int
    budget: int | None
    """Tokens at which the trace was cut; None for the whole trace's own answer."""
    forced: bool
    """True where a probe forced it."""
    text: str | None
    """The segment to grade: the completion of the probe, or for a natural answer the text after the
    thinking block; None where the thinking never closed."""
    token_ids: tuple[int, ...]
    """Tokens of the completion; empty for the trace's own answer."""
    seed: int
    prompt_tokens: int
    """Tokens of prompt, cut trace and probe together; 0 for the trace's own answer."""
    cached_tokens: int | None
    """Those of them that were found in the engine's cache; None where the engine did not say."""
    setting: str = ""
    """That of its trace."""
    dropped_tokens: int = 0
    withheld: Withheld | None = None
    """That of its trace: it is then the outcome."""
    """Trace tokens that could not be sent back because the engine refuses their ids."""
    answer_logprob: float | None = None
    """Sum of the natural logarithms of the model's probabilities of `token_ids`, before temperature and
    cuts; None where the engine did not say, and for the trace's own answer. Stored in single precision."""
    answer_tokens_scored: int | None = None
    """How many tokens that sum is over; None with it."""


def trace_seed(run_seed: int, key: TraceKey) -> int:
    """The seed of one trace: the same whatever the order of a run and however often it is resumed."""
    return derive_seed(run_seed, key.task, key.problem, key.sample, *([key.setting] if key.setting else []))


LOOP_REPEATS = 3
LOOP_TOKENS = 48
_LOOP_WINDOW = 4096


def ends_in_loop(token_ids: Sequence[int]) -> bool:
    """True when the last tokens repeat one block verbatim, at least 3 times and over at least 48 tokens.

    Looks at the last 4,096 tokens, in linear time: the prefix function of the reversed tail gives
    the smallest period of each of its prefixes (Knuth, Morris, Pratt).
    """
    tail = list(token_ids[-_LOOP_WINDOW:])[::-1]
    border = [0] * len(tail)
    for i in range(1, len(tail)):
        k = border[i - 1]
        while k and tail[i] != tail[k]:
            k = border[k - 1]
        border[i] = k + (tail[i] == tail[k])
        period = i + 1 - border[i]
        if i + 1 >= max(LOOP_TOKENS, LOOP_REPEATS * period):
            return True
    return False
