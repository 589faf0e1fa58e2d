"""What differs between the engines of runs that are compared: told, since it may move figures a little."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reghar.compare.sides import Side
from reghar.store.manifest import EngineRecord


def environment_notes(sides: Sequence[Side]) -> list[str]:
    """A line for the precision, the quantization and the engine's version that not all sides ran with.

    A side that does not say, of an older version or behind a server, differs from none.
    """
    notes = []
    for what, of_engine in _TOLD.items():
        by_side = {side.label: values for side in sides if (values := _values(side, of_engine))}
        if len(set(by_side.values())) > 1:
            each = ", ".join(f"{label} {' and '.join(values)}" for label, values in by_side.items())
            notes.append(f"engines differ in {what}: {each}; the same model then answers a little otherwise")
    return notes


def _values(side: Side, of_engine: Callable[[EngineRecord], str | None]) -> tuple[str, ...]:
    """What the engines of a side's runs tell, in every session, without repetition."""
    engines = [session.engine for run in side.runs for session in run.manifest.sessions if session.engine]
    return tuple(sorted({told for engine in engines if (told := of_engine(engine)) is not None}))


def _dtype(engine: EngineRecord) -> str | None:
    return None if engine.environment is None else engine.environment.dtype


def _quantization(engine: EngineRecord) -> str | None:
    told = engine.environment
    return None if told is None or told.dtype is None else told.quantization or "none"


def _version(engine: EngineRecord) -> str | None:
    return f"{engine.name} {engine.version}"


_TOLD: Mapping[str, Callable[[EngineRecord], str | None]] = {
    "dtype": _dtype,
    "quantization": _quantization,
    "version": _version,
}
