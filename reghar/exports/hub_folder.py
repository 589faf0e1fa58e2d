"""A run as a folder that is ready to be a data set on the Hugging Face hub.

```
README.md            the card: what was measured, the figures, how to read the tables
data/*.parquet       problems, traces, answers, scores
report.json          every figure; curves.png, the picture
.eval_results/*.yaml a task each, for the model's own repository
```

Nothing that its authors ask to keep out of plain text goes in: of a task marked `private` the tables have
ids, lengths and outcomes, but neither questions nor anything that a model wrote about them. Nor do host,
paths and server addresses of `run.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from reghar.errors import InputError
from reghar.report.build import build_report
from reghar.report.markdown import report_markdown
from reghar.report.schema import Report
from reghar.report.text import model_name
from reghar.report.write import write_curves
from reghar.store import StoredRun
from reghar.store.parts import write_aside
from reghar.store.problems import read_problems
from reghar.store.tables import ANSWERS, SCORES, TRACES
from reghar.tasks import Task, load_task

if TYPE_CHECKING:
    import pyarrow as pa

PROBLEMS = "problems"
WITHHELD = {
    PROBLEMS: ("question", "gold", "choices"),
    TRACES: ("text", "token_ids"),
    ANSWERS: ("text", "token_ids"),
    SCORES: ("answer",),
}
"""Columns that are null for a private task, by table."""


def write_hub_folder(run: StoredRun, folder: Path) -> None:
    """Writes the folder, which must be empty or not there.

    Raises InputError for one that holds something, and for an incomplete run; StorageError where it cannot be
    written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--hub {folder}: it is there and not empty; give another folder")
    run.require_complete()
    report = build_report(run, frontier=run.manifest.frontier, interval=run.manifest.interval)
    tasks = {name: _task(run, name) for name in run.tasks}
    private = [name for name, task in tasks.items() if task is None or task.private]
    for name, table in _tables(run):
        _write_parquet(folder / "data" / f"{name}.parquet", _without(table, WITHHELD[name], private))
    (picture, *_) = write_curves(report, folder)
    _write(folder / "report.json", report.to_json())
    for name, task in tasks.items():
        if task is not None and (entry := _result(run, report, task)) is not None:
            _write(folder / ".eval_results" / f"{name}.yaml", _yaml([entry]))
    _write(folder / "README.md", _card(run, report, picture.name, private))


def _task(run: StoredRun, name: str) -> Task | None:
    """The task as its file has it today; None where the file is gone, so that nothing is known of it."""
    try:
        return load_task(name, run.manifest.settings.get("include_paths", ()))
    except InputError:
        return None


def _tables(run: StoredRun) -> Iterator[tuple[str, pa.Table]]:
    import pyarrow as pa

    problems = [
        {"task": one.task, "problem": one.id, "question": one.question}
        | {"gold": list(one.gold), "choices": list(one.choices)}
        for one in read_problems(run.path)
    ]
    texts = pa.list_(pa.string())
    schema = {"task": pa.string(), "problem": pa.string(), "question": pa.string()}
    yield PROBLEMS, pa.Table.from_pylist(problems, pa.schema({**schema, "gold": texts, "choices": texts}))
    for name in (TRACES, ANSWERS, SCORES):
        yield name, run.table(name)


def _without(table: pa.Table, columns: tuple[str, ...], private: list[str]) -> pa.Table:
    """The table with these columns null in the rows of private tasks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    hidden = pc.is_in(table["task"], value_set=pa.array(private, pa.string()))
    for name in columns:
        kind = table.schema.field(name).type
        kept = pc.if_else(hidden, pa.scalar(None, kind), table[name])
        table = table.set_column(table.schema.get_field_index(name), pa.field(name, kind), kept)
    return table


def _result(run: StoredRun, report: Report, task: Task) -> dict[str, Any] | None:
    """One entry of the hub's `.eval_results`; None where the whole of a hub's data set was not asked."""
    planned, path = run.protocol.tasks[task.name], task.dataset.path
    if path is None or "/" not in path or len(planned.problem_ids) < planned.of_problems:
        return None
    found = report.tasks[task.name].measure("accuracy_full")
    if found is None or found.value is None:
        return None
    dataset = {"id": path, "task_id": task.dataset.name or "default"}
    from_file = run.manifest.settings.get("data_dir") is not None
    if task.dataset.revision is not None and not from_file:
        dataset["revision"] = task.dataset.revision
    notes = (
        f"avg@{planned.samples}, at most {run.protocol.sampling.max_tokens} tokens, reghar {run.digest[:12]}"
    )
    entry = {"dataset": dataset, "value": round(100 * found.value, 2)}
    if run.manifest.end is not None:
        entry["date"] = run.manifest.end
    return entry | {"notes": f"{notes}, problems from a file" if from_file else notes}


def _card(run: StoredRun, report: Report, picture: str, private: list[str]) -> str:
    tables = (PROBLEMS, TRACES, ANSWERS, SCORES)
    head = {
        "pretty_name": f"{model_name(run.model)}: accuracy by token budget",
        "tags": ["reghar", "evaluation", "reasoning"],
        "configs": [
            {"config_name": name, "data_files": f"data/{name}.parquet", "default": name == SCORES}
            for name in tables
        ],
    }
    page = report_markdown(report, (picture,))
    hidden = (
        f"The authors of {', '.join(private)} ask that its examples stay out of plain text, or nothing is "
        "known of it here: its questions, and what the model wrote about them, are left out.\n\n"
        if private
        else ""
    )
    return (
        f"---\n{_yaml(head)}---\n{page}\n## These tables\n\n"
        '`datasets.load_dataset(FOLDER_OR_NAME, "scores")`, or `"problems"`, `"traces"`, `"answers"`: a row '
        "per problem, response, answer at a budget, and verdict (`budget` is null for a response's own "
        "answer). "
        f"`report.json` has every figure. Protocol: `{run.digest}`.\n\n{hidden}"
        "The files of `.eval_results` belong into the model's own repository, where the hub shows them.\n"
    )


def _yaml(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _write(path: Path, text: str) -> None:
    write_aside(path, lambda file: file.write(text.encode("utf-8")))


def _write_parquet(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    write_aside(path, lambda file: pq.write_table(table, file, compression="zstd"))
