"""Worker processes that grade, and can hang or die without taking anything else with them.

A worker is a fresh interpreter (never a fork of a process that holds an event loop and an engine) and
is fed by one thread of this process. An answer's time counts from the moment the worker turned to it:
waiting in the queue, starting a worker and importing the computer algebra are not part of it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from types import TracebackType

from reghar.grading.process import GradingJob, WorkerProcess
from reghar.grading.programs import MAX_PROGRAM, ProgramGrader
from reghar.grading.request import MAX_CHARACTERS, AnswerKind, Grade, GradeRequest
from reghar.grading.rules import could_not_grade

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 2 * 1024**3

BATCH = 64
"""Most answers in one message to a worker."""
REMEMBERED_VERDICTS = 32_768
"""Verdicts kept, least recently used dropped first: memory does not grow with the answers graded."""
WINDOW = 4_096
"""Most answers that `grade_all` holds at a time."""


class GraderPool:
    """A context manager that grades answers in processes of its own. Safe to use from any thread.

    `workers`: processes (default: one per core, at most 4), started when there is work for them.
    `time_limit_s`: processor seconds for one answer; by the clock it may take 4 times as long where
    the machine is busy. `memory_limit_bytes`: address space of one worker. Past a limit the answer is
    `grader_timeout` or `grader_error`, its worker is replaced, and no other answer is touched.

    Programs run in sandboxes instead, as many at a time, with limits of their own
    (`reghar.grading.sandbox.Limits`); `unsafe_code` runs them without where there is none.
    """

    def __init__(
        self,
        workers: int | None = None,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        *,
        unsafe_code: bool = False,
    ) -> None:
        self._workers = workers or min(4, len(os.sched_getaffinity(0)))
        self._limits = (time_limit_s, memory_limit_bytes)
        self._programs = ProgramGrader(self._workers, unsafe=unsafe_code)
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[GradingJob | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._processes: list[WorkerProcess] = []
        self._in_flight: dict[GradeRequest, Future[Grade]] = {}
        self._verdicts: OrderedDict[GradeRequest, Grade] = OrderedDict()
        self._closed = False

    def __enter__(self) -> GraderPool:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(wait=exception_type is None)

    def submit(self, request: GradeRequest) -> Future[Grade]:
        """The verdict to come. Returns at once; equal requests are graded once and cannot be cancelled."""
        too_long = _too_long(request)
        if too_long is not None:
            return _finished(too_long)
        with self._lock:
            if self._closed:
                raise RuntimeError("the grader pool is closed")
            verdict = self._verdicts.get(request)
            if verdict is not None:
                self._verdicts.move_to_end(request)
                return _finished(verdict)
            future = self._in_flight.get(request)
            if future is None:
                future = Future()
                future.set_running_or_notify_cancel()
                self._in_flight[request] = future
                if request.kind is AnswerKind.CODE:
                    self._programs.submit(request, partial(self._finish_program, request))
                    return future
                self._queue.put(GradingJob(request=request, done=self._finish))
                self._start_thread()
            return future

    def grade_all(self, requests: Iterable[GradeRequest]) -> Iterator[Grade]:
        """The verdicts in order, with at most `WINDOW` answers held at a time."""
        waiting: deque[Future[Grade]] = deque()
        for request in requests:
            waiting.append(self.submit(request))
            if len(waiting) >= WINDOW:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [pid for process in list(self._processes) if (pid := process.pid) is not None]

    def close(self, wait: bool = True) -> None:
        """End the workers; with `wait`, after everything submitted has its verdict."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if not wait:
            self._abandon()
        self._programs.close(wait=wait)
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _abandon(self) -> None:
        """Give up what is queued, and kill what runs."""
        while True:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job.finish(could_not_grade("the grader was closed"))
        for process in self._processes:
            process.abandon()

    def _start_thread(self) -> None:
        """One more worker where there are fewer than allowed and fewer than answers in flight."""
        if len(self._threads) < min(self._workers, len(self._in_flight)):
            process = WorkerProcess(*self._limits)
            thread = threading.Thread(target=self._feed, args=(process,), name="grader", daemon=True)
            self._processes.append(process)
            self._threads.append(thread)
            thread.start()

    def _feed(self, process: WorkerProcess) -> None:
        """Body of one thread: batches from the queue to its worker until the queue says None."""
        last = False
        while not last:
            job = self._queue.get()
            batch: list[GradingJob] = []
            while job is not None:
                batch.append(job)
                if len(batch) >= self._batch_size():
                    break
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            last = job is None
            process.grade(batch)
        process.stop()

    def _batch_size(self) -> int:
        """Few answers left are spread over the workers; many travel together."""
        return max(1, min(BATCH, self._queue.qsize() // (2 * self._workers)))

    def _finish_program(self, request: GradeRequest, graded: Future[Grade]) -> None:
        error = graded.exception()
        if error is None:
            self._finish(request, graded.result())
            return
        with self._lock:
            future = self._in_flight.pop(request)
        future.set_exception(error)

    def _finish(self, request: GradeRequest, verdict: Grade) -> None:
        with self._lock:
            future = self._in_flight.pop(request)
            self._verdicts[request] = verdict
            if len(self._verdicts) > REMEMBERED_VERDICTS:
                self._verdicts.popitem(last=False)
        future.set_result(verdict)


def _too_long(request: GradeRequest) -> Grade | None:
    """Text beyond the limit is refused here, before it is copied, remembered or parsed."""
    limit = MAX_PROGRAM if request.kind is AnswerKind.CODE else MAX_CHARACTERS
    if len(request.answer) > limit:
        return could_not_grade(f"the answer is longer than {limit} characters")
    return None


def _finished(verdict: Grade) -> Future[Grade]:
    future: Future[Grade] = Future()
    future.set_result(verdict)
    return future
