"""Nothing of an engine outlives the process that started it, however that one went.

vLLM runs a model in processes of its own, which hold the accelerator's memory until they end. A
driver that is killed cannot end them. So every process of an engine carries a mark in its
environment, which it hands on to those that it starts, and a small process beside the driver, the
warden, kills all that carry the mark once the driver is gone. Reads `/proc`, so Linux only.

This file is also the warden's program: it imports nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path

VARIABLE = "REGHAR_ENGINE"
"""Environment variable that holds the mark."""
POLL_SECONDS = 0.25
GONE_SECONDS = 20.0
"""Longest wait for killed processes to vanish: an accelerator's driver frees their memory first."""


class Warden:
    """Watches over the processes of one engine."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def marking(self) -> Iterator[None]:
        """What this process starts within the block belongs to the engine."""
        # Its tracker of shared memory is this process's own, however soon the engine needs it.
        resource_tracker.ensure_running()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - this very file
                [sys.executable, "-I", "-S", __file__, self.mark, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is not for the warden
            )
        # vLLM writes titles over its processes' environments unless setproctitle is told not to.
        os.environ["SPT_NOENV"] = "1"
        os.environ[VARIABLE] = self.mark
        try:
            yield
        finally:
            os.environ.pop(VARIABLE, None)

    def kill(self) -> None:
        """Kills the engine's processes, stopped and hung ones too, and waits until they are gone."""
        kill_marked(self.mark)

    def dismiss(self) -> None:
        """Kills what is left of the engine and ends the watch; may be called twice."""
        self.kill()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def kill_marked(mark: str) -> None:
    """SIGKILL to every process with this mark but the caller's own, until none is left."""
    deadline = time.monotonic() + GONE_SECONDS
    while (living := list(marked(mark))) and time.monotonic() < deadline:
        for pid in living:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def marked(mark: str) -> Iterator[int]:
    """Ids of the living processes that were started with this mark."""
    entry = f"{VARIABLE}={mark}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):  # gone meanwhile, or another user's; a zombie's environment is empty
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def _watch(mark: str, parent: int) -> None:
    # Asking for the parent needs no pipe, which a fork of the driver could hold open.
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    kill_marked(mark)


if __name__ == "__main__":
    _watch(sys.argv[1], int(sys.argv[2]))
