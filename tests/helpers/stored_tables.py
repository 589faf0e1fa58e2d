"""What a run folder holds, in an order that does not depend on how the run went."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pandas as pd

from reghar.store.parts import part_numbers

TABLES = ("traces", "answers", "scores")


def tables(path: Path) -> dict[str, pd.DataFrame]:
    """Every table, sorted by its key."""
    frames = {name: pd.read_parquet(path / name) for name in TABLES}
    keys = ["task", "problem", "sample"]
    return {
        name: frame.sort_values(keys + ["budget"] * ("budget" in frame), ignore_index=True)
        for name, frame in frames.items()
    }


def assert_same(path: Path, expected: dict[str, pd.DataFrame]) -> None:
    """Fails unless the run holds these tables and nothing else."""
    stored = tables(path)
    for name in TABLES:
        pd.testing.assert_frame_equal(stored[name], expected[name])


def wait_for_part(process: subprocess.Popen[str], out: Path, seconds: float) -> None:
    """Until the run has stored something; fails if it ends before."""
    deadline = time.monotonic() + seconds
    while not part_numbers(out / "answers") and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[1]
