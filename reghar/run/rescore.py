"""Grades the stored answers of a run again: its old scores stay until all the new ones are written."""

from __future__ import annotations

import shutil
from pathlib import Path

from reghar.grading import GraderPool
from reghar.grading.scores import AnswerScorer
from reghar.grading.version import grader_version
from reghar.store.folder import RunFolder
from reghar.store.manifest import read_manifest
from reghar.store.parts import part_numbers, write_part
from reghar.store.problems import read_problems
from reghar.store.tables import ANSWERS, SCORES, schemas, score_row


def rescore(path: Path) -> None:
    """Replaces `scores/` and the grader's version in `run.json`. Raises `InputError`."""
    read_manifest(path)  # refuses what is no run before a lock file is made
    with RunFolder(path) as folder, GraderPool() as pool:
        manifest = read_manifest(path)
        scorer = AnswerScorer(manifest.protocol, read_problems(path), pool)
        fresh, stale = path / f".{SCORES}.new", path / f".{SCORES}.old"
        shutil.rmtree(fresh, ignore_errors=True)
        for number in part_numbers(path / ANSWERS):
            rows = (score_row(score) for score in scorer.score(folder.rows(ANSWERS, number)))
            write_part(fresh, number, rows, schemas()[SCORES])
        shutil.rmtree(stale, ignore_errors=True)
        if (path / SCORES).exists():
            (path / SCORES).rename(stale)
        protocol = manifest.protocol.with_grader(grader_version())
        folder.write_manifest(manifest.with_fields(protocol=protocol, digest=protocol.digest))
        if fresh.exists():
            fresh.rename(path / SCORES)
        shutil.rmtree(stale, ignore_errors=True)
