"""Where the task and frontier files lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

from reghar.errors import InputError

PACKAGE = Path(__file__).resolve().parent
"""The folder of the package."""


def data_dir(name: str) -> Path:
    """The folder `name` (`tasks` or `frontiers`) that this installation reads.

    A checkout holds it at its top level, where a user edits it; a wheel carries a copy in
    `reghar/_data`. Raises InputError where neither exists (a broken installation).
    """
    checkout = PACKAGE.parent
    in_checkout = (checkout / "pyproject.toml").is_file()
    folder = checkout / name if in_checkout else PACKAGE / "_data" / name
    if not folder.is_dir():
        raise InputError(f"the folder {name!r} is missing at {folder}: install reghar again")
    return folder
