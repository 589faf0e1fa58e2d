"""From stored scores to a full report: seconds and memory.

    python benchmarks/reporting.py [--problems 500] [--samples 32]

Writes a synthetic run of 500 problems x 32 samples x 32 budgets (the `reg` grid) with the store's own
writer, then reports on it in a process of its own, as `reghar report` would, with 10,000 bootstrap
replicates. Asked for: at most 10 s and 1.5 GB. Traces are stored without their tokens, which no
report reads; every trace is longer than the last budget, so that all 512,000 scores are stored.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from reghar.budgets import REG_GRID
from reghar.frontiers.frontier import Frontier, FrontierSource, TaskFrontier, points_sha256, write_frontier
from reghar.grading.outcome import OUTCOMES
from reghar.store.manifest import write_json
from reghar.store.parts import write_part
from reghar.store.tables import ANSWERS, SCORES, TRACES, schemas

TASK = "synthetic"
MAX_TOKENS = 32_768


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.report is not None:
        return report(arguments.report)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_run(run, arguments.problems, arguments.samples)
        write_frontier(make_frontier(arguments.problems), run.parent / "frontier.json")
        command = [sys.executable, __file__, "--report", str(run)]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        gigabytes = used.ru_maxrss / 2**20
        size = (run / "report.json").stat().st_size / 1024
    pairs = f"{arguments.problems} x {arguments.samples} x {len(REG_GRID)}"
    print(
        f"{pairs}: {seconds:.1f} s and {gigabytes:.2f} GiB for the whole process; report.json {size:.0f} KiB"
    )
    if seconds > 10 or gigabytes > 1.5:
        print("slower or larger than 10 s and 1.5 GB")
        return 1
    return 0


def report(path: Path) -> int:
    """What `reghar report` does, step by step with its time."""
    from reghar.report import terminal
    from reghar.report.build import build_report
    from reghar.report.write import write_report
    from reghar.store import load_run

    clock = time.perf_counter()
    run = load_run(path)
    run.outcomes(TASK)
    clock = _said("outcomes as arrays", clock)
    built = build_report(run, frontier=str(path.parent / "frontier.json"))
    clock = _said("measures, intervals, cost", clock)
    page = write_report(built, path)
    clock = _said("json, markdown, figures", clock)
    terminal.summary(built, page)
    return 0


def _said(what: str, since: float) -> float:
    print(f"  {what}: {time.perf_counter() - since:.2f} s", flush=True)
    return time.perf_counter()


def write_run(path: Path, problems: int, samples: int) -> None:
    """A complete run in which longer thinking finds more answers; a part holds 50 problems."""
    ids = [f"p{i:05d}" for i in range(problems)]
    write_json(path / "run.json", manifest(ids, samples))
    tables = schemas()
    rng = np.random.default_rng(0)
    for number, start in enumerate(range(0, problems, 50), start=1):
        traces: list[dict[str, Any]] = []
        answers: list[dict[str, Any]] = []
        scores: list[dict[str, Any]] = []
        for problem in ids[start : start + 50]:
            chance = rng.beta(1.5, 1.0)
            for sample in range(samples):
                add_trace(
                    rng, chance, {"task": TASK, "problem": problem, "sample": sample}, traces, answers, scores
                )
        for table, rows in ((TRACES, traces), (ANSWERS, answers), (SCORES, scores)):
            write_part(path / table, number, rows, tables[table])


def add_trace(
    rng: np.random.Generator,
    chance: float,
    key: dict[str, Any],
    traces: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    scores: list[dict[str, Any]],
) -> None:
    """One trace with its answers and scores: right from some budget on, or never."""
    length = min(int(rng.uniform(1.0, 2.2) * REG_GRID[-1]) + 1, MAX_TOKENS)
    settled = rng.lognormal(8.0, 0.9) if rng.random() < chance else np.inf
    finished = length < MAX_TOKENS
    traces.append(
        key
        | {
            "seed": 0,
            "prompt_tokens": 120,
            "length": length,
            "thinking_length": length,
            "finished": finished,
            "looped": not finished,
            "thinking_opened": True,
            "thinking_start": 0,
            "thinking_end": length if finished else None,
            "text": "",
            "token_ids": [],
        }
    )
    for budget in (*(budget for budget in REG_GRID if budget < length), None):
        forced = budget is not None
        at = length if budget is None else budget
        wrong = int(rng.choice([1, 1, 1, 1, 1, 2, 3, 4]))
        answers.append(
            key
            | {
                "budget": budget,
                "forced": forced,
                "seed": 0,
                "prompt_tokens": 150 + at if forced else 0,
                "cached_tokens": 16 * ((120 + at) // 16) if forced else 0,
                "dropped_tokens": 0,
                "text": "42}",
                "token_ids": [220, 19, 17, 92] if forced else [],
            }
        )
        outcome = OUTCOMES[0] if at >= settled else OUTCOMES[wrong]
        scores.append(key | {"budget": budget, "outcome": str(outcome), "answer": "42"})


def make_frontier(problems: int) -> Frontier:
    """A frontier that the run falls short of."""
    accuracy = tuple(float(0.7 * budget / (budget + 1500)) for budget in REG_GRID)
    tasks = {TASK: TaskFrontier(budgets=REG_GRID, accuracy=accuracy, samples=32, problems=problems)}
    return Frontier(
        schema="reghar.frontier/1",
        base_model="synthetic",
        protocol="unverified",
        source=FrontierSource(citation="made up", address="none", date="2026"),
        sha256=points_sha256(tasks),
        tasks=tasks,
    )


def manifest(ids: list[str], samples: int) -> dict[str, Any]:
    """As much of `run.json` as a report reads."""
    task = {"problem_ids": ids, "of_problems": len(ids), "samples": samples}
    protocol = {
        "tasks": {TASK: task},
        "budgets": list(REG_GRID),
        "budget_counts": "response",
        "sampling": {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "min_p": 0.0, "max_tokens": MAX_TOKENS},
        "probe": {"name": "reo-rl", "text": "", "temperature": 0.6, "max_answer_tokens": 64},
    }
    return {
        "model": "synthetic",
        "digest": "0" * 64,
        "protocol": protocol,
        "frontier": "none",
        "interval": "problems",
        "notes": [],
        "sessions": [{"seconds": 3600.0}],
    }


if __name__ == "__main__":
    sys.exit(main())
