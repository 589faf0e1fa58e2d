"""`reghar run --until-width`: samples in rounds, and what the rule claims."""

import json
import re
from pathlib import Path

import pytest
from helpers.stored_tables import assert_same, tables

from reghar.cli import main
from reghar.engines.scripted import ScriptedEngine
from reghar.errors import EngineError
from reghar.measures.sequential import next_samples


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    rows = [
        {"id": str(i), "question": f"What is {i} + {i}?", "answer": f"#### {42 if i % 3 else i}"}
        for i in range(8)
    ]
    (tmp_path / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        *("run", "--engine", "scripted", "--tasks", "gsm8k", "--data-dir", str(tmp_path)),
        *("--budgets", "0,128,512", "--frontier", "none", "--max-tokens", "700", "--interval", "samples"),
    ]


def samples_of(run: Path) -> int:
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["end"] is not None
    return manifest["protocol"]["tasks"]["gsm8k"]["samples"]


def width_of(run: Path) -> float:
    report = json.loads((run / "report.json").read_text())
    measures = {measure["name"]: measure for measure in report["tasks"]["gsm8k"]["measures"]}
    return 100 * (measures["accuracy_full"]["high"] - measures["accuracy_full"]["low"])


def test_it_stops_at_the_first_round_that_is_narrow_enough(flags: list[str], tmp_path: Path) -> None:
    widths = {}
    for samples in (4, 6, 9, 14, 21):
        out = tmp_path / f"fixed{samples}"
        assert main([*flags, "--samples", str(samples), "--out", str(out)]) == 0
        widths[samples] = width_of(out)
    wanted = (widths[9] + widths[6]) / 2
    first = next(samples for samples, width in widths.items() if width < wanted)
    assert first > 4
    out = tmp_path / "run"
    assert main([*flags, "--until-width", str(wanted), "--out", str(out)]) == 0
    assert samples_of(out) == first
    assert width_of(out) == widths[first]
    # Sample by sample the run that would have asked for so many at once.
    assert_same(out, tables(tmp_path / f"fixed{first}"))


def test_a_narrower_width_goes_on_where_the_run_stopped(flags: list[str], tmp_path: Path) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*flags, "--until-width", "40", "--samples", "9", "--out", str(out)]) == 0
    before = samples_of(out)
    assert main([*flags, "--until-width", "1", "--samples", "9", "--out", str(out), "--resume"]) == 0
    assert before < samples_of(out) == 9
    assert json.loads((out / "run.json").read_text())["settings"]["until_width"] == 1
    assert main([*flags, "--until-width", "1", "--samples", "9", "--out", str(whole)]) == 0
    assert_same(out, tables(whole))


def test_a_round_that_broke_off_is_finished_first(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    asked = [*flags, "--until-width", "1", "--samples", "6"]
    assert main([*asked, "--out", str(whole)]) == 0
    generate, calls = ScriptedEngine.generate, 0

    def breaking(engine: ScriptedEngine, *args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 120:
            raise EngineError("gone")
        return generate(engine, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ScriptedEngine, "generate", breaking)
    monkeypatch.setattr("reghar.store.folder.FLUSH_SECONDS", 0.0)
    assert main([*asked, "--concurrency", "2", "--out", str(out)]) == 3
    monkeypatch.setattr(ScriptedEngine, "generate", generate)
    manifest = json.loads((out / "run.json").read_text())
    planned = manifest["protocol"]["tasks"]["gsm8k"]["samples"] * 8
    assert manifest["end"] is None
    assert 0 < len(tables(out)["traces"]) < planned  # an incomplete run, and it says so
    assert main([*asked, "--out", str(out), "--resume"]) == 0
    assert samples_of(out) == 6
    assert_same(out, tables(whole))


def test_problems_that_differ_too_much_end_it(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main([*flags, "--interval", "problems", "--until-width", "5", "--out", str(out)]) == 0
    assert samples_of(out) < 32
    assert "samples alone cannot make it narrower" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--until-width", "0"], "--until-width must be above 0 and below 100 percentage points, not 0.0"),
        (["--until-width", "nan"], "--until-width must be above 0"),
        (["--until-width", "3", "--samples", "2"], "--samples must be at least 4, not 2 (gsm8k)"),
    ],
)
def test_what_cannot_be(
    asked: list[str], message: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, *asked, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_a_run_goes_on_as_it_began(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed, rounds = tmp_path / "fixed", tmp_path / "rounds"
    assert main([*flags, "--samples", "4", "--out", str(fixed)]) == 0
    assert main([*flags, "--until-width", "9", "--out", str(fixed), "--resume"]) == 2
    assert "was started without --until-width and cannot go on with it" in capsys.readouterr().err
    assert main([*flags, "--until-width", "1", "--samples", "6", "--out", str(rounds)]) == 0
    assert main([*flags, "--samples", "6", "--out", str(rounds), "--resume"]) == 2
    assert main([*flags, "--until-width", "1", "--samples", "4", "--out", str(rounds), "--resume"]) == 2
    assert "has 6 samples per problem of gsm8k, more than the 4" in capsys.readouterr().err


def test_a_dry_run_counts_the_most(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*flags, "--until-width", "5", "--samples", "30", "--dry-run"]) == 0
    assert re.search(r"gsm8k +8 +30 ", capsys.readouterr().out)


def test_rounds_end_at_the_most() -> None:
    seen = [4]
    while seen[-1] < 32:
        seen.append(next_samples(seen[-1], 32))
    assert seen == [4, 6, 9, 14, 21, 32]
    assert next_samples(21, 24) == 24
