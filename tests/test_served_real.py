"""vLLM's own server on loopback against the engine in the process: the same model, the same greedy work."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reghar import demo
from reghar.cli import main
from reghar.compare.sides import load_sides
from reghar.compare.table import compare
from reghar.store import load_run

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

WORK = [
    *("run", "--model", "demo:terse", "--tasks", "ladder", "--limit", "120", "--samples", "1"),
    *("--temperature", "0", "--max-tokens", "256", "--budgets", "0,16,32,64,128", "--frontier", "none"),
    *("--concurrency", "16"),
]
ENVIRONMENT = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
CORES = sorted(os.sched_getaffinity(0))


def on_core(index: int) -> dict[str, str]:
    """Both engines start at the same time, each on a core of its own where there are two."""
    return {**ENVIRONMENT, "VLLM_CPU_OMP_THREADS_BIND": str(CORES[index % len(CORES)])}


@contextmanager
def running(command: list[str], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended at the end with all its children: an engine outlives a parent that is killed."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=on_core(core),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def in_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    out, log = tmp_path / "in-process", tmp_path / "in-process.log"
    with running(
        ["reghar", *WORK, "--engine-arg", "max_model_len=512", "--out", str(out)], 0, log
    ) as process:
        yield process, out, log


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    command = [
        *("vllm.entrypoints.openai.api_server", "--model", str(demo.path("terse"))),
        *("--served-model-name", "terse", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"),
        *("--enforce-eager", "--max-model-len", "512", "--no-enable-chunked-prefill"),
        "--enable-prompt-tokens-details",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, 1, log) as process:
        deadline = time.monotonic() + 300
        while not answers(f"{url}/health"):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.5)
        yield url


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class CuttingProxy:
    """Passes bytes on, and cuts every `nth` connection in the middle of its answers."""

    def __init__(self, url: str, nth: int) -> None:
        self.target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self.nth, self.connections, self.cuts = nth, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(30)
        self.listener.close()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                most = 3000 if self.connections % self.nth == 0 else None
                self.threads.append(threading.Thread(target=self.connect, args=(client, most)))
                self.threads[-1].start()

    def connect(self, client: socket.socket, most: int | None) -> None:
        with client, socket.create_connection(self.target) as server:
            up = threading.Thread(target=self.pump, args=(client, server, None))
            up.start()
            self.pump(server, client, most)
            up.join()

    def pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(4096):
                passed += len(data)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def same_traces(one: Path, other: Path) -> float:
    """Share of (problem, sample) pairs whose token ids are equal."""
    pairs = [
        load_run(path).traces.set_index(["task", "problem", "sample"])["token_ids"] for path in (one, other)
    ]
    assert set(pairs[0].index) == set(pairs[1].index)
    return sum(list(pairs[0][key]) == list(pairs[1][key]) for key in pairs[0].index) / len(pairs[0])


def test_the_served_engine_is_the_engine_in_the_process(
    in_process: tuple[subprocess.Popen[bytes], Path, Path], server: str, tmp_path: Path
) -> None:
    served, cut = tmp_path / "served", tmp_path / "cut"
    assert main([*WORK, "--engine", "openai", "--base-url", server, "--out", str(served)]) == 0

    proxy = CuttingProxy(server, nth=5)
    assert main([*WORK, "--engine", "openai", "--base-url", proxy.url, "--out", str(cut)]) == 0
    proxy.close()
    assert proxy.cuts > 3, "connections were cut in mid-stream"

    process, local, log = in_process
    assert process.wait(300) == 0, log.read_text()[-2000:]
    runs = [load_run(path) for path in (served, cut, local)]
    assert len({run.digest for run in runs}) == 1, "an engine is no part of the protocol"
    for run in runs:
        assert len(run.traces) == 120
        assert run.complete
        assert not run.answers.duplicated(["task", "problem", "sample", "budget"]).any()
    assert same_traces(served, local) >= 0.95
    assert same_traces(cut, local) >= 0.95

    sides = load_sides([f"served={served}", f"cut={cut}", f"local={local}"])
    comparison = compare(sides, baseline=sides[-1], frontier="none")
    differences = [cell.difference for cell in comparison.cells if cell.difference is not None]
    assert len(differences) >= 6
    assert all(difference.low <= 0 <= difference.high for difference in differences), comparison.cells
