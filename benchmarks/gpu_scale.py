"""What a curve costs on a GPU beside plain generation at its best, simulated without one.

    python benchmarks/gpu_scale.py [SCENARIO ...] [--quick] [--json FILE]

vLLM's own scheduler, KV cache manager and requests (the CPU wheel will do) do what they would do on the card;
the steps that they make are priced afterwards. `docs/gpu.md` has the table and what it cannot say.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu_sim.engine import BLOCK
from gpu_sim.prices import QWEN3_4B, RTX_4090, blocks
from gpu_sim.table import DEFAULT, SCENARIOS, Row, Scenario, overview, render, rows, sensitivity

QUICK = Scenario(
    model=QWEN3_4B,
    card=replace(RTX_4090, memory=QWEN3_4B.resident_bytes + 8_000 * QWEN3_4B.kv_bytes),
    kind="gsm8k",
    samples=1,
    plain=(8, 16),
    concurrency=16,
)
"""Thirty short traces on a card whose KV cache holds 8,000 tokens: scarce, and simulated in seconds."""
QUICK_ROWS = ("plain", "in flight", "in flight, priority", "together, priority, late", DEFAULT)


def main() -> None:
    """Simulates and prints one scenario after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(SCENARIOS)} (default all)"
    )
    parser.add_argument("--quick", action="store_true", help="a small scenario, in seconds")
    parser.add_argument("--json", metavar="FILE", help="write what was counted, a line a row")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"unknown scenario {min(unknown)!r}; known: {', '.join(SCENARIOS)}")
    names = arguments.scenarios or list(SCENARIOS)
    chosen = {"quick": QUICK} if arguments.quick else {name: SCENARIOS[name] for name in names}
    results = {}
    for name, scenario in chosen.items():
        with _quiet():
            found = list(rows(scenario, only=QUICK_ROWS if arguments.quick else ()))
        results[name] = scenario, found
        kv_tokens = (blocks(scenario.model, scenario.card) - 1) * BLOCK
        tokens = found[0].outcome.trace_tokens
        print(f"\n**{name}**: {tokens / 1e6:.2f} M trace tokens, KV cache of {kv_tokens:,} tokens\n")
        print(*render(scenario, found), sep="\n", flush=True)
    print("\n**Ratio to plain generation at its best**\n", *overview(results), sep="\n")
    print("\n**The defaults under other prices**\n", *sensitivity(results), sep="\n")
    if arguments.json:
        lines = (
            json.dumps({"scenario": name, **_counts(scenario, row)}) + "\n"
            for name, (scenario, found) in results.items()
            for row in found
        )
        Path(arguments.json).write_text("".join(lines), encoding="utf-8")


def _counts(scenario: Scenario, row: Row) -> dict[str, Any]:
    outcome = row.outcome
    return {
        "policy": row.label,
        "concurrency": outcome.concurrency,
        "seconds": row.seconds(scenario.model, scenario.card),
        "trace_tokens": outcome.trace_tokens,
        "preempted": outcome.preempted,
        "recomputed": outcome.dropped,
        "probes": outcome.probes,
        "cached": row.cached,
        "prefix_cached": row.prefix_cached,
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """vLLM prints what it thinks of this machine's CPU to the terminal, a few lines a scheduler."""
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        # By number, since some of it comes from compiled code; standard error stays, for what goes wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


if __name__ == "__main__":
    main()
