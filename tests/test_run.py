"""`reghar run` from the command line to the report, on the scripted engine and real problems."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.stored_tables import TABLES, assert_same, tables

from reghar.cli import main, make_parser
from reghar.cli.run import settings_from
from reghar.run.context import probe_room
from reghar.run.planning import make_plan
from reghar.store import load_run
from reghar.store.parts import part_numbers


@pytest.fixture(scope="session")
def data_dir(benchmark_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real problems; two golds of three are 42, which the scripted engine finds if it thinks enough."""
    folder = tmp_path_factory.mktemp("data")
    for task in ("gsm8k", "amc23"):
        rows = [json.loads(line) for line in (benchmark_data / f"{task}.jsonl").read_text().splitlines()]
        for i, row in enumerate(rows):
            if i % 3:
                row["answer"] = "42"
        (folder / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def flags(data_dir: Path) -> list[str]:
    return [
        *("run", "--engine", "scripted", "--tasks", "gsm8k,amc23", "--data-dir", str(data_dir)),
        *("--limit", "8", "--samples", "4", "--budgets", "0,64,128,256,512", "--frontier", "none"),
        *("--max-tokens", "700"),
    ]


def test_the_whole_job(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main([*flags, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "gsm8k" in printed
    assert "report.md" in printed.replace("\n", "")
    for name in ("run.json", "report.json", "report.md", "curves.png"):
        assert (out / name).stat().st_size > 0

    stored = tables(out)
    assert len(stored["traces"]) == 2 * 8 * 4
    assert not stored["traces"].duplicated(["task", "problem", "sample"]).any()
    assert not stored["answers"].duplicated(["task", "problem", "sample", "budget"]).any()
    assert len(stored["scores"]) == len(stored["answers"])
    for _, trace in stored["traces"].iterrows():
        rows = stored["answers"].query(
            f"task == '{trace.task}' and problem == '{trace.problem}' and sample == {trace['sample']}"
        )
        expected = [b for b in (0, 64, 128, 256, 512) if trace.length > b or not trace.finished]
        assert sorted(rows["budget"].dropna()) == expected
        assert rows["budget"].isna().sum() == 1

    manifest = json.loads((out / "run.json").read_text())
    assert manifest["end"] is not None
    assert manifest["protocol"]["tasks"]["gsm8k"]["samples"] == 4
    assert manifest["versions"]["numpy"]


def test_the_curve_is_the_mean_of_the_stored_scores(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    main([*flags, "--out", str(out)])
    report = json.loads((out / "report.json").read_text())
    stored = tables(out)
    scores = stored["scores"].merge(stored["traces"][["task", "problem", "sample", "length", "finished"]])
    for task in ("gsm8k", "amc23"):
        mine = scores[scores["task"] == task]
        own = mine[mine["budget"].isna()].set_index(["problem", "sample"])
        for i, budget in enumerate(report["tasks"][task]["curve"]["budgets"]):
            forced = mine[mine["budget"] == budget].set_index(["problem", "sample"])["outcome"]
            within = own[own["finished"] & (own["length"] <= budget)]["outcome"]
            together = pd.concat([forced, within])
            assert len(together) == 32
            accuracy = report["tasks"][task]["curve"]["accuracy"][i]
            assert accuracy == pytest.approx((together == "correct").mean(), abs=1e-12)
        assert accuracy > 0.3, "so that a curve of zeros would not pass"


@pytest.mark.parametrize("release", ["auto", "in-flight", "together"])
def test_killed_and_resumed_is_the_same_as_never_killed(
    release: str, flags: list[str], tmp_path: Path
) -> None:
    """Whenever its probes are sent."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    main([*flags, "--out", str(whole)])
    flags = [*flags, "--probe-release", release]
    command = [sys.executable, "-m", "reghar", *flags, "--out", str(killed), "--concurrency", "2"]
    environment = {**os.environ, "REGHAR_SCRIPTED_PAUSE": "0.01", "REGHAR_FLUSH_SECONDS": "0.2"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(part_numbers(killed / "scores")) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {p: p.read_bytes() for t in TABLES for p in (killed / t).glob("part-*.parquet")}
    stored = sum(len(pd.read_parquet(p)) for p in before if p.parent.name == "traces")
    assert 0 < stored < 64, "the kill came in the middle"

    assert main([*flags, "--out", str(killed), "--resume"]) == 0
    for path, content in before.items():
        assert path.read_bytes() == content, f"{path} was stored and has changed"
    assert_same(killed, tables(whole))
    reports = [json.loads((path / "report.json").read_text()) for path in (killed, whole)]
    for report in reports:
        del report["cost"]  # holds the seconds that it took
    assert reports[0] == reports[1]


def test_a_finished_run_resumes_to_itself(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    main([*flags, "--out", str(out)])
    before = {p: p.read_bytes() for t in TABLES for p in (out / t).iterdir()}
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert {p: p.read_bytes() for t in TABLES for p in (out / t).iterdir()} == before


@pytest.mark.parametrize("table", TABLES)
def test_a_part_cut_short_is_skipped_and_done_again(
    table: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    main([*flags, "--out", str(out)])
    main([*flags, "--out", str(whole)])
    part = next((out / table).glob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-100])
    capsys.readouterr()
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert "was cut short: skipped" in capsys.readouterr().err
    assert_same(out, tables(whole))


def test_answers_lost_between_two_renames_are_probed_from_the_stored_traces(
    flags: list[str], tmp_path: Path
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    for path in (out, whole):
        main([*flags, "--out", str(path)])
    for table in ("answers", "scores"):
        for part in (out / table).glob("part-*.parquet"):
            part.unlink()
    traces = {p: p.read_bytes() for p in (out / "traces").iterdir()}
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert {p: p.read_bytes() for p in (out / "traces").iterdir()} == traces
    assert_same(out, tables(whole))


def test_interrupt_stores_what_is_finished_and_says_how_to_go_on(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "reghar", *flags, "--out", str(out), "--concurrency", "2"]
    environment = {**os.environ, "REGHAR_SCRIPTED_PAUSE": "0.01", "REGHAR_FLUSH_SECONDS": "0.2"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not part_numbers(out / "answers") and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"--out {out} --concurrency 2 --resume" in errors
    assert "Traceback" not in errors
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert load_run(out).complete


def test_score_grades_again_without_an_engine(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    main([*flags, "--out", str(out)])
    before = tables(out)
    assert main(["score", str(out)]) == 0
    assert_same(out, before)


def test_probe_uses_the_stored_traces(flags: list[str], tmp_path: Path) -> None:
    out, again = tmp_path / "run", tmp_path / "again"
    main([*flags, "--out", str(out)])
    arguments = ["probe", str(out), "--probe", "final-answer", "--budgets", "0,32,600", "--out", str(again)]
    assert main(arguments) == 0
    pd.testing.assert_frame_equal(tables(again)["traces"], tables(out)["traces"])
    assert set(tables(again)["answers"]["budget"].dropna()) <= {0, 32, 600}
    manifest = json.loads((again / "run.json").read_text())
    assert manifest["protocol"]["probe"]["name"] == "final-answer"
    assert manifest["digest"] != load_run(out).digest
    assert main(arguments) == 2, "an existing run is not overwritten"
    assert main([*arguments, "--resume"]) == 0


def test_dry_run_counts_and_writes_nothing(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "run"
    assert main([*flags, "--out", str(out), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "384" in printed, "64 traces and 64 x 5 probes"
    assert "44.8 k" in printed, "64 traces of 700 tokens"
    assert not out.exists()


def replace(flags: list[str], flag: str, value: str) -> list[str]:
    flags = list(flags)
    if flag in flags:
        flags[flags.index(flag) + 1] = value
        return flags
    return [*flags, flag, value]


BAD_INPUT: list[tuple[str, dict[str, str], str]] = [
    ("unknown task", {"--tasks": "gsm8"}, "gsm8k"),
    ("missing data", {"--data-dir": "/nowhere"}, "/nowhere"),
    ("budgets not integers", {"--budgets": "0,x"}, "x"),
    ("budgets negative", {"--budgets": "-1,64"}, "-1"),
    ("budgets repeated", {"--budgets": "0,64,64"}, "64"),
    ("budgets not increasing", {"--budgets": "64,0"}, "increas"),
    ("budgets above max-tokens", {"--budgets": "0,701"}, "max-tokens"),
    ("no samples", {"--samples": "0"}, "--samples"),
    ("samples of a task not run", {"--samples": "aime24=3"}, "aime24"),
    ("unknown probe", {"--probe": "nope"}, "reo-rl"),
    ("unknown frontier", {"--frontier": "Qwen3-4"}, "Qwen3-4B"),
    ("frontier without a task", {"--frontier": "Qwen3-4B"}, "gsm8k"),
    ("context too short", {"--engine-arg": "max_model_len=600"}, "context too short"),
    ("temperature", {"--temperature": "-1"}, "-1"),
    ("engine argument", {"--engine-arg": "nonsense"}, "key=value"),
    ("limit", {"--limit": "0"}, "--limit"),
    ("temperature no number", {"--temperature": "nan"}, "--temperature"),
    ("patience without end", {"--patience": "inf"}, "--patience"),
    ("negative seed", {"--seed": "-1"}, "--seed"),
    ("seed too large", {"--seed": str(2**32)}, "--seed"),
    ("samples without end", {"--samples": "9" * 20}, "--samples"),
    ("context no number", {"--engine-arg": "max_model_len=4k"}, "'4k'"),
    ("context negative", {"--engine-arg": "max_model_len=-1"}, "-1"),
    ("a secret that would be stored", {"--engine-arg": "hf_token=hf_SECRET"}, "HF_TOKEN"),
    ("text that is not UTF-8", {"--system-prompt": "\udcff"}, "not UTF-8"),
    ("dry run at no speed", {"--gpu-tokens-per-second": "0"}, "--gpu-tokens-per-second"),
]


@pytest.mark.parametrize(("changes", "says"), [case[1:] for case in BAD_INPUT], ids=[c[0] for c in BAD_INPUT])
def test_bad_input_is_one_line_and_exit_code_2(
    changes: dict[str, str],
    says: str,
    flags: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for flag, value in changes.items():
        flags = replace(flags, flag, value)
    assert main([*flags, f"--out={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "SECRET" not in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run" / "run.json").exists()


def test_model_that_does_not_exist(
    capsys: pytest.CaptureFixture[str], flags: list[str], tmp_path: Path
) -> None:
    words = [w for w in flags if w not in ("--engine", "scripted")]
    assert main([*words, "--model", "./no/such/model", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "./no/such/model" in error
    assert "does not exist" in error


@pytest.mark.parametrize("argument", ["tokenize=true", "add_generation_prompt=false", "chat_template=5"])
def test_template_arguments_that_are_no_templates(
    argument: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--model", "demo:terse", "--chat-template-arg", argument, "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "--chat-template-arg" in capsys.readouterr().err


def test_budgets_of_thinking_leave_room_for_an_answer_after_the_longest_trace(flags: list[str]) -> None:
    def needed(*more: str) -> tuple[int, int]:
        arguments = make_parser().parse_args([*replace(flags, "--budgets", "0,64,128"), *more])
        arguments.command_line = []
        plan = make_plan(settings_from(arguments))
        room = probe_room(plan.probe, plan.model, plan.delimiters)
        return plan.context_needed - plan.longest_prompt, plan.protocol.sampling.max_tokens + room

    context, with_answer = needed()
    assert context < with_answer, "a budget of response tokens cuts before the end"
    for more in (("--budget-counts", "thinking"), ("--control", "tokens", "--settings", "128")):
        context, with_answer = needed(*more)
        assert context >= with_answer
        # Where the context is short, the trace gives way.
        _, shorter = needed(*more, "--engine-arg", "max_model_len=1200")
        assert shorter < with_answer


def test_another_revision_of_the_model_is_another_run(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    main([*flags, "--out", str(out)])
    manifest = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**manifest, "revision": "an-old-one"}))
    assert main([*flags, "--out", str(out), "--resume"]) == 2
    assert "revision: 'an-old-one' != None" in capsys.readouterr().err


def test_resuming_with_another_interval_reports_that(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    main([*flags, "--out", str(out)])
    assert main([*flags, "--out", str(out), "--resume", "--interval", "samples"]) == 0
    assert json.loads((out / "report.json").read_text())["interval"]["kind"] == "samples"


@pytest.mark.parametrize("manifest", ["{}", "[]", '{"protocol": {}, "digest": "x", "model": "m"}', "nothing"])
@pytest.mark.parametrize("command", ["report", "view", "probe", "score"])
def test_a_manifest_that_is_none_is_one_line(
    command: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(manifest)
    assert main([command, str(tmp_path)]) == 2
    assert "not a run's manifest" in capsys.readouterr().err


def test_answers_of_a_trace_that_is_gone_go_with_it(flags: list[str], tmp_path: Path) -> None:
    """As after a kill in the middle of a repair: the damaged part is aside, its answers are still there."""
    out, whole = tmp_path / "run", tmp_path / "whole"
    for path in (out, whole):
        main([*flags, "--out", str(path)])
    part = next((out / "traces").glob("part-*.parquet"))
    part.rename(part.with_name(f".{part.name}.damaged"))
    assert main([*flags, "--out", str(out), "--resume"]) == 0
    assert_same(out, tables(whole))


def test_a_folder_of_another_protocol_is_refused_naming_the_settings(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    main([*flags, "--out", out])
    assert main([*flags, "--out", out]) == 2
    assert "--resume" in capsys.readouterr().err
    changed = [
        *replace(flags, "--budgets", "0,64"),
        "--top-p",
        "0.9",
        "--seed",
        "1",
        "--out",
        out,
        "--resume",
    ]
    assert main(changed) == 2
    error = capsys.readouterr().err
    for part in ("budgets: [0, 64, 128, 256, 512] != [0, 64]", "sampling.top_p: 0.95 != 0.9", "seed: 0 != 1"):
        assert part in error


def test_output_folder_that_cannot_be_written(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main([*flags, "--out", str(file / "run")]) == 2
    assert "not writable" in capsys.readouterr().err


def test_two_processes_cannot_write_one_run(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reghar.store import RunFolder

    with RunFolder(tmp_path / "run"):
        assert main([*flags, "--out", str(tmp_path / "run")]) == 2
    assert "in use by another process" in capsys.readouterr().err


def test_an_incomplete_run_is_marked(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    main([*flags, "--out", str(out)])
    for part in (out / "scores").iterdir():
        frame = pd.read_parquet(part)
        frame.iloc[:-3].to_parquet(part, index=False)
    assert not load_run(out).complete
    assert main(["report", str(out)]) == 0
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    assert report["complete"] is False
    assert "incomplete" in (out / "report.md").read_text().lower()
