"""Gates in a file beside what they guard: `reghar.toml`, or `[tool.reghar.check]` in pyproject.toml.

[check]                              # [tool.reghar.check]
baseline = "results/reference/run"   # a run or a report.json, from this file's folder

[[check.gates]]                      # [[tool.reghar.check.gates]]
measure = "reg"
tolerance = 20                       # tokens

[[check.gates]]
measure = "accuracy@512"
task = "amc23"                       # without it: the average over tasks
tolerance = 0.02
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reghar.compare.gates import Gate
from reghar.errors import InputError
from reghar.measures.catalogue import IntervalKind

FILE_NAMES = ("reghar.toml", "pyproject.toml")
"""Looked for in this order."""
_KEYS = {"baseline", "frontier", "interval", "gates"}
_GATE_KEYS: dict[str, type | tuple[type, ...]] = {
    "measure": str,
    "task": str,
    "tolerance": (int, float),
    "max": (int, float),
}


@dataclass(frozen=True, kw_only=True)
class GateFile:
    """What a gate file says; flags go before it."""

    path: Path
    gates: tuple[Gate, ...]
    baseline: str | None
    """A path that holds from where the user stands, or None."""
    frontier: str | None
    interval: IntervalKind | None


def find_gate_file(folder: Path) -> GateFile | None:
    """The gate file of a folder, None where there is none. Raises InputError for one that is broken."""
    for name in FILE_NAMES:
        path = folder / name
        if path.is_file() and _section(path) is not None:
            return read_gate_file(path)
    return None


def read_gate_file(path: Path) -> GateFile:
    """The gates in a file. Raises InputError with one line for anything that is wrong with it."""
    section = _section(path)
    if section is None:
        raise InputError(f"{path} holds no gates: it needs a section [{'.'.join(_section_name(path))}]")
    _refuse_unknown(path, section, _KEYS)
    entries = section.get("gates")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path} holds no gates: it needs [[{'.'.join(_section_name(path))}.gates]]")
    for key in ("baseline", "frontier", "interval"):
        if not isinstance(section.get(key, ""), str):
            raise InputError(f"{path}: {key} must be text, not {section[key]!r}")
    if section.get("interval", "problems") not in ("problems", "samples"):
        raise InputError(f"{path}: interval must be problems or samples, not {section['interval']!r}")
    baseline = section.get("baseline")
    return GateFile(
        path=path,
        gates=tuple(_gate(path, entry) for entry in entries),
        baseline=None if baseline is None else _from_here(path, baseline),
        frontier=section.get("frontier"),
        interval=section.get("interval"),
    )


def _section_name(path: Path) -> tuple[str, ...]:
    return ("tool", "reghar", "check") if path.name == "pyproject.toml" else ("check",)


def _section(path: Path) -> dict[str, Any] | None:
    try:
        content: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the gate file {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"gate file {path} is not TOML: {error}") from error
    for key in _section_name(path):
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else None


def _gate(path: Path, entry: object) -> Gate:
    if not isinstance(entry, dict) or "measure" not in entry:
        raise InputError(f'{path}: a gate needs a measure, such as measure = "reg"; got {entry!r}')
    _refuse_unknown(path, entry, _GATE_KEYS)
    for key, kind in _GATE_KEYS.items():
        if key in entry and (not isinstance(entry[key], kind) or isinstance(entry[key], bool)):
            raise InputError(
                f"{path}: {key} = {entry[key]!r} of the gate on {entry['measure']!r} is of a wrong type"
            )
    try:
        return Gate(
            measure=entry["measure"],
            task=entry.get("task"),
            tolerance=float(entry.get("tolerance", 0.0)),
            limit=entry.get("max"),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _refuse_unknown(path: Path, entries: Iterable[str], known: Collection[str]) -> None:
    for key in entries:
        if key not in known:
            raise InputError(f"{path}: unknown key {key!r}; there are {', '.join(sorted(known))}")


def _from_here(path: Path, baseline: str) -> str:
    """Paths in a gate file start at its folder; `RUN+RUN` names several."""
    whole = path.parent / baseline
    if whole.exists():
        return str(whole)
    return "+".join(str(path.parent / one) for one in baseline.split("+"))
