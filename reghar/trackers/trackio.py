"""trackio: https://huggingface.co/docs/trackio."""

from __future__ import annotations

from typing import Any

from reghar.trackers.record import Record


def send(record: Record, project: str, step: int | None) -> None:
    """One `log` of figures, tables and pictures; at a step into the run of that name, if there is one."""
    import trackio

    trackio.init(
        project=project,
        name=record.name,
        config=dict(record.about),
        resume="never" if step is None else "allow",
        embed=False,
        # The machine that writes a report says nothing about the one that made the run.
        auto_log_cpu=False,
        auto_log_gpu=False,
    )
    try:
        content: dict[str, Any] = dict(record.figures)
        content |= {name: trackio.Table(dataframe=table.frame) for name, table in record.tables.items()}
        content |= {name: trackio.Image(str(file)) for name, file in record.pictures.items()}
        trackio.log(content, step=step)
    finally:
        trackio.finish()
