"""vLLM's own server on loopback against the engine in the process: the same model, the same greedy work."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from reghar import demo
from reghar.cli import main
from reghar.comparison.sides import load_sides
from reghar.comparison.table import compare
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


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    out = tmp_path_factory.mktemp("runs") / "in-process"
    command = [sys.executable, "-m", "reghar", *WORK, "--engine-arg", "max_model_len=512", "--out", str(out)]
    process = subprocess.Popen(
        command, env=on_core(0), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    yield process, out
    process.kill()
    process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(demo.path("terse"))),
        *("--served-model-name", "terse", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"),
        *("--enforce-eager", "--max-model-len", "512", "--no-enable-chunked-prefill"),
        "--enable-prompt-tokens-details",
    ]
    with log.open("w") as file:
        process = subprocess.Popen(command, env=on_core(1), stdout=file, stderr=file)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 300
    while not answers(f"{url}/health"):
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.5)
    yield url
    process.terminate()
    process.wait(30)


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
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self.target)
            most = 3000 if self.connections % self.nth == 0 else None
            for source, sink, limit in ((client, server, None), (server, client, most)):
                threading.Thread(target=self.pump, args=(source, sink, limit), daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(4096):
                passed += len(data)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                end.close()


def same_traces(one: Path, other: Path) -> float:
    """Share of (problem, sample) pairs whose token ids are equal."""
    pairs = [
        load_run(path).traces.set_index(["task", "problem", "sample"])["token_ids"] for path in (one, other)
    ]
    assert set(pairs[0].index) == set(pairs[1].index)
    return sum(list(pairs[0][key]) == list(pairs[1][key]) for key in pairs[0].index) / len(pairs[0])


def test_the_served_engine_is_the_engine_in_the_process(
    in_process: tuple[subprocess.Popen[str], Path], server: str, tmp_path: Path
) -> None:
    served, cut = tmp_path / "served", tmp_path / "cut"
    assert main([*WORK, "--engine", "openai", "--base-url", server, "--out", str(served)]) == 0

    proxy = CuttingProxy(server, nth=5)
    assert main([*WORK, "--engine", "openai", "--base-url", proxy.url, "--out", str(cut)]) == 0
    assert proxy.cuts > 3, "connections were cut in mid-stream"
    proxy.listener.close()

    process, local = in_process
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
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
