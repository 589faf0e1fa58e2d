"""Wrap-ups: what an engine's thinking budget appends, and the free answer after it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from test_schedule import QUESTION, FixedEngine, do, schedule

from reghar.cli import main
from reghar.errors import InputError
from reghar.generation.jobs import Job
from reghar.prompting.probes import make_probe
from reghar.prompting.scripted import ByteTokenizer
from reghar.prompting.thinking import find_delimiters
from reghar.prompting.wrap_ups import ANSWER_TOKENS, WRAP_UPS, make_wrap_up, require_closing
from reghar.run.checks import check_settings
from reghar.run.settings import RunSettings
from reghar.store import load_run

DELIMITERS = find_delimiters(ByteTokenizer())
RUN = (
    "run",
    "--engine",
    "scripted",
    "--tasks",
    "ladder",
    "--limit",
    "3",
    "--samples",
    "2",
    "--frontier",
    "none",
)
GRID = ("--budgets", "0,16,64", "--max-tokens", "300", "--frontier", "none")


def test_presets_are_the_published_texts() -> None:
    """Letter for letter: models were trained on them, and engines append them."""
    rendered = {name: make_wrap_up(name, None).render(DELIMITERS, thinking_open=True) for name in WRAP_UPS}
    assert rendered == {
        "close": "</think>\n\n",
        "qwen": "\n\nConsidering the limited time by the user, I have to give the solution based on the "
        "thinking directly now.\n</think>\n\n",
        "s1": "</think>\nFinal Answer:",
        "seed": "<seed:cot_budget_reflect>I have exhausted my token budget, and now I will start answering "
        "the question.</seed:cot_budget_reflect>\n</think>",
    }


def test_thinking_is_closed_once_and_only_where_it_is_open() -> None:
    probe = make_wrap_up("close", None)
    assert probe.render(DELIMITERS, thinking_open=False) == "\n\n"
    require_closing(probe, DELIMITERS)
    require_closing(make_wrap_up("Enough. </think> ", None), DELIMITERS)
    require_closing(make_wrap_up("Enough. ", None), None)
    for text in ("Enough. ", "{close_thinking} </think> "):
        with pytest.raises(InputError, match=r"closes the thinking \d times and must do so once"):
            require_closing(make_wrap_up(text, None), DELIMITERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clsoe", "unknown wrap-up 'clsoe'; known: close, qwen, s1, seed"),
        ("", "unknown wrap-up ''"),
        ("{close_thinking} \\boxed{", "opens a box or a block"),
        ("{close_thinking}\n```python\n", "opens a box or a block"),
    ],
)
def test_what_is_no_wrap_up_is_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_wrap_up(text, None)


def test_an_answer_is_natural_and_may_be_long() -> None:
    probe = make_wrap_up("close", None)
    assert not probe.is_completed
    assert probe.max_answer_tokens == ANSWER_TOKENS
    assert make_wrap_up("close", 7).max_answer_tokens == 7


def test_it_counts_thinking_and_stands_in_the_place_of_a_probe() -> None:
    known = {"model": "m", "tasks": ("t",), "wrap_up": "close"}
    with pytest.raises(InputError, match="leave out --budget-counts response"):
        check_settings(RunSettings(**known))
    for extra in ({"probe": "s1"}, {"probe_text": "x"}):
        with pytest.raises(InputError, match="leave out --probe and --probe-text"):
            check_settings(RunSettings(**known, budget_counts="thinking", **extra))
    check_settings(RunSettings(**known, budget_counts="thinking"))


def test_a_job_may_have_a_probe_of_its_own() -> None:
    """Several wrap-ups share one engine and its schedule."""
    engine = FixedEngine("<think>" + "a" * 40 + "</think>\\boxed{1}", answer="A } in it, and \\boxed{3}.")
    plan = schedule(engine, counts="thinking", probe=make_probe("final-answer", None, None))
    job = Job(problem=QUESTION, sample=0, budgets=(8,), probe=make_wrap_up("close", None))
    done = asyncio.run(plan.do(job))
    forced = done.answers[0]
    assert forced.text == "\n\nA } in it, and \\boxed{3}.", "read like a whole response, up to its end"
    assert ByteTokenizer().decode(engine.requests[1][0]).endswith("<think>aaaaaaaa</think>\n\n")
    assert engine.requests[1][1].max_tokens == ANSWER_TOKENS
    assert do(plan, 8).answers[0].text != forced.text


def test_a_trace_that_ended_its_thinking_before_is_untouched() -> None:
    engine = FixedEngine("<think>aaaa</think>" + "b" * 500 + "\\boxed{1}")
    plan = schedule(engine, counts="thinking", probe=make_wrap_up("close", None))
    assert [answer.budget for answer in do(plan, 8, 100).answers] == [None]


def test_a_run_with_a_wrap_up(tmp_path: Path) -> None:
    assert main([*RUN, *GRID, "--wrap-up", "close", "--out", str(tmp_path / "run")]) == 0
    run = load_run(tmp_path / "run")
    assert run.protocol.budget_counts == "thinking"
    assert (run.protocol.probe.name, run.protocol.probe.max_answer_tokens) == ("close", ANSWER_TOKENS)
    assert run.manifest.settings["wrap_up"] == "close"


def test_many_over_the_same_stored_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, *GRID, "--out", str(tmp_path / "run")]) == 0
    command = ["probe", str(tmp_path / "run"), "--wrap-up", "close", "--wrap-up", "qwen"]
    own = "Stop here. {close_thinking}\n"
    assert main([*command, "--wrap-up", own, "--out", str(tmp_path / "ups")]) == 0
    names = ("close", "qwen", "custom")
    runs = {name: load_run(tmp_path / "ups" / name) for name in names}
    source = load_run(tmp_path / "run")
    for name, run in runs.items():
        assert run.manifest.end is not None
        assert run.traces["text"].tolist() == source.traces["text"].tolist()
        text = own if name == "custom" else WRAP_UPS[name]
        assert run.protocol.probe.text == text
    assert len({run.digest for run in (source, *runs.values())}) == 4
    seeds = [
        run.answers.set_index(["problem", "sample", "budget"])["seed"].sort_index() for run in runs.values()
    ]
    assert seeds[0].equals(seeds[1]), "a paired design: only the wrap-up differs"
    capsys.readouterr()
    assert main([*command, "--wrap-up", "s1", "--out", str(tmp_path / "ups")]) == 2
    assert "already holds a run; add --resume" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "ups" / "close")
    assert main([*command, "--out", str(tmp_path / "ups")]) == 2, "the second stands"
    assert "qwen' already holds a run" in capsys.readouterr().err
    assert not (tmp_path / "ups" / "close").exists(), "nothing is begun that is refused"
    assert main([*command, "--wrap-up", own, "--out", str(tmp_path / "ups"), "--resume"]) == 0
    assert main([*command, "--wrap-up", "qwen", "--out", str(tmp_path / "twice")]) == 2
    assert "--wrap-up names one twice" in capsys.readouterr().err
    assert main([*command, "--wrap-up", own, "--wrap-up", own, "--out", str(tmp_path / "twice")]) == 2
    assert "--wrap-up names one twice" in capsys.readouterr().err
    assert (
        main(["probe", str(tmp_path / "ups" / "qwen"), "--probe", "s1", "--out", str(tmp_path / "s1")]) == 0
    )
    again = load_run(tmp_path / "s1")
    assert (again.protocol.probe.name, again.manifest.settings["wrap_up"]) == ("s1", None)
