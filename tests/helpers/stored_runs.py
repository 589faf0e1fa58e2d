"""Stored runs to compare: made by the scripted engine on problems whose answer it can find."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reghar.cli import main
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes
from reghar.store.parts import write_part
from reghar.store.tables import SCORES, schemas

TASKS = {"amc23": 40, "aime24": 30}
BUDGETS = (0, 64, 128, 256, 512)
CORRECT = OUTCOMES.index(Outcome.CORRECT)
INCORRECT = OUTCOMES.index(Outcome.INCORRECT)


def write_data(folder: Path) -> Path:
    """Data files with answer 42, which the scripted engine gives once it has found it."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, count in TASKS.items():
        rows = [{"id": f"{task}-{i}", "problem": f"6 x 7? ({i})", "answer": "42"} for i in range(count)]
        (folder / f"{task}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def write_run(
    out: Path, data: Path, *, seed: int, samples: int = 8, budgets: tuple[int, ...] = BUDGETS, limit: int = 0
) -> Path:
    """A complete run of both tasks."""
    grid = ",".join(map(str, budgets))
    command = ["run", "--engine", "scripted", "--tasks", ",".join(TASKS), "--data-dir", str(data)]
    command += ["--samples", str(samples), "--budgets", grid, "--max-tokens", "700", "--frontier", "none"]
    command += ["--seed", str(seed), "--out", str(out), *(["--limit", str(limit)] if limit else [])]
    assert main(command) == 0
    return out


def worse_copy(run: Path, out: Path, *, share: float) -> Path:
    """The same run in which this share of the right answers are wrong."""
    shutil.copytree(run, out)
    scores = pd.concat([pd.read_parquet(part) for part in sorted((out / SCORES).glob("*.parquet"))])
    right = np.flatnonzero((scores["outcome"] == "correct").to_numpy())
    spoilt = np.random.default_rng(0).choice(right, size=int(share * right.size), replace=False)
    scores.iloc[spoilt, scores.columns.get_loc("outcome")] = "incorrect"
    shutil.rmtree(out / SCORES)
    budget = [None if pd.isna(one) else int(one) for one in scores["budget"]]
    rows = scores.assign(budget=pd.Series(budget, dtype=object, index=scores.index)).to_dict("records")
    write_part(out / SCORES, 1, rows, schemas()[SCORES])
    return out


def harder(run: StoredRun, task: str) -> TaskOutcomes:
    """A stored run's outcomes, problem i being right in ever fewer samples: unequal difficulty."""
    outcomes = run.outcomes(task)
    problems, samples, _ = outcomes.outcome.shape
    lost = np.arange(samples) < np.linspace(0, samples, problems)[:, None]
    outcome = np.where(lost[:, :, None] & (outcomes.outcome == CORRECT), INCORRECT, outcomes.outcome)
    full = np.where(lost & (outcomes.full == CORRECT), INCORRECT, outcomes.full)
    return replace(outcomes, outcome=outcome.astype(np.int8), full=full.astype(np.int8))


def resampled(outcomes: TaskOutcomes, samples: int, rng: np.random.Generator) -> TaskOutcomes:
    """Another run of the same model: for each problem, stored samples drawn with replacement."""
    problems, stored = outcomes.full.shape
    drawn = (np.arange(problems)[:, None], rng.integers(0, stored, size=(problems, samples)))
    names = (
        "outcome",
        "full",
        "length",
        "thinking_length",
        "finished",
        "looped",
        "thought",
        "thinking_closed",
    )
    return replace(outcomes, **{name: getattr(outcomes, name)[drawn] for name in names})


def three_runs(folder: Path, data: Path) -> dict[str, Path]:
    """Two runs of one method that differ in their seed, and one that is worse."""
    first = write_run(folder / "first", data, seed=1)
    return {
        "first": first,
        "second": write_run(folder / "second", data, seed=2),
        "worse": worse_copy(first, folder / "worse", share=0.3),
    }
