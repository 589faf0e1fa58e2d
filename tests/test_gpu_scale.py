"""The simulation of a GPU, on vLLM's real scheduler, in its quick form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

pytestmark = pytest.mark.engine

STEP_BY_STEP = """
import json, sys
from gpu_sim.client import Policy, simulate
from gpu_sim.lengths import draw_lengths
from gpu_sim.prices import H100, QWEN3_4B, seconds

policy = Policy(concurrency=4, release="in-flight", priority=True)
for most in (1, 16):
    outcome = simulate(draw_lengths("gsm8k", 3, 2), 4000, policy, most_equal_steps=most)
    row = [outcome.steps[:, 0].sum(), outcome.trace_tokens, outcome.probe_cached_tokens, outcome.preempted]
    print("ROW", json.dumps([*row, seconds(outcome.steps, QWEN3_4B, H100).sum()]))
    print("CALLS", len(outcome.steps))
"""


def run_python(*arguments: str) -> str:
    """What a Python process of its own prints: the engine's libraries warn, which ends a test."""
    done = subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True, cwd=BENCHMARKS, timeout=280
    )
    return done.stdout


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """The table, and a row of counts a policy."""
    out = tmp_path_factory.mktemp("gpu") / "rows.jsonl"
    printed = run_python("gpu_scale.py", "--quick", "--json", str(out))
    return printed, [json.loads(line) for line in out.read_text().splitlines()]


def best(rows: list[dict[str, Any]], policy: str) -> dict[str, Any]:
    """The row of a policy, the last where it has several."""
    return [row for row in rows if row["policy"] == policy][-1]


def test_every_policy_draws_the_same_traces_and_asks_the_same_probes(
    quick: tuple[str, list[dict[str, Any]]],
) -> None:
    _, rows = quick
    assert len({row["trace_tokens"] for row in rows}) == 1
    assert {row["probes"] for row in rows if row["policy"] == "plain"} == {0}
    probes = {row["probes"] for row in rows if row["policy"] != "plain"}
    assert len(probes) == 1
    assert probes.pop() > 300


def test_where_kv_is_scarce_priority_keeps_prefixes_in_the_cache(
    quick: tuple[str, list[dict[str, Any]]],
) -> None:
    _, rows = quick
    first_come, priority = best(rows, "in flight"), best(rows, "in flight, priority")
    assert first_come["preempted"] > 0, "or nothing is scarce"
    assert priority["cached"] > first_come["cached"]
    assert priority["seconds"] < first_come["seconds"]


def test_the_defaults_keep_prefixes_where_waiting_would_lose_them(
    quick: tuple[str, list[dict[str, Any]]],
) -> None:
    _, rows = quick
    assert best(rows, "auto, late")["prefix_cached"] > best(rows, "together, priority, late")["prefix_cached"]


def test_shares_are_shares(quick: tuple[str, list[dict[str, Any]]]) -> None:
    _, rows = quick
    for row in rows:
        assert 0 <= row["cached"] <= row["prefix_cached"] <= 1


def test_the_table_has_a_line_a_policy(quick: tuple[str, list[dict[str, Any]]]) -> None:
    printed, rows = quick
    table = printed.partition("\n\n| policy")[2].partition("\n\n")[0].splitlines()
    assert len(table) == 2 + len(rows), "a header, and nothing printed between"
    assert len({line.count("|") for line in table[1:]}) == 1
    for title in ("Ratio to plain generation at its best", "The defaults under other prices"):
        assert len(printed.partition(f"**{title}**")[2].strip().partition("\n\n")[0].splitlines()) == 3


def test_equal_steps_at_once_are_exact_without_preemption() -> None:
    printed = run_python("-c", STEP_BY_STEP).splitlines()
    single, many = (json.loads(line[4:]) for line in printed if line.startswith("ROW"))
    calls = [int(line.split()[1]) for line in printed if line.startswith("CALLS")]
    assert single[3] == 0
    assert single[:4] == many[:4]
    assert many[4] == pytest.approx(single[4], rel=1e-9)
    assert calls[1] < calls[0] / 2, "several at once"
