"""What a YAML names with `!function`: lm-eval then asks our questions and grades with our grader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reghar.tasks.problems import documents
from reghar.tasks.task import read_task


def problems(config_source: str, data_dir: str | None = None, **_metadata: object) -> dict[str, Any]:
    """`custom_dataset`: the task's rows as `reghar run` reads them, under the YAML's split.

    `config_source` is the path of the YAML, which lm-eval adds to the metadata. A data folder is given
    with `--metadata '{"data_dir": "DIR"}'`. Raises InputError like `reghar.tasks.load_problems`.
    """
    import datasets

    task = read_task(Path(config_source))
    return {task.dataset.split: datasets.Dataset.from_list(documents(task, data_dir))}
