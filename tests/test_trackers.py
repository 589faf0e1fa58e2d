"""`--track`: what trackio, wandb and mlflow hold afterwards, read back; and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.needs import ROOT, trackers_python
from helpers.stored_runs import worse_copy, write_data, write_run

from reghar.cli import main
from reghar.errors import InputError
from reghar.report.schema import Report
from reghar.store import load_run
from reghar.trackers import trackio
from reghar.trackers.record import Record
from reghar.trackers.tracker import TRACKERS, Tracker


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tracked")
    data = write_data(folder)
    first = write_run(folder / "first", data, seed=1, samples=4, limit=12)
    return {"first": first, "worse": worse_copy(first, folder / "worse", share=0.4)}


def tracked(tracker: str, folder: Path, commands: list[list[str]]) -> list[dict[str, Any]]:
    """The commands, in the environment with the trackers; nothing leaves this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        "TRACKIO_DIR": str(folder / "trackio"),
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "MLFLOW_TRACKING_URI": f"file:{folder / 'mlruns'}",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    command = [str(trackers_python()), "-m", "helpers.tracked", tracker, json.dumps(commands)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("tracker", TRACKERS)
def test_checkpoints_line_up_in_one_run(tracker: str, runs: dict[str, Path], tmp_path: Path) -> None:
    track = ["--track", tracker, "--project", "P", "--format", "json"]
    commands = [
        ["report", str(runs[name]), "--out", str(tmp_path / name), *track, "--step", step]
        for name, step in (("worse", "20"), ("first", "10"))
    ]
    entries = {entry["step"]: entry for entry in tracked(tracker, tmp_path / "held", commands)}
    assert set(entries) == {10, 20}
    assert {entry["run"] for entry in entries.values()} == {f"reghar-{load_run(runs['first']).digest[:8]}"}
    assert {entry["project"] for entry in entries.values()} == {"P"}
    for name, step in (("worse", 20), ("first", 10)):
        entry, report = entries[step], Report.read(tmp_path / name)
        assert entry["about"]["digest"] == report.digest
        accuracy = report.tasks["aime24"].measure("accuracy_full")
        assert accuracy is not None
        figures = [entry["figures"][f"aime24/accuracy_full{end}"] for end in ("", "_low", "_high")]
        assert figures == [accuracy.value, accuracy.low, accuracy.high]
        average = report.average.measure("mean_length")
        assert average is not None
        assert entry["figures"]["average/mean_length"] == average.value
        curve = [row for row in entry["tables"]["curve"] if row["task"] == "amc23"]
        assert [row["budget"] for row in curve] == list(report.tasks["amc23"].curve.budgets)
        # MLflow's tables have 10 digits.
        assert [row["accuracy"] for row in curve] == pytest.approx(report.tasks["amc23"].curve.accuracy)
        assert {"area", "mean_length"} <= {row["measure"] for row in entry["tables"]["measures"]}
        assert entry["pictures"]["curves"] == (tmp_path / name / "curves.png").stat().st_size


def test_a_comparison_is_tracked(runs: dict[str, Path], tmp_path: Path) -> None:
    command = ["compare", f"base={runs['first']}", f"cut={runs['worse']}", "--track", "trackio"]
    (entry,) = tracked("trackio", tmp_path, [command])
    assert (entry["project"], entry["run"]) == ("reghar", "compare-base")
    gap = entry["figures"]["aime24/accuracy_full/cut_difference"]
    base, cut = (entry["figures"][f"aime24/accuracy_full/{side}"] for side in ("base", "cut"))
    assert gap == pytest.approx(cut - base)
    assert gap < 0
    assert entry["figures"]["aime24/accuracy_full/cut_difference_high"] < 0
    (row,) = [
        one
        for one in entry["tables"]["comparison"]
        if (one["task"], one["side"], one["measure"]) == ("average", "cut", "accuracy_full")
    ]
    assert row["p"] < 0.05
    assert entry["pictures"]["scatter"] > 1000


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize("command", ["report", "compare"])
def test_one_that_is_not_installed_is_said_first(
    tracker: str,
    command: str,
    runs: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, tracker, None)
    capsys.readouterr()
    assert main([command, str(runs["first"]), str(runs["worse"]), "--track", tracker]) == 2
    streams = capsys.readouterr()
    assert f"pip install 'reghar[{tracker}]'" in streams.err
    assert streams.out == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--step", "3"], "belong to --track"),
        (["--project", "P"], "belong to --track"),
        (["--track", "trackio", "--step", "-1"], "at least 0"),
        (["--track", "trackio", "--project", " "], "is empty"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], says: str, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["report", str(runs["first"]), *options]) == 2
    assert says in capsys.readouterr().err


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """What a stand-in for the adapter of trackio is handed."""
    records: list[Record] = []
    monkeypatch.setattr("reghar.trackers.tracker.find_spec", lambda _: True)
    monkeypatch.setattr(trackio, "send", lambda record, *_: records.append(record))
    return records


def test_several_runs_are_runs_of_the_tracker(
    runs: dict[str, Path], sent: list[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["report", "--track", "trackio", "--step", "5", "--out", str(tmp_path)]
    assert main([*command, f"base={runs['first']}", f"cut={runs['worse']}"]) == 0
    assert [record.name for record in sent] == ["base", "cut"]
    capsys.readouterr()
    assert main([*command, str(runs["first"]), str(runs["worse"])]) == 2
    assert "name them" in capsys.readouterr().err
    assert len(sent) == 2


def test_a_tracker_that_fails_loses_nothing(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr("reghar.trackers.tracker.find_spec", lambda _: True)
    monkeypatch.setattr(trackio, "send", fails)
    capsys.readouterr()
    assert main(["report", str(runs["first"]), "--track", "trackio", "--out", str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith("reghar: error: trackio failed: ConnectionError: no route; ")
    assert Report.read(tmp_path).complete


def test_standard_output_is_the_report_alone(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reghar.trackers.tracker.find_spec", lambda _: True)
    monkeypatch.setattr(trackio, "send", lambda *_: print("* a tracker talks"))  # noqa: T201
    capsys.readouterr()
    command = ["report", str(runs["first"]), "--track", "trackio", "--out", str(tmp_path), "--format", "json"]
    assert main(command) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out)["schema"] == "reghar.report/1"
    assert "* a tracker talks" in streams.err


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(InputError, match="none of trackio, wandb, mlflow"):
        Tracker(name="tensorboard")
