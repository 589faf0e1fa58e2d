"""Ignoring the end of thinking: what a continued trace begins with, and how it goes on (s1 section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from reghar.engines.base import FinishReason
from reghar.thinking import Delimiters
from reghar.traces import Trace


def ignorable_end(trace: Trace) -> int | None:
    """Index of the first token that goes when the end of a trace's thinking is ignored; None for no end.

    That is where the closing delimiter begins, or the end of the response where the model ended it
    inside the thinking, or has no thinking block: then all of it is its thinking. A trace that hit
    `max_tokens` before any of these has no end to ignore.
    """
    if trace.thinking_end is not None:
        return trace.thinking_end
    return len(trace.token_ids) if trace.finished else None


def beginning(
    base: Trace | None, appended: Sequence[int], max_tokens: int
) -> tuple[list[int], FinishReason | None]:
    """The tokens that a response begins with, and its end where nothing is left to generate.

    A new one (no `base`) begins with nothing; one that continues a trace with that trace up to the end
    of its thinking, and the tokens of the string in the place of this end. A trace without an end to
    ignore stands as it is.
    """
    if base is None:
        return [], None
    end = ignorable_end(base)
    if end is None:
        return list(base.token_ids), "stop" if base.finished else "length"
    given = [*base.token_ids[:end], *appended]
    return given[:max_tokens], "length" if len(given) >= max_tokens else None


def bars(base: Trace | None, appended: str, delimiters: Delimiters | None) -> list[tuple[int, ...]]:
    """The requests of a trace, each as the token ids that are barred from it: one, or none at all.

    Where an end is ignored without a string, a request for one token goes first with the delimiter
    barred, or greedy decoding would write it again.
    """
    if base is None or appended or delimiters is None:
        return [()]
    return [delimiters.close_ids[:1], ()]
