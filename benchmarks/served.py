"""What HTTP costs: the same work through vLLM's server on loopback and through the engine in the process.

    python benchmarks/served.py [--model demo:terse] [--limit 200] [--max-tokens 256]

Both engines get the same core, one after the other, and draw the same greedy traces and probes. Shown:
seconds between the first request and the last answer, tokens a second, CPU (in the process: the
engine's as well), and how many traces are equal.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reghar.prompting.tokenizer import load_model
from reghar.store import StoredRun, load_run

CONTEXT = 512
BUDGETS = "0,16,32,64,128"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo:terse")
    parser.add_argument("--task", default="ladder")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--concurrency", type=int, default=32)
    arguments = parser.parse_args()
    work = [
        *("run", "--model", arguments.model, "--tasks", arguments.task, "--limit", str(arguments.limit)),
        *("--samples", "1", "--temperature", "0", "--max-tokens", str(arguments.max_tokens)),
        *("--budgets", BUDGETS, "--frontier", "none", "--concurrency", str(arguments.concurrency)),
    ]
    # vLLM's CPU build: one core that the driver does not need; without effect on a GPU.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", str(max(os.sched_getaffinity(0))))
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with tempfile.TemporaryDirectory() as folder:
        local = measured(
            "in process", [*work, "--engine-arg", f"max_model_len={CONTEXT}"], Path(folder) / "local"
        )
        with serving(load_model(arguments.model).path, Path(folder) / "log") as url:
            served = measured(
                "served", [*work, "--engine", "openai", "--base-url", url], Path(folder) / "served"
            )
        equal = sum(list(a) == list(b) for a, b in zip(traces(local), traces(served), strict=True))
        print(f"traces equal: {equal} of {arguments.limit}")
    return 0


def traces(run: StoredRun) -> list[list[int]]:
    """Token ids, in the order of problems."""
    return list(run.traces["token_ids"])


def measured(name: str, command: list[str], out: Path) -> StoredRun:
    """Runs `reghar` in a process of its own and prints its figures."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "reghar", *command, "--out", str(out)], check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = load_run(out)
    cost = run.cost
    tokens = cost["trace_tokens"] + cost["answer_tokens"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{name}: {cost['seconds']:.1f} s for {tokens:,.0f} tokens in {cost['traces']} traces and "
        f"{cost['probes']} probes: {tokens / cost['seconds']:.0f} tokens/s; CPU of the command and its "
        f"children {cpu:.1f} s",
        flush=True,
    )
    return run


@contextmanager
def serving(model: str, log: Path) -> Iterator[str]:
    """vLLM's server while the block runs; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(CONTEXT)),
        *("--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill"),
    ]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(f"{url}/health"):
            if process.poll() is not None:
                sys.exit(log.read_text()[-2000:])
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(url: str) -> bool:
    """Whether the server is up."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
            return True
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
