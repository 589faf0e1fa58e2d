"""A process that grades what the pool sends and can be killed at any time.

Started as `python -m reghar.grading.worker SECONDS BYTES`. It writes `["ready", cpu]`, then
`["verdict", cpu, resident, ...]` for each answer of a batch, in order. An answer that needs the computer
algebra makes it write `["loading"]` and `["loaded", cpu]` around the import, so that the import is not
counted as that answer's time.
"""

from __future__ import annotations

import gc
import math
import os
import resource
import sys
import time
from typing import BinaryIO

from reghar.grading.request import Grade, GradeRequest
from reghar.grading.rules import could_not_grade, grade, grade_quickly
from reghar.grading.wire import pack_grade, read_message, unpack_request, write_message

CPU_MARGIN_S = 2
"""Processor seconds beyond the limit after which the kernel ends a worker whose pool has died."""


def main() -> None:
    """Serve the pool at the other end of standard input and output until it closes them."""
    time_limit_s, memory_limit = float(sys.argv[1]), int(sys.argv[2])
    requests, verdicts = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _silence()
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_message(verdicts, ["ready", time.process_time()])
    while True:
        try:
            batch = read_message(requests)
        except EOFError:
            return
        for values in batch:
            _limit_processor_time(time_limit_s)
            verdict = _grade(unpack_request(values), verdicts)
            usage = [time.process_time(), _resident_bytes()]
            write_message(verdicts, ["verdict", *usage, *pack_grade(verdict)])


def _grade(request: GradeRequest, verdicts: BinaryIO) -> Grade:
    try:
        verdict = grade_quickly(request)
        if verdict is not None:
            return verdict
        if "math_verify" not in sys.modules:
            write_message(verdicts, ["loading"])
            try:
                import math_verify  # noqa: F401  (loaded here so that its import is timed apart)
            finally:
                write_message(verdicts, ["loaded", time.process_time()])
        return grade(request)
    except MemoryError:
        gc.collect()
        return could_not_grade("the memory limit was reached")


def _silence() -> None:
    """Send whatever libraries print to nowhere: standard output belongs to the protocol."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _limit_processor_time(time_limit_s: float) -> None:
    """Let the kernel end this process if it outlives its pool in a computation that does not end."""
    soft = math.ceil(time.process_time() + time_limit_s) + CPU_MARGIN_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _resident_bytes() -> int:
    """Memory that this process holds now."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  (read after every answer: keep it cheap)
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
