"""Texts that end a response."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.loopback import serving
from test_schedule import TOKENIZER, FixedEngine, do, schedule

from reghar.cli import main
from reghar.errors import InputError
from reghar.generation.stops import StopTexts
from reghar.run.checks import check_settings
from reghar.run.settings import RunSettings
from reghar.store import load_run


@pytest.mark.parametrize("chunk", [1, 3, 16, 100])
def test_a_response_ends_where_the_first_text_begins_however_it_is_cut_into_chunks(chunk: int) -> None:
    ids = TOKENIZER.encode_text("4 is 4. Qu is no end.\n\nQuestion: next? ###")
    stops = StopTexts(("###", "\n\nQuestion:"), TOKENIZER.decode)
    kept: list[int] = []
    for start in range(0, len(ids), chunk):
        kept += stops.push(ids[start : start + chunk], last=start + chunk >= len(ids))
        if stops.found:
            break
    assert stops.found
    assert TOKENIZER.decode(kept) == "4 is 4. Qu is no end."


def test_nothing_is_lost_without_such_a_text_or_with_only_its_beginning() -> None:
    ids = TOKENIZER.encode_text("the end\n\nQues")
    stops = StopTexts(("\n\nQuestion:",), TOKENIZER.decode)
    kept = stops.push(ids[:5], last=False) + stops.push(ids[5:], last=True)
    assert kept == ids
    assert not stops.found
    assert StopTexts((), TOKENIZER.decode).push([5, 6], last=False) == [5, 6]


def test_a_token_that_holds_the_last_of_the_response_stays() -> None:
    words = {1: "\\boxed{4", 2: "}\n\n", 3: "Question:"}
    stops = StopTexts(("\n\nQuestion:",), lambda ids: "".join(words[i] for i in ids))
    assert stops.push([1, 2, 3], last=False) == [1, 2]


def test_no_answer_is_forced_where_the_response_did_not_reach() -> None:
    engine = FixedEngine("a" * 20 + "\n\nQuestion: " + "b" * 200)
    plan = schedule(engine)
    plan.sampling = replace(plan.sampling, stop=("\n\nQuestion:",))
    done = do(plan, 0, 19, 20, 21, 25, 100)
    assert done.trace.text == "a" * 20
    assert done.trace.finished
    assert [a.budget for a in done.answers] == [0, 19, None]
    assert engine.tokens_out < 100, "the request is ended as well"


def test_settings() -> None:
    with pytest.raises(InputError, match="--stop is empty"):
        check_settings(RunSettings(model="m", tasks=("t",), stop=("",)))
    with pytest.raises(InputError, match="--stop"):
        check_settings(RunSettings(model="m", tasks=("t",), engine="chat", base_url="http://h", stop=("x",)))


@pytest.mark.parametrize("returns_ids", [True, False])
def test_a_run_with_it_says_so_in_its_protocol_and_is_resumed(returns_ids: bool, tmp_path: Path) -> None:
    data = tmp_path / "amc23.jsonl"
    data.write_text(json.dumps({"id": "a", "problem": "6 x 7?", "answer": "42"}) + "\n")
    command = ["run", "--engine", "openai", "--model", "scripted", "--tasks", "amc23", "--samples", "1"]
    command += ["--budgets", "0,8", "--max-tokens", "900", "--frontier", "none", "--data-dir", str(tmp_path)]
    command += ["--stop", "step 1", "--stop", "###", "--out", str(tmp_path / "run")]
    with serving(returns_ids=returns_ids) as server:
        assert main([*command, "--base-url", server.url]) == 0
        assert main([*command, "--base-url", server.url, "--resume"]) == 0
    run = load_run(tmp_path / "run")
    assert run.manifest.protocol.as_dict()["sampling"]["stop"] == ["step 1", "###"]
    (trace,) = run.traces.to_dict("records")
    assert trace["finished"]
    assert trace["text"] == "<think>\nstep 0 of the reasoning. "
