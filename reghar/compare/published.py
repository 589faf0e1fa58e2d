"""Figures that a paper printed, beside one's own runs: tables 1 and 3 of REG (arXiv 2506.07104).

Rows whose own arithmetic does not hold as printed are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reghar.errors import InputError
from reghar.measures.reg import change

NOTE = "published, avg@32, probe sampling and grader unknown"
"""What stands beside every use of these figures."""
_FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One method of the paper on one task, or averaged over tasks; without intervals."""

    task: str
    method: str
    accuracy: float
    """Fraction, 0..1."""
    mean_length: float
    """Tokens."""
    reg: float
    """Tokens, against the paper's frontier: as printed, or the baseline's x (1 + the printed change)."""
    change: float | None
    """REG against the paper's baseline, as a fraction of it; on average the change of the averages."""
    baseline: str
    """The method that the paper compares with."""


def published_rows(base_model: str, tasks: Sequence[str], *, average: str) -> tuple[PublishedRow, ...]:
    """The paper's methods on these tasks, and their plain mean as `average` where there are several.

    Raises InputError for a base model or a task that the paper does not have.
    """
    known = json.loads(_FILE.read_text(encoding="utf-8"))["base_models"]
    if base_model not in known:
        raise InputError(f"nothing is published for {base_model!r}: choose among {', '.join(known)}")
    baseline, methods = known[base_model]["baseline"], known[base_model]["methods"]
    base = methods[baseline]
    if unknown := [task for task in tasks if task not in base]:
        raise InputError(
            f"nothing is published on {', '.join(unknown)}: compare runs on {', '.join(base)} alone"
        )
    groups = [(task, [task]) for task in tasks]
    if len(tasks) > 1:
        groups.append((average, list(tasks)))
    return tuple(
        _row(name, method, baseline, of, figures, base)
        for name, of in groups
        for method, figures in methods.items()
    )


def _row(
    name: str,
    method: str,
    baseline: str,
    tasks: Sequence[str],
    figures: Mapping[str, Any],
    base: Mapping[str, Any],
) -> PublishedRow:
    regs = [_reg(figures[task], base[task]) for task in tasks]
    reg, against = float(np.mean(regs)), float(np.mean([base[task]["reg"] for task in tasks]))
    return PublishedRow(
        task=name,
        method=method,
        accuracy=float(np.mean([figures[task]["accuracy"] for task in tasks])),
        mean_length=float(np.mean([figures[task]["mean_length"] for task in tasks])),
        reg=reg,
        change=None if method == baseline else change(reg, against).relative,
        baseline=baseline,
    )


def _reg(figures: Mapping[str, float], base: Mapping[str, float]) -> float:
    if "reg" in figures:
        return figures["reg"]
    return base["reg"] * (1 + figures["reg_change_percent"] / 100)
