"""Scores a run's answers part by part, beside the generation and after it.

A thread feeds the grader's worker processes from the answers parts on disk, so generation never
waits for grading, memory does not grow with the run, and a resumed run scores just the parts that
have no scores yet.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from types import TracebackType

from reghar.grading import GraderPool
from reghar.grading.scores import AnswerScorer
from reghar.protocol import Protocol
from reghar.store.folder import RunFolder
from reghar.store.tables import ANSWERS
from reghar.tasks import Problem


class PartScorer:
    """A context manager that scores the parts handed to `add`; leaving it waits until all are scored."""

    def __init__(
        self, folder: RunFolder, protocol: Protocol, problems: Iterable[Problem], *, unsafe_code: bool = False
    ) -> None:
        """`problems` of all its tasks; `unsafe_code` runs programs where there is no sandbox."""
        self._folder = folder
        self._pool = GraderPool(unsafe_code=unsafe_code)
        self._scorer = AnswerScorer(protocol, problems, self._pool)
        self._parts: queue.SimpleQueue[int | threading.Event | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="scorer", daemon=True)

    def __enter__(self) -> PartScorer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stop.set()  # parts without scores are scored when the run resumes
            self._pool.close(wait=False)  # programs may run for long
        self._parts.put(None)
        self._thread.join()
        self._pool.close()
        if self._failure is not None and error is None:
            raise self._failure

    def add(self, part: int) -> None:
        """Queues one answers part; returns at once."""
        self._parts.put(part)

    def wait(self) -> None:
        """Returns when all parts handed over so far are scored; raises what scoring them raised."""
        scored = threading.Event()
        self._parts.put(scored)
        while not scored.wait(0.05) and self._thread.is_alive():
            pass
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while (part := self._parts.get()) is not None and not self._stop.is_set():
                if isinstance(part, threading.Event):
                    part.set()
                    continue
                rows = self._folder.rows(ANSWERS, part)
                scores = list(self._scorer.score(rows))
                if not self._stop.is_set():  # else verdicts may be missing
                    self._folder.write_scores(part, scores)
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that waits
            self._failure = failure
