"""`reghar recommend` on stored runs: the figures recomputed from the tables, and bad input in one line."""

from __future__ import annotations

import datetime
import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.page_runs import write_run as write_page_run
from helpers.stored_runs import write_data, write_run

from reghar.cli import main
from reghar.errors import InputError
from reghar.measures.prices import gpu_price, listed_price
from reghar.measures.recommendation import recommendations
from reghar.measures.serving import serving_of
from reghar.measures.written import written_tokens
from reghar.prompting.scripted import ByteTokenizer
from reghar.report.build import build_report
from reghar.report.page.build import PageRun, index
from reghar.report.serving import recommendations_text
from reghar.report.to_paste import lines_to_paste
from reghar.store import load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommend")
    return write_run(folder / "run", write_data(folder / "data"), seed=1)


def test_figures_are_those_of_the_tables(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = ["--price-input", "1", "--price-output", "2"]
    assert main(["recommend", str(run), "--json", "--margin", "0.2", *prices]) == 0
    result = json.loads(capsys.readouterr().out)
    stored = load_run(run)
    last = result["budgets"][-1]
    means = [stored.outcomes(task).correct[..., -1].mean() for task in stored.tasks]
    assert last["accuracy"] == pytest.approx(sum(means) / 2)
    answers = stored.answers[(stored.answers["budget"] == 0) & stored.answers["forced"]]
    by_task = answers["token_ids"].map(len).groupby(answers["task"]).mean()
    assert result["budgets"][0]["tokens"] == pytest.approx(by_task.mean())
    prompt = stored.traces.groupby("task")["prompt_tokens"].mean().mean()
    assert last["price_per_1000"] == pytest.approx((prompt + 2 * last["tokens"]) / 1000)
    passed = [row["verdict"] == "not worse" for row in result["budgets"]]
    first = len(passed) - (passed[::-1].index(False) if False in passed else len(passed))
    expected = result["budgets"][first]["budget"] if first < len(passed) else None
    assert result["recommended"] == expected


def test_the_terminal_says_the_answer_first(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", str(run), "--margin", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Serve with ")
    assert "count response tokens" in shown
    assert main(["recommend", str(run), "--margin", "0.00001"]) == 0
    assert capsys.readouterr().out.startswith(("No budget is shown", "Serve with 512"))


def test_the_page_takes_the_same_rule(tmp_path: Path) -> None:
    for problems, samples in ((6, 6), (1, 2)):
        stored = write_page_run(tmp_path / str(problems), problems=problems, samples=samples)
        report = build_report(stored, replicates=50)
        (task,) = index([PageRun(run=stored, report=report)], served=False)["runs"][0]["tasks"].values()
        if problems == 1:
            assert task["serve"]["at"] is None
            assert "from 1 problem" in task["serve"]["why"]
        else:
            serving = serving_of([stored.outcomes(stored.tasks[0])])
            at = task["serve"]["at"]
            assert (None if at is None else serving.budgets[at]) == serving.recommended
            assert (at is None) == (task["serve"]["why"] is not None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--margin", "1.5"], "--margin 1.5: give the accuracy"),
        (["--margin", "nan"], "--margin nan: give the accuracy"),
        (["--price-input", "1"], "a price needs both"),
        (["--price-input", "-1", "--price-output", "1"], "--price-input -1: give the price"),
        (["--price-input", "1", "--price-output", "nan"], "--price-output nan: give the price"),
    ],
)
def test_bad_input_is_one_line(
    run: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(run), *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two wrap-ups over the same traces."""
    folder = tmp_path_factory.mktemp("served")
    words = ["run", "--engine", "scripted", "--tasks", "ladder", "--limit", "8", "--samples", "2"]
    words += [
        "--budgets",
        "0,64,2048",
        "--max-tokens",
        "3000",
        "--frontier",
        "none",
        "--out",
        str(folder / "run"),
    ]
    assert main(words) == 0
    again = ["probe", str(folder / "run"), "--wrap-up", "close", "--wrap-up", "qwen", "--wrap-up", "s1"]
    assert main([*again, "--out", str(folder)]) == 0
    return folder


def test_of_several_wrap_ups_the_cheapest_is_taken(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    both = [str(served / "close"), str(served / "qwen")]
    asked = ["recommend", *both, "--margin", "0.5", "--price-input", "1", "--price-output", "2"]
    assert main([*asked, "--json", "--figure", str(tmp_path / "serve.png")]) == 0
    found = json.loads(capsys.readouterr().out)
    alone = {}
    for label, path in zip(("close", "qwen"), both, strict=True):
        assert main(["recommend", path, *asked[3:], "--json"]) == 0
        alone[label] = json.loads(capsys.readouterr().out)
    assert found["runs"] == alone
    tokens = {
        label: next(row["tokens"] for row in one["budgets"] if row["budget"] == one["recommended"])
        for label, one in alone.items()
    }
    assert found["choice"] == min(tokens, key=tokens.__getitem__)
    assert {file.name for file in tmp_path.iterdir()} == {"serve.png", "serve.svg"}
    assert "Price of 1,000 responses" in (tmp_path / "serve.svg").read_text()
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Of 2, take {found['choice']}")


def test_lines_to_paste_are_of_engines_that_do_what_was_measured(served: Path) -> None:
    found = {
        name: {one["engine"]: one for one in lines_to_paste(load_run(served / name), 64)}
        for name in ("close", "s1", "qwen")
    }
    assert {name: list(one) for name, one in found.items()} == {
        "close": ["vLLM", "llama.cpp", "SGLang"],
        "s1": ["vLLM"],
        "qwen": ["vLLM", "llama.cpp"],
    }
    words = shlex.split(found["s1"]["vLLM"]["server"] or "")
    assert json.loads(words[-1]) == {
        "reasoning_start_str": "<think>",
        "reasoning_end_str": "</think>\nFinal Answer:",
    }
    assert json.loads(found["s1"]["vLLM"]["request"] or "") == {"thinking_token_budget": 64}
    words = shlex.split(found["qwen"]["llama.cpp"]["server"] or "")
    assert words[-3] == "64"
    assert words[-1].startswith("\n\nConsidering the limited time")
    assert words[-1].endswith("directly now.\n")
    assert lines_to_paste(load_run(served / "run"), 64) == []
    assert lines_to_paste(load_run(served / "close"), None) == []


def test_tokens_are_thinking_wrap_up_and_answer(served: Path) -> None:
    """Counted again from the tables, a trace at a time."""
    run = load_run(served / "qwen")
    answer, total = written_tokens(run, "ladder")
    traces = run.traces.set_index(["problem", "sample"])
    outcomes = run.outcomes("ladder")
    text = run.protocol.probe.text.replace("{close_thinking}", "</think>")
    wrap_up = len(ByteTokenizer().encode_text(text))
    forced = run.answers[run.answers["forced"]]
    assert len(forced)
    for row in forced.itertuples():
        problem, budget = outcomes.problems.index(row.problem), list(outcomes.budgets).index(row.budget)
        trace = traces.loc[(row.problem, row.sample)]
        kept = min(trace["thinking_start"] + row.budget, trace["length"])
        assert answer[problem, row.sample, budget] == len(row.token_ids)
        assert total[problem, row.sample, budget] == kept + wrap_up + len(row.token_ids)
    uncut = outcomes.finished[:, :, None] & (outcomes.counted[:, :, None] <= outcomes.budgets)
    assert uncut.any()
    lengths = np.broadcast_to(outcomes.length[:, :, None], uncut.shape)
    assert (total[uncut] == lengths[uncut]).all()
    assert (answer[uncut] < lengths[uncut]).all()


def test_an_hour_of_hardware_is_a_price_of_tokens() -> None:
    price = gpu_price(3.6, 1000.0)  # 3.6 million tokens an hour
    assert price.per_thousand(prompt=500, written=1000) == pytest.approx(1.0)
    assert "3.6 an hour at 1000 tokens per second" in price.source


def test_listed_prices_have_a_source_and_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    class Snapshot:
        def find_provider_model(self, model: str, *_: object) -> tuple[Any, Any]:
            if model != "known":
                raise LookupError(model)
            prices = SimpleNamespace(input_mtok=SimpleNamespace(base=2), output_mtok=8)
            return SimpleNamespace(name="P"), SimpleNamespace(id="known", get_prices=lambda _: prices)

    from genai_prices import data_snapshot

    monkeypatch.setattr(data_snapshot, "get_snapshot", Snapshot)
    price = listed_price("known", datetime.date(2026, 1, 2))
    assert (price.input, price.output) == (2.0, 8.0)
    assert "P known, as genai-prices" in price.source
    assert price.source.endswith("for 2026-01-02")
    with pytest.raises(InputError, match="does not know it"):
        listed_price("other")


def test_the_packages_own_list_is_read() -> None:
    price = listed_price("gpt-4o")
    assert 0 < price.input < price.output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gpu-hour-price", "2"], "needs both --gpu-hour-price and --tokens-per-second"),
        (["--gpu-hour-price", "-1", "--tokens-per-second", "9"], "--gpu-hour-price -1: give the price"),
        (
            ["--gpu-hour-price", "1", "--tokens-per-second", "0"],
            "--tokens-per-second 0: give a number above 0",
        ),
        (["--gpu-hour-price", "nan", "--tokens-per-second", "9"], "--gpu-hour-price nan"),
        (["--price-model", "no-such-model-anywhere"], "does not know it; give --price-input"),
        (["--price-model", "x", "--price-input", "1", "--price-output", "1"], "give one price"),
    ],
)
def test_prices_that_are_none(
    run: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(run), *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_other_traces_are_no_choice(served: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", str(served / "close"), str(run)]) == 2
    assert "are no probings of the same traces" in capsys.readouterr().err
    shutil.copytree(served / "close", served / "other-seed")
    manifest = json.loads((served / "other-seed" / "run.json").read_text()) | {"seed": 7}
    (served / "other-seed" / "run.json").write_text(json.dumps(manifest))
    assert main(["recommend", str(served / "close"), f"b={served / 'other-seed'}"]) == 2
    assert "seed: 0 != 7" in capsys.readouterr().err
    assert main(["recommend", str(served / "close"), str(served / "close")]) == 2
    assert "two runs are called 'close': name them" in capsys.readouterr().err
    assert main(["recommend", f"a={served / 'close'}", f"b={served / 'close'}", "--margin", "0.5"]) == 0
    assert capsys.readouterr().out.startswith("Of 2, take a")


def test_no_choice_shows_each(served: Path) -> None:
    found = recommendations({name: load_run(served / name) for name in ("close", "qwen")})
    for result in found["runs"].values():
        result.update(recommended=None, to_paste=[])
    shown = recommendations_text(found | {"choice": None})
    assert shown.startswith("None of these")
    assert "\nclose:\nNo budget is shown" in shown
    assert "\nqwen:\nNo budget is shown" in shown
