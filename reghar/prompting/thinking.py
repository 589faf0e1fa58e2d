"""The thinking block: its delimiters, and where it stands among a response's token ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reghar.protocol import Unclosed

FAMILIES: tuple[tuple[str, str], ...] = (
    # DeepSeek-R1, Qwen3, GLM, Kimi K2, MiniMax M2, Nemotron, Hunyuan, Granite 4 and most others
    ("<think>", "</think>"),
    ("<|im_start|>think", "<|im_start|>answer"),  # s1 (arXiv 2501.19393, its chat format)
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    # gpt-oss (harmony): what is thought and what is said are messages of two channels
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<mm:think>", "</mm:think>"),  # MiniMax M3
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere Command A Reasoning
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi-VL Thinking
    ("Here is my thought process:", "Here is my response:"),  # Granite 3.2, in plain words
)
"""Delimiters of published families, in the order in which they are looked for."""


class Vocabulary(Protocol):
    """The part of a tokenizer that finding the delimiters needs."""

    def encode_text(self, text: str) -> list[int]:
        """Token ids of a text, no special tokens added."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens included."""

    def is_known(self, text: str) -> bool:
        """True when the chat template or the vocabulary holds this delimiter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delimiters:
    """How a model opens and closes its thinking block, as text and as token ids.

    A delimiter of one token is found among the ids. One of several is found in the text, since it
    tokenizes otherwise beside other text (`</think>` before a blank line), and mapped back: every
    token that spells a part of it belongs to it.
    """

    open: str
    close: str
    open_ids: tuple[int, ...]
    """As it tokenizes alone."""
    close_ids: tuple[int, ...]
    decode: Callable[[Sequence[int]], str] = field(repr=False, compare=False)

    def find_open(self, ids: Sequence[int]) -> tuple[int, int] | None:
        """(its first token, the first after it) of the opening delimiter; None where there is none."""
        return _find(ids, self.open, self.open_ids, self.decode, 0)

    def find_close(self, ids: Sequence[int], start: int) -> tuple[int, int] | None:
        """The same for the first closing delimiter at or after `start`."""
        return _find(ids, self.close, self.close_ids, self.decode, start)

    @property
    def longest_close(self) -> int:
        """Most tokens that can spell the closing delimiter."""
        return 1 if len(self.close_ids) == 1 else len(self.close.encode())


@dataclass(frozen=True, slots=True)
class Block:
    """A thinking block among the token ids of a response."""

    start: int | None
    """Index of the first token inside the block; None where there is no block."""
    end: int | None
    """Index of the first token of the closing delimiter; None while it is open or absent."""
    after: int
    """Index of the first token after the closing delimiter; 0 where there is no block."""

    @property
    def is_open(self) -> bool:
        """True when the block was opened and not closed."""
        return self.start is not None and self.end is None

    def is_open_at(self, cut: int) -> bool:
        """True when the response cut to its first `cut` tokens leaves the block open."""
        return self.start is not None and self.start <= cut and (self.end is None or self.after > cut)


def find_delimiters(vocabulary: Vocabulary, given: tuple[str, str] | None = None) -> Delimiters | None:
    """The delimiters of a model: those given, else the first published family that it knows, else None."""
    families = (given,) if given else FAMILIES
    for opening, closing in families:
        if given or vocabulary.is_known(closing) or vocabulary.is_known(opening):
            return Delimiters(
                open=opening,
                close=closing,
                open_ids=tuple(vocabulary.encode_text(opening)),
                close_ids=tuple(vocabulary.encode_text(closing)),
                decode=vocabulary.decode,
            )
    return None


def find_sequence(ids: Sequence[int], wanted: Sequence[int], start: int = 0) -> int | None:
    """Index of the first occurrence of `wanted` in `ids[start:]`; None where there is none."""
    if not wanted:
        return None
    wanted = list(wanted)
    while True:
        try:
            start = ids.index(wanted[0], start)  # the scan itself runs in C
        except ValueError:
            return None
        if list(ids[start : start + len(wanted)]) == wanted:
            return start
        start += 1


def opened_by_prompt(prompt_ids: Sequence[int], delimiters: Delimiters | None) -> bool:
    """True when the prompt's end leaves a thinking block open, as R1's chat template does."""
    if delimiters is None:
        return False
    tail = delimiters.decode(prompt_ids[-64:])
    return tail.rfind(delimiters.open) > tail.rfind(delimiters.close)


class BlockFinder:
    """Finds the first thinking block of a growing response, scanning every token once.

    Only a block at the start of the response counts: a delimiter that the model quotes in the
    middle of its answer opens nothing.
    """

    def __init__(self, delimiters: Delimiters | None, *, opened: bool) -> None:
        """`opened` says that the prompt left a thinking block open."""
        self._delimiters = delimiters
        self._start: int | None = 0 if opened and delimiters is not None else None
        self._end: int | None = None
        self._after = 0
        self._scanned = 0

    def find(self, ids: Sequence[int]) -> Block:
        """The block in the response so far; `ids` must begin with those of the call before."""
        delimiters = self._delimiters
        if delimiters is None:
            return Block(None, None, 0)
        if self._start is None:
            self._start = _opening(ids, delimiters)
        if self._start is None:
            return Block(None, None, 0)
        if self._end is None:
            found = delimiters.find_close(ids, max(self._start, self._scanned))
            self._scanned = max(0, len(ids) - delimiters.longest_close + 1)
            if found is not None:
                self._end, self._after = found
        return Block(self._start, self._end, len(ids) if self._end is None else self._after)


def find_block(ids: Sequence[int], delimiters: Delimiters | None, *, opened: bool) -> Block:
    """The first thinking block of a whole response; see `BlockFinder`."""
    return BlockFinder(delimiters, opened=opened).find(ids)


_LEADING_TOKENS = 8
"""A model may write white space or a role name before it opens its thinking."""


def _opening(ids: Sequence[int], delimiters: Delimiters) -> int | None:
    found = delimiters.find_open(ids[: _LEADING_TOKENS + len(delimiters.open_ids)])
    return None if found is None else found[1]


def _find(
    ids: Sequence[int], text: str, alone: Sequence[int], decode: Callable[[Sequence[int]], str], start: int
) -> tuple[int, int] | None:
    """(first token, first token after) of the first `text` in `ids[start:]`; None where there is none."""
    if len(alone) == 1:
        found = find_sequence(ids, alone, start)
        return None if found is None else (found, found + 1)
    window = ids[start:]
    spelt = decode(window)
    at = spelt.find(text)
    if at < 0:
        return None

    begins, ends = spelt[: at + 1], spelt[: at + len(text)]
    sizes = range(len(window))
    # A token may end within a character: its text is then longer, though it does not yet begin like that.
    first = bisect_left(sizes, len(begins), key=lambda n: len(decode(window[:n])))
    after = bisect_left(sizes, True, key=lambda n: decode(window[:n]).startswith(ends))
    return start + first - 1, start + after


def answer_start(block: Block, *, opened: bool, finished: bool, unclosed: Unclosed) -> int | None:
    """Index of the first token of what a response itself answers; None where it answers nothing.

    That is all after its thinking. A finished response that never closed a block which the prompt opened
    is its own answer under `grade`: models trained with a length reward answer easy problems that way.
    `opened` says that the prompt left a block open, `finished` that the model ended the response.
    """
    if not block.is_open:
        return block.after
    return 0 if opened and finished and unclosed == "grade" else None


def cut_position(token_ids: Sequence[int], block: Block, budget: int, counts: str) -> int | None:
    """Where a response is cut at `budget` tokens: an index into `token_ids`, or None if it is within.

    `counts` is `response` or `thinking` (s1: only tokens inside the thinking block count, so the
    answer part is free). Used on a growing response as well: an index once given never changes.
    """
    if counts == "response":
        return budget if len(token_ids) > budget else None
    if block.start is None:
        return None
    end = len(token_ids) if block.end is None else block.end
    return block.start + budget if end - block.start > budget else None


def text_after_thinking(text: str, delimiters: tuple[str, str] | None, *, open_at_start: bool) -> str | None:
    """The text after a response's last thinking block; None where a block is open at its end.

    For responses that come without token ids, as lm-eval's do; a run's own are read by `find_block`.
    `delimiters` open and close the block (None: the model has none); `open_at_start` says that the
    prompt left it open.
    """
    if delimiters is None:
        return text
    opening, closing = delimiters
    end = text.rfind(closing)
    if end == -1:
        return None if open_at_start or opening in text else text
    rest = text[end + len(closing) :]
    return None if opening in rest else rest
