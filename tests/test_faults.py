"""Whatever fails, nothing is lost, nothing is counted twice, and nothing hangs.

Each run goes through `reghar run` against a server that injects one fault; its stored tables must
be those of a run that nothing disturbed.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.loopback import BEYOND, TOKENIZER, Fault, Loopback, serving
from helpers.stored_tables import TABLES, assert_same, tables, wait_for_part

from reghar.cli import main
from reghar.errors import StorageError
from reghar.store import load_run
from reghar.store.parts import write_part

PAIRS = 6 * 3


@pytest.fixture
def flags(benchmark_data: Path) -> list[str]:
    return [
        *("run", "--tasks", "gsm8k", "--data-dir", str(benchmark_data), "--limit", "6", "--samples", "3"),
        *("--budgets", "0,64,128,256", "--max-tokens", "400", "--frontier", "none", "--concurrency", "4"),
    ]


@pytest.fixture
def undisturbed(flags: list[str], tmp_path: Path) -> dict[str, pd.DataFrame]:
    assert main([*flags, "--engine", "scripted", "--out", str(tmp_path / "undisturbed")]) == 0
    return tables(tmp_path / "undisturbed")


def served(flags: list[str], *servers: Loopback) -> list[str]:
    urls = ",".join(server.url for server in servers)
    return [*flags, "--engine", "openai", "--model", "scripted", "--base-url", urls]


def first(count: int, fault: Fault) -> Callable[[int], Fault]:
    return lambda number: fault if number < count else None


def every(nth: int, fault: Fault) -> Callable[[int], Fault]:
    return lambda number: fault if number % nth == nth - 1 else None


FAULTS: dict[str, Callable[[int], Fault]] = {
    "none": lambda _: None,
    "500 for a while": first(5, (500, {})),
    "503 now and then": every(4, (503, {})),
    "408": first(1, (408, {})),
    "429 with Retry-After": first(3, (429, {"Retry-After": "1"})),
    "closed in mid-stream": every(5, "cut"),
    "stalls": lambda number: "stall" if number in (2, 9) else None,
    "truncated JSON": every(6, "truncate"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_that_passes_leaves_no_trace_in_the_results(
    fault: Callable[[int], Fault], flags: list[str], undisturbed: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    with serving(fault=fault) as server:
        command = [*served(flags, server), "--request-timeout", "0.7", "--out", str(tmp_path / "run")]
        assert main(command) == 0
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.timeout(60)
def test_retry_after_is_honoured(flags: list[str], tmp_path: Path) -> None:
    with serving(fault=first(4, (429, {"Retry-After": "2"}))) as server:
        assert main([*served(flags, server), "--out", str(tmp_path / "run")]) == 0
        before, after = server.arrivals[:4], server.arrivals[4]
    assert after - before[0] >= 1.99, "4 requests were in flight and told to wait; then nothing for 2 s"


@pytest.mark.timeout(60)
def test_ids_beyond_the_vocabulary_are_stored_but_never_sent_back(flags: list[str], tmp_path: Path) -> None:
    with serving(fault=lambda _: "beyond") as server:
        assert main([*served(flags, server), "--out", str(tmp_path / "run")]) == 0
        assert not any(BEYOND in body["prompt"] for body in server.bodies)
    stored = tables(tmp_path / "run")
    assert len(stored["traces"]) == PAIRS
    assert all(ids[0] == BEYOND for ids in stored["traces"]["token_ids"])
    cut = stored["answers"][stored["answers"]["budget"] > 0]
    assert (cut["dropped_tokens"] == 1).all()


@pytest.mark.timeout(60)
def test_a_server_that_dies_for_good_ends_in_exit_3_and_resuming_completes(
    flags: list[str],
    undisturbed: dict[str, pd.DataFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    with serving() as server:

        def fault(number: int) -> Fault:
            if number == 40:
                server.die()
            return None

        server.fault = fault
        assert main([*served(flags, server), "--patience", "1.5", "--out", str(out)]) == 3
    error = capsys.readouterr().err
    assert "--resume" in error
    assert "no server has answered" in error
    before = {p: p.read_bytes() for t in TABLES for p in (out / t).glob("part-*.parquet")}
    stored = len(pd.read_parquet(out / "traces"))
    assert 0 < stored < PAIRS, "it died in the middle"
    with serving() as another:
        assert main([*served(flags, another), "--out", str(out), "--resume"]) == 0
        traces = sum(not TOKENIZER.decode(b["prompt"]).endswith("boxed{") for b in another.bodies)
    assert traces == PAIRS - stored, "only what was missing"
    assert all(path.read_bytes() == content for path, content in before.items())
    assert_same(out, undisturbed)


@pytest.mark.timeout(60)
def test_the_work_of_a_dead_server_moves_to_the_other(
    flags: list[str], undisturbed: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    with serving() as mortal, serving() as other:

        def fault(number: int) -> Fault:
            if number == 15:
                mortal.die()
            return None

        mortal.fault = fault
        assert main([*served(flags, mortal, other), "--out", str(tmp_path / "run")]) == 0
        assert len(mortal.bodies) >= 15
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.timeout(60)
def test_a_refused_request_ends_the_run_at_once(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(fault=every(10, (400, {}))) as server:
        assert main([*served(flags, server), "--out", str(tmp_path / "run")]) == 3
    assert "refuses a request with 400: fault 400" in capsys.readouterr().err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", [(500, {}), (429, {"Retry-After": "1"}), "cut"], ids=["500", "429", "cut"])
def test_a_fault_that_never_passes_ends_the_run(
    fault: Fault, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(fault=lambda _: fault) as server:
        assert main([*served(flags, server), "--patience", "3", "--out", str(tmp_path / "run")]) == 3
    assert len(capsys.readouterr().err.strip().splitlines()) == 4, "two of the start, how to go on, the error"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("at", [1, 3, 5])
def test_disk_full_while_writing(
    at: int,
    flags: list[str],
    undisturbed: dict[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    command = [*flags, "--engine", "scripted", "--out", str(out)]
    calls = 0

    def full(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls > at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr("reghar.store.folder.FLUSH_SECONDS", 0.0)
        assert main(command) == 3
    assert "No space left on device" in capsys.readouterr().err
    hidden = [path for path in out.rglob(".*") if path.name != ".lock"]
    assert hidden == [], "nothing half-written is left behind"
    assert main([*command, *(["--resume"] if (out / "run.json").exists() else [])]) == 0
    assert_same(out, undisturbed)


@pytest.mark.timeout(60)
def test_a_disk_that_is_full_once_between_traces_and_answers(
    flags: list[str], undisturbed: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is written again while the run ends: its traces must not be there twice."""
    out = tmp_path / "run"
    command = [*flags, "--engine", "scripted", "--out", str(out)]
    failed = False

    def once(folder: Path, *arguments: Any) -> None:
        nonlocal failed
        if folder.name == "answers" and not failed:
            failed = True
            raise StorageError("no space for a moment")
        write_part(folder, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("reghar.store.folder.write_part", once)
        patch.setattr("reghar.store.folder.FLUSH_SECONDS", 0.0)
        assert main(command) == 3
    assert not pd.read_parquet(out / "traces").duplicated(["task", "problem", "sample"]).any()
    assert main([*command, "--resume"]) == 0
    assert_same(out, undisturbed)


@pytest.mark.timeout(60)
def test_a_disk_that_takes_no_more_bytes(
    flags: list[str], undisturbed: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [*flags, "--engine", "scripted", "--out", str(out)]
    # The kernel's own refusal: a write beyond the limit fails as it would on a full disk.
    limited = f"ulimit -f 8; exec {sys.executable} -m reghar {' '.join(command)}"
    process = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=50)
    assert process.returncode == 3, process.stderr
    assert "Traceback" not in process.stderr
    assert main([*command, *(["--resume"] if (out / "run.json").exists() else [])]) == 0
    assert_same(out, undisturbed)


def start(command: list[str], out: Path) -> subprocess.Popen[str]:
    """A slow run in a process of its own, once it has stored something and is still running."""
    environment = {**os.environ, "REGHAR_SCRIPTED_PAUSE": "0.03", "REGHAR_FLUSH_SECONDS": "0.2"}
    process = subprocess.Popen(
        [sys.executable, "-m", "reghar", *command], env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for_part(process, out, 40)
    return process


@pytest.mark.timeout(90)
def test_sigterm_stores_what_is_finished_and_a_second_process_is_refused_meanwhile(
    flags: list[str],
    undisturbed: dict[str, pd.DataFrame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    command = [*flags, "--engine", "scripted", "--out", str(out)]
    process = start(command, out)
    assert main([*command, "--resume"]) == 2
    assert "in use by another process" in capsys.readouterr().err
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert 0 < len(pd.read_parquet(out / "traces")) < PAIRS
    assert main([*command, "--resume"]) == 0
    assert_same(out, undisturbed)


@pytest.mark.timeout(60)
def test_sigterm_while_a_server_stalls(flags: list[str], tmp_path: Path) -> None:
    with serving(fault=lambda number: "stall" if number > 20 else None) as server:
        command = [*served(flags, server), "--out", str(tmp_path / "run")]
        process = subprocess.Popen(
            [sys.executable, "-m", "reghar", *command], stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 40
        while len(server.bodies) < 22 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors


@pytest.mark.timeout(60)
def test_a_clock_that_goes_backwards(
    flags: list[str], undisturbed: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = iter(range(2_000_000_000, 0, -60))
    lock = threading.Lock()

    def earlier() -> float:
        with lock:
            return float(next(backwards))

    out = tmp_path / "run"
    with serving(fault=first(2, (429, {"Retry-After": "1"}))) as server, monkeypatch.context() as patch:
        patch.setattr(time, "time", earlier)
        assert main([*served(flags, server), "--out", str(out)]) == 0
    assert_same(out, undisturbed)
    report = json.loads((out / "report.json").read_text())
    assert 0 < report["cost"]["seconds"] < 60
    assert load_run(out).complete
