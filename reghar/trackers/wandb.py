"""Weights & Biases: https://docs.wandb.ai. `WANDB_MODE=offline` keeps the record on this machine."""

from __future__ import annotations

import re
from typing import Any

from reghar.trackers.record import Record

STEP = "step"
"""The x axis of every chart, where there is a step: wandb's own only grows, and checkpoints may be
evaluated in any order."""


def send(record: Record, project: str, step: int | None) -> None:
    """One `log` of figures, tables and pictures; at a step into the run of that name, if there is one."""
    import wandb

    joined: dict[str, Any] = {}
    if step is not None:
        # A checkpoint's model is another, its protocol the same.
        joined = {"id": re.sub(r"[^\w-]", "-", record.name), "resume": "allow", "allow_val_change": True}
    with wandb.init(
        project=project, name=record.name, job_type="evaluation", config=dict(record.about), **joined
    ) as run:
        content: dict[str, Any] = dict(record.figures)
        content |= {name: wandb.Table(dataframe=table.frame) for name, table in record.tables.items()}
        content |= {name: wandb.Image(str(file)) for name, file in record.pictures.items()}
        if step is not None:
            run.define_metric("*", step_metric=STEP)
            content[STEP] = step
        run.log(content)
