"""A run's folder.

run.json            protocol, digest, model, engine, versions, seed, sessions, end
traces/             one row per trace, with its token ids
answers/            one row per forced answer, and one of the trace's own (`budget` null)
scores/             one row per answer, part by part beside `answers/`
report.json, report.md, curves.png
"""

from reghar.store.folder import RunFolder
from reghar.store.stored import StoredRun, load_run

__all__ = ["RunFolder", "StoredRun", "load_run"]
