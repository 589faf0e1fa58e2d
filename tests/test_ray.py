"""Many replicas: what is stored depends neither on their number, nor on order, nor on a replica's death."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest
from helpers.stored_tables import assert_same, tables, wait_for_part

from reghar.cli import main
from reghar.run.ray_cluster import places_of
from reghar.run.replica_worker import gpus_of, inside_ray

PAIRS = 12 * 4


@pytest.fixture
def flags(benchmark_data: Path) -> list[str]:
    return [
        *("run", "--model", "scripted", "--tasks", "gsm8k", "--data-dir", str(benchmark_data)),
        *("--limit", "12", "--samples", "4", "--budgets", "0,64,128,256", "--max-tokens", "400"),
        *("--frontier", "none", "--concurrency", "3"),
    ]


@pytest.fixture
def alone(flags: list[str], tmp_path: Path) -> dict[str, pd.DataFrame]:
    assert main([*flags, "--engine", "scripted", "--out", str(tmp_path / "alone")]) == 0
    return tables(tmp_path / "alone")


@contextmanager
def running(command: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`reghar` in a process of its own, ended with all that it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reghar", *command],
        env={**os.environ, "REGHAR_FLUSH_SECONDS": "0.2", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def replicas(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of the replicas that still live."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "ReplicaWorker" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.timeout(240)
def test_one_of_three_replicas_is_killed_and_every_pair_is_stored_once(
    flags: list[str], alone: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [*flags, "--engine", "ray", "--replicas", "3", "--out", str(out)]
    with running(command, REGHAR_SCRIPTED_PAUSE="0.05") as process:
        wait_for_part(process, out, 120)
        before = replicas(process)
        assert len(before) == 3
        before[0].kill()
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert_same(out, alone)
    assert not any(each.is_running() for each in before), "none is left behind"
    session = json.loads((out / "run.json").read_text())["sessions"][0]
    assert session["engine"]["arguments"]["replicas"] == 3
    assert len(session["restarts"]) == 1, "another was started in its place"


@pytest.mark.timeout(240)
def test_when_all_replicas_die_the_run_ends_and_resumes_on_another_number(
    flags: list[str], alone: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [*flags, "--engine", "ray", "--out", str(out)]
    with running([*command, "--replicas", "2"], REGHAR_SCRIPTED_PAUSE="0.05") as process:
        wait_for_part(process, out, 120)
        while process.poll() is None:  # each is started again, but not for ever
            for replica in replicas(process):
                replica.kill()
            time.sleep(0.2)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert "all 2 replicas have died" in errors
    assert "--resume" in errors
    assert 0 < len(pd.read_parquet(out / "traces")) < PAIRS
    with running([*command, "--replicas", "1", "--resume"]) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same(out, alone)


@pytest.mark.timeout(120)
def test_a_cluster_that_is_not_there(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*flags, "--engine", "ray", "--address", "127.0.0.1:1", "--out", str(tmp_path / "run")]
    assert main(command) == 3
    assert "no Ray cluster at 127.0.0.1:1" in capsys.readouterr().err


def test_replicas_on_one_machine_share_its_cores() -> None:
    assert places_of(["a", "b", "a", "a"]) == [(0, 3), (0, 1), (1, 3), (2, 3)]


IN_AN_ACTOR = """
import json, ray, ray.util, sys
from vllm.config import ParallelConfig
from vllm.v1.executor import ray_utils
from reghar.run.replica_worker import inside_ray

# What vLLM asks where it runs, as it is in an actor with a bundle.
ray.is_initialized = lambda: True
ray_utils.ray_is_available = lambda: True
ray.util.get_current_placement_group = lambda: "a group"

def backend(**arguments):
    return ParallelConfig(**arguments).distributed_executor_backend

print(json.dumps({
    size: (backend(tensor_parallel_size=size), backend(**inside_ray({"tensor_parallel_size": size})))
    for size in (1, 2, 8)
}))
"""


@pytest.mark.engine
@pytest.mark.timeout(240)
def test_a_replica_with_several_gpus_keeps_its_workers_in_its_one_bundle() -> None:
    """vLLM's own configuration code; in a process of its own, since importing it warns."""
    command = [sys.executable, "-c", IN_AN_ACTOR]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    chosen = json.loads(done.stdout.splitlines()[-1])
    assert chosen == {"1": ["uni", "uni"], "2": ["ray", "mp"], "8": ["ray", "mp"]}


def test_the_users_own_executor_wins() -> None:
    given = {"tensor_parallel_size": 2, "distributed_executor_backend": "ray"}
    assert gpus_of(given) == 2
    assert inside_ray(given) == given


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_two_replicas_of_a_model_and_one_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        *("run", "--model", "demo:terse", "--tasks", "ladder", "--limit", "60", "--samples", "2"),
        *("--max-tokens", "256", "--budgets", "0,32,64,128", "--frontier", "none", "--concurrency", "4"),
        *("--engine", "ray", "--replicas", "2", "--engine-arg", "max_model_len=512", "--out", str(out)),
    ]
    with running(command, VLLM_CPU_KVCACHE_SPACE="1") as process:
        wait_for_part(process, out, 300)
        before = replicas(process)
        assert len(before) == 2
        stored = len(pd.read_parquet(out / "traces"))
        before[0].kill()
        _, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    assert stored < 120, "it was killed in the middle"
    traces = pd.read_parquet(out / "traces")
    assert len(traces) == 120
    assert not traces.duplicated(["task", "problem", "sample"]).any()
    report = json.loads((out / "report.json").read_text())
    assert report["complete"]
    assert report["cost"]["probe_prompt_tokens_cached"] > 0, "a probe runs where its trace ran"
