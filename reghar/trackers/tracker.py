"""Which trackers there are, and how a record reaches one."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from reghar.errors import InputError, TrackerError
from reghar.terminal import printable, shortened
from reghar.trackers.record import Record

TRACKERS = ("trackio", "wandb", "mlflow")
"""Each is a package, an extra of this one and a module here with `send(record, project, step)`."""


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """Where records go. Made before any work is done, so that a missing package is said at once."""

    name: str
    """One of `TRACKERS`."""
    project: str = "reghar"
    """The tracker's project (mlflow: experiment)."""
    step: int | None = None
    """Of a training, at least 0: records of one name line up by it; None for records that stand alone."""

    def __post_init__(self) -> None:
        """Raises `InputError` for an unknown tracker, one that is not installed, and a step below 0."""
        if self.name not in TRACKERS:
            raise InputError(f"--track {self.name!r} is none of {', '.join(TRACKERS)}")
        if self.step is not None and self.step < 0:
            raise InputError(f"--step must be at least 0, not {self.step}")
        if not self.project.strip():
            raise InputError("--project is empty; give a name, or leave it out")
        if find_spec(self.name) is None:
            raise InputError(
                f"--track {self.name}: the package {self.name} is not installed; "
                f"install it with: pip install 'reghar[{self.name}]'"
            )

    def send(self, record: Record) -> None:
        """Logs the record; what the package prints goes to standard error. Raises `TrackerError`."""
        adapter = import_module(f"reghar.trackers.{self.name}")
        try:
            with contextlib.redirect_stdout(sys.stderr):
                adapter.send(record, self.project, self.step)
        except Exception as error:  # whatever the package raises, its network among it
            what = shortened(printable(" ".join(f"{type(error).__name__}: {error}".split())), 300)
            raise TrackerError(
                f"{self.name} failed: {what}; everything is stored: send it again with `reghar report RUN "
                f"--track {self.name}`"
            ) from error
