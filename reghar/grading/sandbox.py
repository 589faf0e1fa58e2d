"""Runs a program that a model wrote where it can do no harm: bubblewrap's namespaces, and limits.

Inside there is no network, no file but the system's libraries and the interpreter, read only, and an
empty folder of limited size that goes with the run. The whole tree of processes dies with it.
"""

from __future__ import annotations

import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from reghar.errors import InputError

_BOX = "/box"
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
"""Beside /usr: links into it, or folders of their own."""
_STOP_SECONDS = 0.2
"""How long a program that is to be stopped may go on."""
_UIDS = range(200_000, 260_000)
"""User ids that nobody has: a run as root gets one of them, so that its processes are counted alone."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one run may take."""

    seconds: float = 10.0
    """From start to end; processor time is limited to as much, for every process."""
    memory: int = 1 << 30
    """Bytes, for every process."""
    files: int = 1 << 26
    """Bytes of one file, and of all together."""
    processes: int = 8
    """And threads, at one time: together they may take so many times the memory."""
    output: int = 1 << 20
    """Bytes of standard output, and of standard error."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What became of a run."""

    status: int
    """Of the process; negative is a signal."""
    stdout: bytes
    """At most `Limits.output` bytes."""
    stderr: bytes
    timed_out: bool
    overflowed: bool
    """It wrote more than `Limits.output` and was stopped."""


def run_program(
    source: str,
    stdin: bytes,
    limits: Limits | None = None,
    *,
    unsafe: bool = False,
    stop: threading.Event | None = None,
) -> Execution:
    """Runs a Python program to its end or to its limits.

    `unsafe` runs it where there is no sandbox: with limits, but with all that this process may see and do.
    It is ended, as one that ran out of time, where another thread sets `stop`. Raises `InputError` where
    there is no sandbox and it was not allowed to do without.
    """
    limits = limits or Limits()
    sandboxed = missing_sandbox() is None
    if not (sandboxed or unsafe):
        require_sandbox()
    with tempfile.TemporaryDirectory(prefix="reghar-code-") as folder:
        Path(folder, "main.py").write_text(source, encoding="utf-8", errors="replace")
        Path(folder).chmod(0o755)
        python = [os.path.realpath(sys.executable), "-I"]
        if not sandboxed:
            command = [*_limited(limits), *python, f"{folder}/main.py"]
            return _execute(command, stdin, limits, cwd=folder, stop=stop)
        command = [*_bwrap(folder, limits), *_limited(limits), *_as_nobody(), *python, "/code/main.py"]
        return _execute(command, stdin, limits, cwd="/", stop=stop)


@cache
def missing_sandbox() -> str | None:
    """Why bubblewrap cannot be had or does not work; None where it does."""
    missing = [name for name in ("bwrap", "prlimit", "setpriv") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not found"
    with tempfile.TemporaryDirectory() as folder:
        tried = _execute([*_bwrap(folder, Limits()), "/usr/bin/true"], b"", Limits(), cwd="/")
    if tried.status == 0:
        return None
    return " ".join(tried.stderr.decode(errors="replace").split())[:200] or f"status {tried.status}"


def require_sandbox() -> None:
    """Raises `InputError`, one line, where there is no sandbox."""
    reason = missing_sandbox()
    if reason is None:
        return
    raise InputError(
        f"no sandbox for code that a model wrote ({reason}): install bubblewrap and util-linux and allow "
        "user namespaces, or accept the risk with --unsafe-code"
    )


def _bwrap(code: str, limits: Limits) -> list[str]:
    """The command line up to the program; `code` is seen as /code."""
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"]
    if os.geteuid() != 0:
        command += ["--unshare-user"]
    command += ["--ro-bind", "/usr", "/usr"]
    for folder in map(Path, _SYSTEM):
        if folder.is_symlink():
            command += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            command += ["--ro-bind", str(folder), str(folder)]
    if not sys.base_prefix.startswith("/usr/") and sys.base_prefix != "/usr":
        command += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    command += ["--ro-bind", code, "/code", "--proc", "/proc", "--dev", "/dev"]
    command += ["--perms", "0777", "--size", str(limits.files), "--tmpfs", _BOX, "--chdir", _BOX]
    for name, value in {"PATH": "/usr/bin:/bin", "HOME": _BOX, "TMPDIR": _BOX, "LANG": "C.UTF-8"}.items():
        command += ["--setenv", name, value]
    # What is left of the root and /dev is memory without a limit: nothing may be written there.
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/"]


def _limited(limits: Limits) -> list[str]:
    seconds = max(1, round(limits.seconds + 0.5))
    return [
        "prlimit",
        f"--cpu={seconds}",
        f"--as={limits.memory}",
        f"--fsize={limits.files}",
        f"--nproc={limits.processes}",
        "--nofile=256",
        "--core=0",
    ]


def _as_nobody() -> list[str]:
    """Root is exempt from the limit of processes, and would be root outside as well."""
    if os.geteuid() != 0:
        return []
    uid = secrets.choice(_UIDS)
    return [
        "setpriv",
        f"--reuid={uid}",
        f"--regid={uid}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]


def _execute(
    command: list[str], stdin: bytes, limits: Limits, *, cwd: str, stop: threading.Event | None = None
) -> Execution:
    """Runs a command in a session of its own; reads what it writes up to the limit, and ends it."""
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - the sandbox is what this is about
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        )
    with process:
        assert process.stdout is not None  # noqa: S101 - pipes were asked for
        assert process.stderr is not None  # noqa: S101
        try:
            texts, timed_out, overflowed = _read([process.stdout, process.stderr], limits, stop)
            if not (timed_out or overflowed):
                process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            timed_out = True  # it closed its outputs and goes on
        finally:
            # bubblewrap's first process dies with its parent, and all others with that.
            _kill_group(process.pid)
            status = process.wait()
    return Execution(
        status=status, stdout=texts[0], stderr=texts[1], timed_out=timed_out, overflowed=overflowed
    )


def _read(
    pipes: list[IO[bytes]], limits: Limits, stop: threading.Event | None
) -> tuple[list[bytes], bool, bool]:
    """What comes out of the pipes until they close, time is up, or one has given too much."""
    deadline = time.monotonic() + limits.seconds
    texts = [bytearray() for _ in pipes]
    with selectors.DefaultSelector() as selector:
        for number, pipe in enumerate(pipes):
            selector.register(pipe, selectors.EVENT_READ, number)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0 or (stop is not None and stop.is_set()):
                return [bytes(text) for text in texts], True, False
            for key, _ in selector.select(min(left, _STOP_SECONDS)):
                block = os.read(key.fd, 1 << 16)
                if not block:
                    selector.unregister(key.fileobj)
                texts[key.data] += block
                if len(texts[key.data]) > limits.output:
                    return [bytes(text[: limits.output]) for text in texts], False, True
    return [bytes(text) for text in texts], False, False


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
