"""`run.json` and the other JSON files of a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reghar.errors import InputError
from reghar.store.parts import write_aside

_NEEDED = ("protocol", "digest", "model")
_OF_PROTOCOL = ("tasks", "budgets", "budget_counts")
"""What no reading of a run can do without."""


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON that appears whole or not at all; NaN is refused, since JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_aside(path, lambda file: file.write(text.encode()))


def read_manifest(path: Path) -> dict[str, Any]:
    """`run.json` of a run's folder. Raises `InputError` with one line."""
    file = path / "run.json"
    if not path.is_dir():
        raise InputError(f"run folder {str(path)!r} does not exist; give a folder that `reghar run` wrote")
    if not file.is_file():
        raise InputError(f"{str(path)!r} is not a run folder: it has no run.json")
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        missing = [key for key in _NEEDED if key not in manifest]
        missing += [f"protocol.{key}" for key in _OF_PROTOCOL if key not in manifest.get("protocol", {})]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{str(file)!r} is not a run's manifest: {error!r}; restore it or run again"
        ) from error
    if missing:
        raise InputError(
            f"{str(file)!r} is not a run's manifest: it lacks {', '.join(missing)}; restore it or run again"
        )
    return manifest
