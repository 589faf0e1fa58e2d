"""The raw rows behind a task: a JSON-lines file, the Hugging Face hub, or a function beside the YAML."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reghar.errors import InputError
from reghar.tasks.config import FunctionReference
from reghar.tasks.task import Dataset, Task

Row = Mapping[str, Any]


def read_rows(task: Task, data_dir: Path | None = None) -> list[Row]:
    """All rows of the task, in order: from `data_dir/<task>.jsonl[.gz]` if given, else from its data set.

    Raises InputError, one line, where they cannot be had or there are none.
    """
    if data_dir is not None:
        rows: list[Row] = read_json_lines(_data_file(task, data_dir))
        return rows
    rows = list(_dataset_rows(task))
    if task.process_docs is not None:
        rows = list(task.process_docs.resolve()(_as_dataset(rows)))
    if not rows:
        raise InputError(f"task {task.name}: its data set has no rows in the split {task.dataset.split!r}")
    return rows


def read_json_lines(path: Path) -> list[Row]:
    """The objects of a JSON-lines file, plain or gzip; blank lines are passed over.

    Raises InputError, one line, naming the file and the line, where it cannot be read or holds none.
    """
    rows = [_object(line, path, number) for number, line in enumerate(_lines(path), 1) if line.strip()]
    if not rows:
        raise InputError(f"{path} is empty: give one JSON object per line")
    return rows


def _lines(path: Path) -> list[str]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        # Not str.splitlines: JSON strings may hold U+2028 and its like.
        return content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}): fetch it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _object(line: str, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path} line {number} is not JSON ({error}): give one object per line") from error
    except RecursionError as error:
        raise InputError(f"{path} line {number} is nested too deeply to be read") from error
    if not isinstance(row, dict):
        raise InputError(f"{path} line {number} is not a JSON object: give one object per line")
    return row


def _data_file(task: Task, data_dir: Path) -> Path:
    if not data_dir.is_dir():
        raise InputError(f"--data-dir {str(data_dir)!r} is not a folder")
    names = [f"{task.name}.jsonl", f"{task.name}.jsonl.gz"]
    for name in names:
        if (data_dir / name).is_file():
            return data_dir / name
    raise InputError(
        f"task {task.name}: neither {names[0]} nor {names[1]} is in --data-dir {str(data_dir)!r}"
    )


def _dataset_rows(task: Task) -> Iterator[Row]:
    dataset = task.dataset
    if dataset.function is not None:
        return iter(_function_rows(task, dataset.function))
    if dataset.path is None:
        raise InputError(
            f"task {task.name}: {task.path} has no dataset_path: add one, or give --data-dir DIR"
        )
    if dataset.path == "json" and (files := _local_files(task)):
        return (row for file in files for row in read_json_lines(file))
    return iter(_hub_rows(task))


def _function_rows(task: Task, function: FunctionReference) -> list[Row]:
    """Rows of a `custom_dataset` function, called as lm-eval does: with metadata and dataset_kwargs."""
    dataset = task.dataset
    splits = function.resolve()(**{**task.metadata, "config_source": str(task.path), **dataset.arguments})
    try:
        return list(splits[dataset.split])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"task {task.name}: {function.name} returned no split {dataset.split!r}: "
            "let it return a mapping from split to rows"
        ) from error


def _local_files(task: Task) -> list[Path]:
    """`data_files` of the task's split: looked for beside the YAML, then in the working folder."""
    named = task.dataset.arguments.get("data_files", [])
    if isinstance(named, dict):
        named = named.get(task.dataset.split, [])
    names = [named] if isinstance(named, str) else list(named)
    if any("://" in name or "*" in name for name in names):
        return []
    files = []
    for name in names:
        places = [task.path.parent / name, Path(name)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise InputError(f"task {task.name}: data file {name!r} is neither beside {task.path} nor here")
        files.append(found)
    return files


def _hub_rows(task: Task) -> list[Row]:
    try:
        import datasets
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise InputError(
            f"task {task.name}: the hub needs the package `datasets` (pip install 'reghar[hub]'), "
            "or give --data-dir DIR"
        ) from error
    source = task.dataset
    try:
        rows = datasets.load_dataset(
            source.path, source.name, split=source.split, revision=source.revision, **_hub_arguments(source)
        )
        return list(rows)
    except (datasets.exceptions.DatasetsError, HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"task {task.name}: {_place(source)} could not be loaded ({type(error).__name__}: {reason}): "
            "check name, network and access, or give --data-dir DIR"
        ) from error


def _hub_arguments(source: Dataset) -> dict[str, Any]:
    # lm-eval drops this key as well: `datasets` 4 refuses it.
    return {key: value for key, value in source.arguments.items() if key != "trust_remote_code"}


def _place(source: Dataset) -> str:
    config = f", configuration {source.name}" if source.name else ""
    return f"the data set {source.path}{config}, split {source.split}"


def _as_dataset(rows: list[Row]) -> Any:
    """Rows as `process_docs` functions expect them: a `datasets.Dataset`."""
    import datasets

    return datasets.Dataset.from_list([dict(row) for row in rows])
