"""One worker process as its feeding thread sees it: start, send, wait no longer than the limit, replace."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from reghar.grading.request import Grade, GradeRequest
from reghar.grading.rules import could_not_grade, ran_out_of_time
from reghar.grading.wire import pack_request, read_message, unpack_grade, write_message
from reghar.paths import PACKAGE

START_LIMIT_S = 120.0
"""Clock seconds for starting an interpreter or importing the computer algebra."""
PATIENCE = 4
"""Times the limit that an answer may take by the clock where the machine gives it no processor."""
START_ATTEMPTS = 3
"""Workers that may die in a row while starting before an answer is given up."""
RETIRE_SHARE = 0.25
"""Share of the memory limit above which an idle worker is replaced, so that no worker only grows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GradingJob:
    """An answer on its way through a worker."""

    request: GradeRequest
    done: Callable[[GradeRequest, Grade], None]

    def finish(self, verdict: Grade) -> None:
        """Hand the verdict to whoever asked."""
        self.done(self.request, verdict)


class WorkerProcess:
    """A worker that is started when first needed and replaced when it hangs, dies or has grown.

    Used by one thread; only `pid` and `abandon` may be called from another.
    """

    def __init__(self, time_limit_s: float, memory_limit_bytes: int) -> None:
        self._time_limit_s = time_limit_s
        self._memory_limit = memory_limit_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._cpu = 0.0
        self._resident = 0
        self._failed_starts = 0
        self._abandoned = False
        self._suspect: GradeRequest | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running worker; None where there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def grade(self, batch: list[GradingJob]) -> None:
        """Finish every job of the batch, whatever happens to the worker meanwhile."""
        position = 0
        while position < len(batch):
            if self._abandoned:
                batch[position].finish(could_not_grade("the grader was closed"))
                position += 1
                continue
            position += self._grade_until_failure(batch[position:])

    def abandon(self) -> None:
        """Kill the worker and grade nothing more."""
        self._abandoned = True
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End the worker and free what it held."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _grade_until_failure(self, batch: list[GradingJob]) -> int:
        """Grade in order; return how many jobs are finished: all, or up to the one that failed."""
        finished = 0
        try:
            process = self._running()
            if process is None:
                return self._after_failed_start(batch[0])
            write_message(_pipe(process.stdin), [pack_request(job.request) for job in batch])
            for job in batch:
                job.finish(self._verdict(process))
                finished += 1
            if self._resident > RETIRE_SHARE * self._memory_limit:
                self.stop()
        except TimeoutError:
            self.stop()
            batch[finished].finish(ran_out_of_time(self._time_limit_s))
            finished += 1
        except (EOFError, OSError, ValueError):  # died, or did not speak the protocol any more
            self.stop()
            finished += self._after_death(batch[finished])
        return finished

    def _after_death(self, job: GradingJob) -> int:
        """A worker may be killed from outside: an answer is given up only when a second one dies on it."""
        if job.request != self._suspect:
            self._suspect = job.request
            return 0
        self._suspect = None
        job.finish(could_not_grade("the worker died on this answer"))
        return 1

    def _after_failed_start(self, job: GradingJob) -> int:
        self._failed_starts += 1
        if self._failed_starts < START_ATTEMPTS:
            return 0
        self._failed_starts = 0
        job.finish(could_not_grade("no worker could be started"))
        return 1

    def _running(self) -> subprocess.Popen[bytes] | None:
        """The worker, started where there is none; None where it died while starting."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            self._process = _start(self._time_limit_s, self._memory_limit)
            try:
                _, self._cpu = self._receive(self._process, START_LIMIT_S)
            except (EOFError, OSError):  # a TimeoutError is one of them
                self.stop()
                return None
            self._failed_starts = 0
        return self._process

    def _verdict(self, process: subprocess.Popen[bytes]) -> Grade:
        """The next verdict, or TimeoutError where the limit passes first."""
        message = self._receive_in_time(process)
        if message == ["loading"]:
            _, self._cpu = self._receive(process, START_LIMIT_S)
            message = self._receive_in_time(process)
        _, self._cpu, self._resident, *values = message
        return unpack_grade(values)

    def _receive_in_time(self, process: subprocess.Popen[bytes]) -> Any:
        start = time.monotonic()
        wait_s = self._time_limit_s
        while True:
            try:
                return self._receive(process, wait_s)
            except TimeoutError:
                used_s = _processor_seconds(process.pid) - self._cpu
                if used_s >= self._time_limit_s or time.monotonic() - start >= PATIENCE * self._time_limit_s:
                    raise
                wait_s = max(0.05, self._time_limit_s - used_s)

    def _receive(self, process: subprocess.Popen[bytes], limit_s: float) -> Any:
        pipe = _pipe(process.stdout)
        if not select.select([pipe], [], [], limit_s)[0]:
            raise TimeoutError
        return read_message(pipe)


def _pipe(pipe: Any) -> BinaryIO:
    if pipe is None:
        raise EOFError
    stream: BinaryIO = pipe
    return stream


def _start(time_limit_s: float, memory_limit: int) -> subprocess.Popen[bytes]:
    """A fresh interpreter that imports this package from where it was imported here, and nothing from `.`."""
    package_parent = str(PACKAGE.parent)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")])),
        "PYTHONHASHSEED": "0",  # the order of symbols in sympy's sums must not change a verdict
        "OPENBLAS_NUM_THREADS": "1",  # each of its threads reserves address space
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("REGHAR_ENGINE", None)  # a worker started while an engine loads is no part of it
    return subprocess.Popen(  # noqa: S603  (our own module, no text from a model among the arguments)
        [sys.executable, "-P", "-m", "reghar.grading.worker", str(time_limit_s), str(memory_limit)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for the command, which ends its workers itself
    )


def _processor_seconds(pid: int) -> float:
    """Processor time of a process so far; infinite where it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
