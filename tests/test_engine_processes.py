"""The processes of the real engine: what a signal to them, or to the driver, leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from helpers.stored_tables import wait_for_part

from reghar.engines.warden import VARIABLE, kill_marked

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]

TRACES = 60 * 6


def driver(out: Path, *more: str) -> "subprocess.Popen[str]":
    command = [
        *("run", "--model", "demo:terse", "--tasks", "ladder", "--limit", "60", "--samples", "6"),
        *("--max-tokens", "256", "--budgets", "0,16,32,64,128,200", "--frontier", "none"),
        *("--concurrency", "8", "--engine-arg", "max_model_len=512", "--out", str(out), *more),
    ]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "REGHAR_FLUSH_SECONDS": "0.2"}
    return subprocess.Popen(
        [sys.executable, "-m", "reghar", *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def engine_of(process: "subprocess.Popen[str]", seconds: float = 240.0) -> tuple[str, list[int]]:
    """The engine's mark and processes, as soon as there are any."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found: dict[str, list[int]] = {}
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if (mark := child.environ().get(VARIABLE)) and child.status() != psutil.STATUS_ZOMBIE:
                    found.setdefault(mark, []).append(child.pid)
            except psutil.Error:
                continue
        if found:
            return next(iter(found.items()))
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    raise AssertionError("no engine")


def gone(mark: str, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(_carries(process, mark) for process in psutil.process_iter()):
            return True
        time.sleep(0.1)
    kill_marked(mark)
    return False


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(VARIABLE) == mark and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stored(out: Path) -> int:
    return len(pd.read_parquet(out / "traces"))


def test_signals_to_the_engine_in_the_middle_and_then_to_the_driver(tmp_path: Path) -> None:
    """One run: its engine is told to end, then stopped; then its driver is killed; then it is resumed."""
    out = tmp_path / "run"
    process = driver(out, "--patience", "5")
    try:
        wait_for_part(process, out, 300)
        for number in (signal.SIGTERM, signal.SIGSTOP):
            before = stored(out)
            mark, engine = engine_of(process)
            for pid in engine:
                os.kill(pid, number)
            assert gone(mark, 60), "hung or ending, it makes way for the next"
            end = time.monotonic() + 300
            while stored(out) <= before + 16 and time.monotonic() < end:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.1)
        assert stored(out) < TRACES, "it is still in the middle"
        mark, _ = engine_of(process)
        process.kill()
        process.wait()
        assert gone(mark), "an engine left behind would keep its memory"
    finally:
        process.kill()
        process.communicate()

    with driver(out, "--resume") as resumed:
        _, errors = resumed.communicate(timeout=900)
    assert resumed.returncode == 0, errors
    traces, answers = pd.read_parquet(out / "traces"), pd.read_parquet(out / "answers")
    assert len(traces) == TRACES
    assert not traces.duplicated(["task", "problem", "sample"]).any()
    ends_itself = traces["finished"] | (traces["length"] == 256)
    assert ends_itself.all(), "no stump is stored as a trace"
    length = traces.set_index(["problem", "sample"])["length"]
    cut = answers.dropna(subset=["budget"]).set_index(["problem", "sample"])["budget"]
    assert (cut < length.loc[cut.index].to_numpy()).all()
    assert json.loads((out / "report.json").read_text())["complete"]


def test_sigterm_while_the_model_loads_leaves_nothing_behind(tmp_path: Path) -> None:
    process = driver(tmp_path / "run")
    try:
        mark, _ = engine_of(process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert gone(mark)
    assert "Traceback" not in errors
    assert "--resume" in errors, "it says how to go on"
