"""A complete protocol, for tests that write a run, a report or a frontier by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def task_settings(problems: Sequence[str] = ("p",), **changes: Any) -> dict[str, Any]:
    """What a task contributes, as in `run.json`."""
    return {
        "version": "1",
        "kind": "integer",
        "tolerance": 1e-4,
        "fallback": None,
        "problem_ids": list(problems),
        "problems_sha256": "0" * 64,
        "of_problems": len(problems),
        "samples": 1,
    } | changes


def protocol_settings(
    tasks: Mapping[str, dict[str, Any]] | None = None, budgets: Sequence[int] = (0, 64), **changes: Any
) -> dict[str, Any]:
    """A protocol, as in `run.json`; `changes` replace whole parts of it."""
    return {
        "tasks": dict(tasks or {"made": task_settings()}),
        "budgets": list(budgets),
        "budget_counts": "response",
        "sampling": {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "min_p": 0.0, "max_tokens": 32_768},
        "probe": {"name": "reo-rl", "text": "\\[ \\boxed{", "temperature": 0.6, "max_answer_tokens": 64},
        "prompt": {"template": "{problem}", "system": None, "arguments": {}, "thinking": None},
        "tokens": "ids",
        "grader": "1",
        "integration": "trapezoid",
        "control": {"method": "force"},
        "version": 1,
    } | changes
