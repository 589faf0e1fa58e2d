"""Ignoring the end of thinking: where a trace would have stopped to think (s1 section 3.1, SPEC 8)."""

from __future__ import annotations

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
