"""Traces that loop are ended where that was asked for, are unfinished, and are forced where they ended."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.loopback import serving
from test_schedule import QUESTION, TOKENIZER, FixedEngine, do, probe_prompts, schedule

from reghar.cli import main
from reghar.engines.base import Chunk, ResponseLostError, Sampling
from reghar.engines.openai import _Stream
from reghar.engines.repetition import parse_repetition_detection, repeats
from reghar.engines.servers import RequestFailure
from reghar.engines.vllm import _chunk
from reghar.errors import InputError
from reghar.generation.jobs import Job
from reghar.generation.response import beginning
from reghar.prompting.scripted import scripted_model
from reghar.protocol import RepetitionDetection
from reghar.run.checks import check_settings
from reghar.run.settings import RunSettings
from reghar.store import load_run

RULE = RepetitionDetection(min_pattern_size=3, max_pattern_size=5, min_count=2)


def test_it_is_written_as_a_pattern_and_a_count() -> None:
    assert parse_repetition_detection(None) is None
    found = parse_repetition_detection("16-512, 3")
    assert found == RepetitionDetection(min_pattern_size=16, max_pattern_size=512, min_count=3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("on", "write MIN-MAX,COUNT"),
        ("0-5,3", "at least 1 token, not 0"),
        ("9-5,3", "longest pattern, 5, is shorter than the shortest, 9"),
        ("5-9,1", "from the 2nd time on, not from 1"),
        ("-5-9,3", "write MIN-MAX,COUNT"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    text: str, why: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["run", "--engine", "scripted", "--tasks", "ladder", f"--repetition-detection={text}"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert "--repetition-detection" in error
    assert not (tmp_path / "run").exists()


def test_chat_servers_end_their_own_replies() -> None:
    settings = RunSettings(
        model="m", tasks=("t",), engine="chat", base_url="http://h", repetition_detection="1-2,3"
    )
    with pytest.raises(InputError, match="not --repetition-detection"):
        check_settings(settings)


@pytest.mark.parametrize(
    ("text", "ends"),
    [("abcabc", True), ("xabcabc", True), ("abcdefabcdef", False), ("abab", False), ("ababababab", True)],
)
def test_the_rule_looks_at_the_end_for_patterns_of_its_lengths(text: str, ends: bool) -> None:
    assert repeats(list(text.encode()), RULE) == ends
    assert not repeats([*text.encode(), 0], RULE)


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_vllm_ends_them_by_the_rule_and_nothing_else(tmp_path: Path) -> None:
    """On the real engine: a trace ends at the first token at which the rule holds, as `repeats` has it."""
    out, rule = tmp_path / "run", RepetitionDetection(min_pattern_size=1, max_pattern_size=6, min_count=2)
    command = ["run", "--model", "demo:wanderer", "--tasks", "ladder", "--limit", "10", "--samples", "2"]
    command += ["--budgets", "0,16,256", "--max-tokens", "256", "--frontier", "none", "--out", str(out)]
    command += ["--engine-arg", "max_model_len=512", "--repetition-detection", "1-6,2"]
    # Every token that the response has becomes likelier: where that does not loop, nothing does.
    command += ["--presence-penalty=-2", "--frequency-penalty=-2"]
    # A process of its own: the engine's libraries warn, which ends a test.
    subprocess.run([sys.executable, "-m", "reghar", *command], check=True, timeout=280)
    run = load_run(out)
    assert run.complete
    looped = run.traces["looped"]
    assert looped.any()
    for trace in run.traces.to_dict("records"):
        ids = [int(i) for i in trace["token_ids"]]
        first = next((n for n in range(1, len(ids) + 1) if repeats(ids[:n], rule)), None)
        assert first == (len(ids) if trace["looped"] and len(ids) < 256 else None)
        assert not (trace["looped"] and trace["finished"])
    at_the_end = run.answers[run.answers["budget"] == 256].set_index(["problem", "sample"])
    for trace in run.traces[looped].to_dict("records"):
        assert at_the_end.loc[(trace["problem"], trace["sample"]), "forced"]


class LoopingEngine(FixedEngine):
    """Its trace is ended for looping, where a request asks for that."""

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        async for chunk in super().generate(prompt_ids, sampling, interval=interval, session=session):
            looped = sampling.repetition_detection is not None and chunk.finish_reason == "stop"
            yield replace(chunk, finish_reason="repetition") if looped else chunk


def test_a_trace_that_was_ended_is_unfinished_and_its_answers_are_forced_at_its_end() -> None:
    engine = LoopingEngine("<think>" + "ab" * 9)
    plan = schedule(engine)
    plan.sampling = replace(plan.sampling, repetition_detection=RULE)
    done = do(plan, 0, 5, 100, 1000)
    assert (done.trace.finished, done.trace.looped, done.trace.length) == (False, True, 19)
    assert [a.budget for a in done.answers] == [0, 5, 100, 1000, None]
    assert all(answer.forced for answer in done.answers[:-1])
    prompt, tail = engine.requests[0][0], TOKENIZER.encode_text("\n\nFinal Answer: \\boxed{")
    cuts = sorted(len(ids) - len(prompt) - len(tail) for ids in probe_prompts(engine))
    assert cuts == [0, 5, 19, 19], "what it would have said with more tokens nobody knows"
    assert done.answers[-1].text is None, "its thinking never ended"
    rules = [sampling.repetition_detection for _, sampling in engine.requests]
    assert rules == [RULE, None, None, None, None], "traces alone"
    job = Job(problem=QUESTION, sample=0, budgets=(100,), trace=done.trace, own_answer=False)
    again = asyncio.run(plan.do(job))
    assert [(a.budget, a.forced) for a in again.answers] == [(100, True)], "the same from the stored trace"


def test_a_trace_that_was_ended_has_no_end_of_thinking_to_ignore() -> None:
    plan = schedule(LoopingEngine("<think>" + "ab" * 9))
    plan.sampling = replace(plan.sampling, repetition_detection=RULE)
    trace = do(plan).trace
    assert beginning(trace, [1, 2], 1000) == (list(trace.token_ids), "repetition")


def test_without_the_option_such_an_end_is_a_lost_response() -> None:
    completion = SimpleNamespace(token_ids=[5, 6], finish_reason="repetition", logprobs=None)
    output = SimpleNamespace(outputs=[completion], num_cached_tokens=0)
    with pytest.raises(ResponseLostError, match="repetition"):
        _chunk(output, may_repeat=False)
    assert _chunk(output, may_repeat=True) == Chunk([5, 6], "repetition", 0)


@pytest.mark.parametrize("reason", ["abort", "error", "repetition"])
def test_a_server_that_ends_a_response_so_has_lost_it(reason: str) -> None:
    event = json.dumps({"choices": [{"token_ids": [5, 6], "finish_reason": reason}]})
    with pytest.raises(RequestFailure, match=reason):
        _Stream(scripted_model(), "ids", 9, may_repeat=False).read(event)
    asked = _Stream(scripted_model(), "ids", 9, may_repeat=True)
    if reason == "repetition":
        assert asked.read(event) is None
        assert asked.last == Chunk([5, 6], "repetition")
    else:
        with pytest.raises(RequestFailure, match=reason):
            asked.read(event)


def test_a_run_stores_them_and_its_report_counts_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "amc23.jsonl"
    rows = [{"id": str(i), "problem": f"6 x 7? ({i})", "answer": "42"} for i in range(8)]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = ["run", "--engine", "scripted", "--tasks", "amc23", "--samples", "4", "--budgets", "0,64,200"]
    command += ["--max-tokens", "200", "--frontier", "none", "--data-dir", str(tmp_path)]
    # A response that is done within 200 tokens has a blank line, two equal tokens, before its answer.
    command += ["--repetition-detection", "1-1,2", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    shown = " ".join(capsys.readouterr().out.split())
    run = load_run(tmp_path / "run")
    rule = {"min_pattern_size": 1, "max_pattern_size": 1, "min_count": 2}
    assert run.protocol.as_dict()["sampling"]["repetition_detection"] == rule
    looped = run.traces[run.traces["looped"]]
    assert 0 < len(looped) < len(run.traces)
    assert not looped["finished"].any()
    assert (looped["token_ids"].map(lambda ids: ids[-1] == ids[-2])).all()
    assert f"{len(looped)} of 32 traces looped and were ended for it" in shown
    assert main([*command, "--resume"]) == 0
    assert len(load_run(tmp_path / "run").traces) == 32, "nothing is drawn again"
    assert "other settings" in _refusal([*command[:-4], "--out", str(tmp_path / "run"), "--resume"], capsys)


def _refusal(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(command) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("returns_ids", [True, False])
def test_servers_end_them_too_or_are_refused(
    returns_ids: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "amc23.jsonl"
    rows = [{"id": str(i), "problem": f"6 x 7? ({i})", "answer": "42"} for i in range(8)]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = ["run", "--engine", "openai", "--model", "scripted", "--tasks", "amc23", "--samples", "2"]
    command += ["--budgets", "0,64,200", "--max-tokens", "200", "--frontier", "none"]
    command += ["--data-dir", str(tmp_path), "--repetition-detection", "1-1,2"]
    with serving(returns_ids=returns_ids) as server:
        assert main([*command, "--base-url", server.url, "--out", str(tmp_path / "run")]) == 0
    looped = load_run(tmp_path / "run").traces["looped"]
    assert 0 < looped.sum() < len(looped)
    with serving(returns_ids=returns_ids, ends_loops=False) as server:
        error = _refusal([*command, "--base-url", server.url, "--out", str(tmp_path / "other")], capsys)
    assert "ends no loops" in error
    assert not (tmp_path / "other").exists()
