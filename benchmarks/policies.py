"""Which budget to serve with, stopping policies, allocation and oracle: seconds and memory.

    python benchmarks/policies.py [--problems 500] [--samples 32]

Everything that `reghar recommend` and `reghar policies` compute from outcomes, on the `reg` grid of 32
budgets with 10,000 bootstrap replicates, for made-up traces that settle at some budget or never. Asked for:
at most 20 s and 2 GB. Reading a run and comparing its answers (the grader's work) are not in it.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reghar.budgets import REG_GRID
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.measures.policies import Answers
from reghar.measures.policies_of_run import task_policies
from reghar.measures.scaling import RIGHT
from reghar.measures.serving import serving_of
from reghar.store.outcomes import TaskOutcomes


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=32)
    arguments = parser.parse_args()
    answers = made_up(arguments.problems, arguments.samples)
    seconds = timed("the budget to serve with", lambda: serving_of([answers.outcomes]))
    seconds += timed("policies, allocation, oracle", lambda: task_policies(answers))
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pairs = f"{arguments.problems} x {arguments.samples} x {len(REG_GRID)}"
    print(f"{pairs}: {seconds:.1f} s and {gigabytes:.2f} GiB")
    if seconds > 20 or gigabytes > 2:
        print("slower or larger than 20 s and 2 GB")
        return 1
    return 0


def timed(what: str, work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"{what}: {seconds:.1f} s")
    return seconds


def made_up(problems: int, samples: int) -> Answers:
    """Traces of 200 to 32,000 tokens, right from a drawn share of their length on, or never."""
    rng = np.random.default_rng(0)
    shape, budgets = (problems, samples), np.array(REG_GRID, dtype=np.int64)
    length = np.exp(rng.uniform(np.log(200), np.log(32_000), size=shape)).astype(np.int64)
    solves = rng.random(shape) < rng.beta(0.6, 0.5, size=(problems, 1))
    settled = length * rng.uniform(0.2, 1.0, size=shape)
    right = solves[..., None] & (budgets >= settled[..., None])
    guesses = rng.integers(RIGHT + 1, RIGHT + 6, size=right.shape)
    everywhere = np.ones(shape, dtype=bool)
    codes = [OUTCOMES.index(Outcome.INCORRECT), OUTCOMES.index(Outcome.CORRECT)]
    outcomes = TaskOutcomes(
        task="synthetic",
        problems=tuple(f"p{i}" for i in range(problems)),
        budgets=budgets,
        outcome=np.array(codes, dtype=np.int8)[right.astype(int)],
        full=np.array(codes, dtype=np.int8)[solves.astype(int)],
        length=length,
        thinking_length=length,
        finished=everywhere,
        looped=~everywhere,
        thought=everywhere,
        thinking_opened=~everywhere,
        thinking_closed=everywhere,
    )
    over = length[..., None] <= budgets
    return Answers(
        outcomes=outcomes,
        groups=np.where(right, RIGHT, guesses),
        tokens=np.where(over, 0, 12),
        confidence=np.where(over, np.nan, -rng.exponential(0.3, size=right.shape)),
    )


if __name__ == "__main__":
    raise SystemExit(main())
