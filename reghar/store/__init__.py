"""A run's folder.

run.json            protocol, digest, model, engine, versions, seed, sessions, end
traces/             a row a trace, with its token ids
answers/            a row a forced answer, and one of the trace's own (`budget` null)
scores/             a row an answer, part by part beside `answers/`
report.json, report.md, curves.png
"""

from reghar.store.folder import RunFolder
from reghar.store.stored import StoredRun, load_run

__all__ = ["RunFolder", "StoredRun", "load_run"]
