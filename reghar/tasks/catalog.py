"""Finds tasks by name: the project's own and those in folders that a user includes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reghar.errors import InputError
from reghar.paths import data_dir
from reghar.tasks.config import read_config
from reghar.tasks.task import CURVE_CLASS, Task, generates, short_name, task_from_config

_SKIPPED_FOLDERS = {"__pycache__", ".ipynb_checkpoints"}


def load_task(name: str, include_paths: Iterable[str | Path] = ()) -> Task:
    """The task of that name, with or without the prefix `reghar_`.

    A task in `include_paths` (folders or YAML files) goes before ours of the same name, as in lm-eval.
    Raises InputError with the nearest names where there is none.
    """
    found = _find(include_paths)
    wanted = short_name(name)
    if wanted not in found:
        near = difflib.get_close_matches(wanted, found, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(found))}"
        raise InputError(f"unknown task {name!r}: {hint}")
    path, config = found[wanted]
    return task_from_config(config, path)


def list_tasks(include_paths: Iterable[str | Path] = ()) -> list[Task]:
    """All tasks that generate, by name, those in `include_paths` among them.

    Raises InputError for a broken file. lm-eval's tasks that only score given choices are left out.
    """
    found = sorted(_find(include_paths).items())
    return [task_from_config(config, path) for _, (path, config) in found if generates(config)]


def _find(include_paths: Iterable[str | Path]) -> dict[str, tuple[Path, Mapping[str, Any]]]:
    """Name -> file and its mapping. Groups and templates are passed over."""
    found: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for folder in (data_dir("tasks"), *_folders(include_paths)):
        for path in _yaml_files(folder):
            config = read_config(path)
            name = config.get("task")
            if isinstance(name, str) and "group" not in config and _is_configured(config):
                found[short_name(name)] = path, config
    return found


def _is_configured(config: Mapping[str, Any]) -> bool:
    """True for a task that its YAML describes, False for one that a class of lm-eval's programs."""
    programmed = config.get("class")
    return programmed is None or getattr(programmed, "name", programmed) == CURVE_CLASS


def _folders(include_paths: Iterable[str | Path]) -> Iterator[Path]:
    """Each path; one string may hold several with the system's separator between them, as lm-eval allows."""
    for item in include_paths:
        for part in str(item).split(os.pathsep):
            path = Path(part).expanduser()
            if not path.exists():
                raise InputError(
                    f"--include-path {part!r} does not exist: give a folder with task YAML files"
                )
            yield path


def _yaml_files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    for path in sorted(folder.glob("**/*.yaml")):
        if not _SKIPPED_FOLDERS.intersection(path.parts):
            yield path
