"""The embedded task and models: what a newcomer runs first, without a GPU or a hub."""

from __future__ import annotations

from pathlib import Path

from reghar.errors import InputError

_FOLDER = Path(__file__).parent / "models"

MODELS: dict[str, Path] = {name: _FOLDER / name for name in ("terse", "verbose", "wanderer")}
"""Folder of each model, by the name that follows `demo:`."""


def path(name: str) -> Path:
    """Folder of the demo model `name`. Raises InputError where there is none of that name."""
    if name not in MODELS:
        raise InputError(f"no demo model {name!r}; there are demo:{', demo:'.join(MODELS)}")
    return MODELS[name]
