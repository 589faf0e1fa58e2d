"""How many tokens a budget's answer takes, and how many are written in all (definitions: Wrap-ups)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reghar.store import StoredRun
from reghar.store.tables import KEY

Counts = NDArray[np.int64]


def written_tokens(run: StoredRun, task: str) -> tuple[Counts, Counts]:
    """Shapes (P, n, B): tokens of the answer, and of all that is written: thinking, wrap-up and answer.

    Of a trace that was not cut the answer is what follows its thinking, closing delimiter included; 0 where
    the thinking never ended. The run is complete.
    """
    answers = run.answers[run.answers["task"] == task]
    traces = run.traces[[*KEY, "length", "prompt_tokens", "thinking_start", "thinking_end"]]
    rows = answers.merge(traces, on=list(KEY), suffixes=("", "_of_trace"), how="left", validate="m:1")
    forced = rows["forced"].to_numpy(bool)
    completion = rows["token_ids"].map(len).to_numpy(np.int64)
    length = rows["length"].to_numpy(np.int64)
    thought = rows["thinking_start"].notna().to_numpy(bool)
    end = rows["thinking_end"].fillna(-1).to_numpy(np.int64)
    own = np.where(thought, np.where(end < 0, 0, length - end), length)
    # What the model was sent beyond the trace's prompt is the cut trace and the wrap-up.
    sent = (rows["prompt_tokens"] - rows["prompt_tokens_of_trace"]).to_numpy(np.int64)
    sent += rows["dropped_tokens"].to_numpy(np.int64)
    places = run.spread(task, np.arange(len(rows)))
    return np.where(forced, completion, own)[places], np.where(forced, sent + completion, length)[places]
