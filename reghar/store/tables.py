"""The three tables of a run: column names and types, and the records as rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reghar.generation.records import ForcedAnswer, Trace
from reghar.grading.scores import Score

if TYPE_CHECKING:
    import pyarrow as pa

TRACES, ANSWERS, SCORES = "traces", "answers", "scores"
KEY = ("task", "problem", "sample")
"""Columns that say which trace of one setting a row belongs to; `setting` says which setting."""


def schemas() -> dict[str, pa.Schema]:
    """Column names and types of the three tables; the records' docstrings say what they mean."""
    import pyarrow as pa

    key = [
        pa.field("task", pa.string(), nullable=False),
        pa.field("problem", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("setting", pa.string()),
    ]
    return {
        TRACES: pa.schema(
            [
                *key,
                pa.field("seed", pa.int64()),
                pa.field("prompt_tokens", pa.int32()),
                pa.field("length", pa.int32()),
                pa.field("thinking_length", pa.int32()),
                pa.field("finished", pa.bool_()),
                pa.field("looped", pa.bool_()),
                pa.field("thinking_opened", pa.bool_()),
                pa.field("thinking_start", pa.int32()),
                pa.field("thinking_end", pa.int32()),
                pa.field("given_tokens", pa.int32()),
                pa.field("countdown", pa.int32()),
                pa.field("reported_length", pa.int32()),
                pa.field("withheld", pa.string()),
                pa.field("text", pa.string()),
                pa.field("token_ids", pa.list_(pa.int32())),
            ]
        ),
        ANSWERS: pa.schema(
            [
                *key,
                pa.field("budget", pa.int32()),
                pa.field("forced", pa.bool_()),
                pa.field("seed", pa.int64()),
                pa.field("prompt_tokens", pa.int32()),
                pa.field("cached_tokens", pa.int32()),
                pa.field("dropped_tokens", pa.int32()),
                pa.field("answer_logprob", pa.float32()),
                pa.field("answer_tokens_scored", pa.int32()),
                pa.field("withheld", pa.string()),
                pa.field("text", pa.string()),
                pa.field("token_ids", pa.list_(pa.int32())),
            ]
        ),
        SCORES: pa.schema(
            [
                *key,
                pa.field("budget", pa.int32()),
                pa.field("outcome", pa.string()),
                pa.field("answer", pa.string()),
            ]
        ),
    }


def trace_row(trace: Trace) -> dict[str, Any]:
    """A trace as a row of `traces/`."""
    row = asdict(trace)
    return row | {
        "length": trace.length,
        "thinking_length": trace.thinking_length,
        "text": _storable(trace.text),
    }


def answer_row(answer: ForcedAnswer) -> dict[str, Any]:
    """An answer as a row of `answers/`."""
    row = asdict(answer)
    return row | {"text": None if answer.text is None else _storable(answer.text)}


def score_row(score: Score) -> dict[str, Any]:
    """A score as a row of `scores/`."""
    row = asdict(score)
    return row | {
        "outcome": str(score.outcome),
        "answer": None if score.answer is None else _storable(score.answer),
    }


def _storable(text: str) -> str:
    """Parquet holds UTF-8: lone surrogates, which a model can spell, become U+FFFD."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
