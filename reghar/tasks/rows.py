"""The raw rows behind a task: a JSON-lines file, the Hugging Face hub, or a function beside the YAML."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from reghar.errors import InputError
from reghar.tasks.config import FunctionReference
from reghar.tasks.task import Dataset, Task

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a task in order, at least one, and where they came from."""

    rows: list[Row]
    """Column -> value, one mapping per row."""
    source: str
    """For messages: a file, a data set or a function."""


def read_rows(task: Task, data_dir: Path | None = None) -> Rows:
    """All rows of the task: from `data_dir/<task>.jsonl[.gz]` if given, else from its own data set.

    Raises InputError, one line, where they cannot be had or there are none.
    """
    if data_dir is not None:
        path = _data_file(task, data_dir)
        return Rows(rows=read_json_lines(path), source=str(path))
    found = _dataset_rows(task)
    if task.process_docs is not None:
        found = Rows(rows=list(task.process_docs.resolve()(_as_dataset(found.rows))), source=found.source)
    if not found.rows:
        raise InputError(f"task {task.name}: {found.source} has no rows")
    return found


def read_json_lines(path: Path) -> list[Row]:
    """The objects of a JSON-lines file, plain or gzip; blank lines are passed over. A JSON array will do.

    Raises InputError, one line, naming the file and the line, where it cannot be read or holds none.
    """
    text = _text(path)
    if path.suffix == ".json" and text.lstrip().startswith("["):
        rows = [_checked(row, path, number) for number, row in enumerate(_json(text, path, 1), 1)]
    else:
        # Not str.splitlines: JSON strings may hold U+2028 and its like.
        lines = enumerate(text.split("\n"), 1)
        rows = [_checked(_json(line, path, number), path, number) for number, line in lines if line.strip()]
    if not rows:
        raise InputError(f"{path} is empty: give one JSON object per line")
    return rows


def iterate_json_lines(path: Path) -> Iterator[tuple[int, Row]]:
    """The number and the object of each line, blank ones passed over; a file of any size, plain or gzip.

    Raises InputError, one line, naming the file and the line, where it cannot be read or holds none.
    """
    number = 0
    empty = True
    try:
        with _reading(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    empty = False
                    yield number, _checked(_json(text, path, number), path, number)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} line {number} is not UTF-8: save the file as UTF-8") from error
    if empty:
        raise InputError(f"{path} is empty: give one JSON object per line")


def _text(path: Path) -> str:
    with _reading(path):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Says in one line what keeps a file, plain or gzip, from being read."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}): fetch it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _json(text: str, path: Path, number: int) -> Any:
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        raise InputError(f"{path} line {number} is not JSON ({error}): give one object per line") from error
    except RecursionError as error:
        raise InputError(f"{path} line {number} is nested too deeply to be read") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _checked(row: object, path: Path, number: int) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{path} line {number} is not a JSON object: give one object per line")
    return row


def _data_file(task: Task, data_dir: Path) -> Path:
    if not data_dir.is_dir():
        raise InputError(f"--data-dir {str(data_dir)!r} is not a folder")
    stems = dict.fromkeys((task.name, task.data))
    names = [f"{stem}.jsonl{packed}" for stem in stems for packed in ("", ".gz")]
    for name in names:
        if (data_dir / name).is_file():
            return data_dir / name
    raise InputError(f"task {task.name}: neither {' nor '.join(names)} is in {str(data_dir)!r} (--data-dir)")


def _dataset_rows(task: Task) -> Rows:
    dataset = task.dataset
    if dataset.function is not None:
        return Rows(rows=_function_rows(task, dataset.function), source=f"!function {dataset.function.name}")
    if dataset.path is None:
        raise InputError(f"task {task.name}: {task.path} has no dataset_path: add it, or give --data-dir DIR")
    arguments = dict(dataset.arguments)
    if "data_files" in arguments:
        arguments["data_files"] = _beside(task, arguments["data_files"])
    if dataset.path == "json" and (files := _local_files(arguments, dataset.split)):
        rows = [row for file in files for row in read_json_lines(file)]
        return Rows(rows=rows, source=", ".join(map(str, files)))
    return Rows(rows=_loaded_rows(task, dataset.path, arguments), source=_place(dataset))


def _function_rows(task: Task, function: FunctionReference) -> list[Row]:
    """Rows of a `custom_dataset` function, called as lm-eval does: with metadata and dataset_kwargs."""
    dataset = task.dataset
    splits = function.resolve()(**{**task.metadata, "config_source": str(task.path), **dataset.arguments})
    try:
        return list(splits[dataset.split])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"task {task.name}: {function.name} gave no split {dataset.split!r}: "
            "let it return a mapping from split to rows"
        ) from error


def _beside(task: Task, names: Any) -> Any:
    """`data_files` with every relative name that lies beside the YAML made a path; others stay."""
    if isinstance(names, dict):
        return {split: _beside(task, name) for split, name in names.items()}
    if isinstance(names, list):
        return [_beside(task, name) for name in names]
    beside = task.path.parent / str(names)
    if beside.is_file():
        return str(beside)
    if not any(mark in str(names) for mark in "*:") and not Path(str(names)).is_file():
        raise InputError(f"task {task.name}: data file {names!r} is neither beside {task.path} nor here")
    return names


def _local_files(arguments: Mapping[str, Any], split: str) -> list[Path]:
    """The files of the split where we can read them ourselves; none where `datasets` must."""
    if set(arguments) != {"data_files"}:
        return []
    named = arguments["data_files"]
    if isinstance(named, dict):
        named = named.get(split, [])
    files = [Path(name) for name in ([named] if isinstance(named, str) else named)]
    return files if all(file.is_file() for file in files) else []


def _loaded_rows(task: Task, path: str, arguments: Mapping[str, Any]) -> list[Row]:
    """Rows that the package `datasets` loads, from the hub or from files of another format."""
    try:
        import datasets

        from reghar.hub import hub_errors, hub_reason, hub_silence
    except ImportError as error:
        raise InputError(
            f"task {task.name}: the hub needs the package `datasets` (pip install 'reghar[hub]'), "
            "or give --data-dir DIR"
        ) from error
    source = task.dataset
    on_hub = "/" in path and not Path(path).exists()
    from_hub = on_hub or "hf://" in str(arguments.get("data_files"))
    if from_hub:
        hub_silence()
    # Its bars and warnings would bury the one line that says what is wrong.
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    # lm-eval drops this key as well: `datasets` 4 refuses it.
    arguments = {key: value for key, value in arguments.items() if key != "trust_remote_code"}
    if isinstance(arguments.get("data_files"), str | list):
        # They are the split that is asked, as they are where we read them ourselves; `datasets` says train.
        arguments["data_files"] = {source.split: arguments["data_files"]}
    try:
        builder = datasets.load_dataset_builder(path, source.name, revision=source.revision, **arguments)
        if on_hub:
            _check_revision(task, str(builder.hash))
        builder.download_and_prepare()
        return list(builder.as_dataset(split=source.split))
    except (datasets.exceptions.DatasetsError, *hub_errors()) as error:
        reason = (
            hub_reason(error) if from_hub else f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        )
        raise InputError(
            f"task {task.name}: {_place(source)} could not be loaded: {reason}, or give --data-dir DIR"
        ) from error


def _check_revision(task: Task, commit: str) -> None:
    """Without a network `datasets` takes whatever revision its cache got last."""
    pinned = task.dataset.revision
    if pinned is not None and re.fullmatch("[0-9a-f]{40}", pinned) and commit != pinned:
        raise InputError(
            f"task {task.name}: the hub does not answer, and the cache holds revision {commit} of "
            f"{_place(task.dataset)}, not {pinned}: check the network, or give --data-dir DIR"
        )


def _place(source: Dataset) -> str:
    if (files := source.arguments.get("data_files")) and "/" not in str(source.path):
        return f"{source.path} files ({str(files)[:100]}), split {source.split}"
    config = f", configuration {source.name}" if source.name else ""
    return f"the data set {source.path}{config}, split {source.split}"


def _as_dataset(rows: list[Row]) -> Any:
    """Rows as `process_docs` functions expect them: a `datasets.Dataset`."""
    import datasets

    return datasets.Dataset.from_list([dict(row) for row in rows])
