"""What a stored run took: tokens, and the seconds and money of its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reghar.store.manifest import Session

if TYPE_CHECKING:
    import pyarrow as pa

TRACE_COLUMNS = ["length", "prompt_tokens", "given_tokens"]
ANSWER_COLUMNS = ["forced", "prompt_tokens", "cached_tokens", "dropped_tokens", "token_ids"]


def run_totals(traces: pa.Table, answers: pa.Table, sessions: Sequence[Session]) -> dict[str, float]:
    """Tokens and seconds that the run took, over all its settings and sessions.

    `traces` with `TRACE_COLUMNS`, `answers` with `ANSWER_COLUMNS`.
    """
    import pyarrow.compute as pc

    total = {
        "traces": traces.num_rows,
        "trace_tokens": _sum(traces["length"]) - _sum(traces["given_tokens"]),
        "trace_prompt_tokens": _sum(traces["prompt_tokens"]),
        "probes": _sum(pc.cast(answers["forced"], "int64")),
        "probe_prompt_tokens": _sum(answers["prompt_tokens"]),
        # Of the probes whose engine said how much of their prompt it found in its cache.
        "probe_prompt_tokens_counted": _sum(
            pc.if_else(pc.is_valid(answers["cached_tokens"]), answers["prompt_tokens"], 0)
        ),
        "probe_prompt_tokens_cached": _sum(answers["cached_tokens"]),
        "answer_tokens": _sum(pc.list_value_length(answers["token_ids"])),
        "dropped_tokens": _sum(answers["dropped_tokens"]),
    }
    seconds = sum(session.seconds or 0.0 for session in sessions)
    spent = [session.spent for session in sessions if session.spent is not None]
    return {**total, "seconds": round(seconds, 3)} | ({"spent": spent[-1]} if spent else {})


def _sum(column: Any) -> int:
    import pyarrow.compute as pc

    return pc.sum(column).as_py() or 0
