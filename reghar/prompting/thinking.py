"""The thinking block: its delimiters, and where it stands among a response's token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reghar.protocol import Unclosed

FAMILIES: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3 and most others
    ("<|im_start|>think", "<|im_start|>answer"),  # s1 (arXiv 2501.19393, its chat format)
)
"""Delimiters of published families, in the order in which they are looked for."""


class Vocabulary(Protocol):
    """The part of a tokenizer that finding the delimiters needs."""

    def encode_text(self, text: str) -> list[int]:
        """Token ids of a text, no special tokens added."""

    def is_known(self, text: str) -> bool:
        """True when the chat template or the vocabulary holds this delimiter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delimiters:
    """How a model opens and closes its thinking block, as text and as token ids."""

    open: str
    close: str
    open_ids: tuple[int, ...]
    close_ids: tuple[int, ...]


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
        if given or vocabulary.is_known(closing):
            return Delimiters(
                open=opening,
                close=closing,
                open_ids=tuple(vocabulary.encode_text(opening)),
                close_ids=tuple(vocabulary.encode_text(closing)),
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
    tail = list(prompt_ids[-64:])
    opened = _find_last(tail, delimiters.open_ids)
    closed = _find_last(tail, delimiters.close_ids)
    return opened is not None and (closed is None or closed < opened)


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
        length = len(delimiters.close_ids)
        if self._end is None:
            self._end = find_sequence(ids, delimiters.close_ids, max(self._start, self._scanned))
            self._scanned = max(0, len(ids) - length + 1)
        after = len(ids) if self._end is None else self._end + length
        return Block(self._start, self._end, after)


def find_block(ids: Sequence[int], delimiters: Delimiters | None, *, opened: bool) -> Block:
    """The first thinking block of a whole response; see `BlockFinder`."""
    return BlockFinder(delimiters, opened=opened).find(ids)


_LEADING_TOKENS = 8
"""A model may write white space or a role name before it opens its thinking."""


def _opening(ids: Sequence[int], delimiters: Delimiters) -> int | None:
    head = ids[: _LEADING_TOKENS + len(delimiters.open_ids)]
    found = find_sequence(head, delimiters.open_ids)
    return None if found is None else found + len(delimiters.open_ids)


def _find_last(ids: Sequence[int], wanted: Sequence[int]) -> int | None:
    last, position = None, find_sequence(ids, wanted)
    while position is not None:
        last, position = position, find_sequence(ids, wanted, position + 1)
    return last


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
