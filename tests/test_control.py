"""Methods of test-time control: what they ask, on engines whose every token is known, and as whole runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from reghar.cli import main
from reghar.engines.base import Chunk, EngineInfo, Sampling
from reghar.engines.scripted import ScriptedEngine
from reghar.errors import InputError
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.records import TraceKey, trace_seed
from reghar.generation.response import countdown_end
from reghar.generation.schedule import Schedule
from reghar.prompting.control import CLASSES, EFFORT, STEPS, TOKENS, make_settings, next_power_of_two
from reghar.prompting.probes import make_probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.scripted import ByteTokenizer, scripted_model
from reghar.prompting.thinking import find_delimiters
from reghar.protocol import SamplingProtocol, Setting
from reghar.report.schema import MethodRecord, Report
from reghar.store import RunFolder, load_run
from reghar.store.parts import part_numbers
from reghar.tasks import Problem

TOKENIZER = ByteTokenizer()
QUESTION = Problem(task="t", id="p", question="What is it?", gold=("42",), choices=())
CLOSE = TOKENIZER.encode_text("</think>")[0]


class Replies:
    """Gives the next of the texts to every request for a trace, `7}` to every probe."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.requests: list[tuple[list[int], Sampling]] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(name="replies", version="0", host="none", arguments={})

    def start(self) -> None: ...

    async def close(self) -> None: ...

    async def generate(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        *,
        interval: int = 1,  # noqa: ARG002 - one chunk
        session: str = "",  # noqa: ARG002 - one server
    ) -> AsyncGenerator[Chunk, None]:
        self.requests.append((list(prompt_ids), sampling))
        probe = TOKENIZER.decode(prompt_ids).endswith("boxed{")
        ids = TOKENIZER.encode_text("7}" if probe else self.texts.pop(0))
        ended = "stop" if len(ids) <= sampling.max_tokens else "length"
        await asyncio.sleep(0)
        yield Chunk(ids[: sampling.max_tokens], ended)  # type: ignore[arg-type]


def traces(
    engine: Replies | ScriptedEngine, control: Sequence[Setting], *, max_tokens: int = 1000, first: int = 1
) -> dict[str, JobResult]:
    """Everything that follows from the plain job, or from all settings that begin anew."""
    schedule = Schedule(
        engine=engine,
        model=scripted_model(),
        prompt=PromptFormat(tokenizer=TOKENIZER),
        delimiters=find_delimiters(TOKENIZER),
        sampling=SamplingProtocol(temperature=0.6, top_p=0.95, top_k=0, min_p=0.0, max_tokens=max_tokens),
        budget_counts="response",
        probe=make_probe("final-answer", None, None),
        probe_temperature=0.6,
        run_seed=0,
        activities={"t": Activity()},
        control=tuple(control),
    )
    done: list[JobResult] = []
    jobs = [Job(problem=QUESTION, sample=0, budgets=())] * first
    new = [setting for setting in control if setting.after is None]
    jobs += [Job(problem=QUESTION, sample=0, budgets=s.budgets, setting=s) for s in new]
    asyncio.run(schedule.run(jobs, 2, done.append))
    return {one.trace.setting: one for one in done}


def waits(strings: Sequence[str], *counts: str) -> tuple[Setting, ...]:
    return make_settings("wait", counts, budgets=(1000,), wait_strings=strings)


def test_the_strings_are_the_published_ones(published: Path) -> None:
    page = (published / "interface_strings.md").read_text(encoding="utf-8")
    for text in (TOKENS, STEPS):
        assert f"`{text.replace('{setting}', '{n}')}`" in page
    for text in CLASSES.values():
        assert f"`{text}`" in page
    assert EFFORT.replace("{setting}", "{reasoning_effort}") in page


def test_wait_keeps_the_trace_up_to_its_end_and_goes_on() -> None:
    engine = Replies("<think>one</think>A", " two</think>B", " three</think>C")
    done = traces(engine, waits(["Hmm"], "1", "2"))
    texts = {name: one.trace.text for name, one in done.items()}
    assert texts == {
        "": "<think>one</think>A",
        "Hmm x1": "<think>oneHmm two</think>B",
        "Hmm x2": "<think>oneHmm twoHmm three</think>C",
    }
    assert len(engine.requests) == 3, "what is shared is generated once"
    prompt = PromptFormat(tokenizer=TOKENIZER).encode(QUESTION.question)
    assert engine.requests[1][0] == prompt + TOKENIZER.encode_text("<think>oneHmm")
    given = {name: one.trace.given_tokens for name, one in done.items()}
    assert given == {"": 0, "Hmm x1": 7, "Hmm x2": 14}
    assert [sampling.max_tokens for _, sampling in engine.requests] == [1000, 993, 986]
    assert done["Hmm x2"].answers[-1].text == "C"
    assert len({sampling.seed for _, sampling in engine.requests}) == 3


def test_without_a_string_the_delimiter_is_barred_for_one_token() -> None:
    engine = Replies("<think>one</think>A", "x and more", "yz</think>B")
    done = traces(engine, waits(["none"], "1"))
    (_, first), (_, barred), (prompt, rest) = engine.requests
    assert (first.barred, barred.barred, rest.barred) == ((), (CLOSE,), ())
    assert (barred.max_tokens, rest.max_tokens) == (1, 1000 - len("1one") - 1)
    assert TOKENIZER.decode(prompt).endswith("<think>onex")
    assert done["none x1"].trace.text == "<think>onexyz</think>B"
    assert done["none x1"].trace.finished


def test_total_tokens_stay_bounded() -> None:
    engine = Replies("<think>" + "a" * 90 + "</think>A", "b" * 50)
    trace = traces(engine, waits(["Wait"], "1"), max_tokens=100)["Wait x1"].trace
    assert (len(trace.token_ids), trace.finished) == (100, False)
    assert trace.text == "<think>" + "a" * 90 + "Wait" + "b" * 5
    full = Replies("<think>" + "a" * 97 + "</think>A")
    trace = traces(full, waits(["Wait"], "1"), max_tokens=100)["Wait x1"].trace
    assert len(full.requests) == 1, "nothing is left to generate"
    assert (trace.text, trace.finished) == ("<think>" + "a" * 97 + "Wa", False)


def test_a_trace_without_an_end_stands_as_it_is_and_one_without_thinking_goes_on_at_its_end() -> None:
    engine = Replies("<think>" + "a" * 200)
    done = traces(engine, waits(["Wait"], "1", "2"), max_tokens=50)
    assert len(engine.requests) == 1
    assert {one.trace.token_ids for one in done.values()} == {done[""].trace.token_ids}
    plain = traces(Replies("It is 5.", " No, 6."), waits(["Wait"], "1"))
    assert plain["Wait x1"].trace.text == "It is 5.Wait No, 6."


def test_the_first_part_is_shared_by_all_strings_and_the_plain_trace_is_that_of_a_plain_run() -> None:
    control = waits(["Wait", "none", "Hmm", "Alternatively"], "1", "2")
    together = traces(ScriptedEngine(), control)
    assert together[""] == traces(ScriptedEngine(), ())[""]
    for setting in control:
        before, trace = together[setting.after or ""].trace, together[setting.name].trace
        assert before.thinking_end is not None
        kept = before.token_ids[: before.thinking_end]
        assert trace.token_ids[: len(kept)] == kept
        assert trace.given_tokens == len(kept) + len(setting.appended)
        assert len(trace.token_ids) <= 1000
        assert trace.token_ids.count(CLOSE) <= 1


def test_conditional_settings_ask_in_the_prompt_and_force_on_top() -> None:
    text = "<think>" + "a" * 30 + "</think>It is \\boxed{5}."
    settings = make_settings("tokens", ["10", "50"], budgets=(100,))
    done = traces(Replies(text, text, text), settings)
    short, long = done["10"], done["50"]
    assert [a.budget for a in short.answers] == [10, None]
    assert (short.answers[0].text, short.answers[0].setting) == ("7}", "10")
    assert [a.budget for a in long.answers] == [None], "it thought less than it was asked to"
    engine = Replies(text)
    traces(engine, settings[:1], first=0)
    assert "What is it?\n\nThink for up to 10 tokens.\n" in TOKENIZER.decode(engine.requests[0][0])
    kept = TOKENIZER.decode(engine.requests[1][0]).partition("<think>")[2]
    assert kept == "a" * 10 + "\n\nFinal Answer: \\boxed{"


def test_the_countdown_ends_the_thinking() -> None:
    steps = make_settings("steps", ["1"], budgets=(1000,))
    text = "<think>2 steps left. a. 10 steps left. 0 steps left. but on and on</think>B"
    done = traces(Replies(text), steps, first=0)["1"]
    end = len("2 steps left. a. 10 steps left. 0 steps left")
    assert done.trace.countdown == end
    assert [a.budget for a in done.answers] == [100, None]
    assert countdown_end(TOKENIZER.encode_text("10 steps left"), TOKENIZER.decode) is None


def test_effort_and_templates() -> None:
    effort = make_settings("effort", ["0", "256"], budgets=(1024,))
    assert [s.maximum for s in effort] == [0, 256]
    assert effort[1].system is not None
    assert effort[1].system.endswith("Your reasoning_effort score is: 256.")
    asked = PromptFormat(tokenizer=TOKENIZER, system="Be kind.").with_setting(effort[1])
    assert asked.system == f"Be kind.\n\n{effort[1].system}"
    own = make_settings("template", ["low=-64", "high"], budgets=(9,), user="Effort: {setting}")
    assert [(s.name, s.minimum, s.maximum, s.user) for s in own] == [
        ("low", None, 64, "Effort: low"),
        ("high", None, None, "Effort: high"),
    ]
    assert [next_power_of_two(n) for n in (0, 1, 2, 3, 256, 257, 16384)] == [0, 1, 2, 4, 256, 512, 16384]


def test_seeds_of_settings_differ_and_the_plain_one_is_as_ever() -> None:
    assert trace_seed(0, TraceKey("t", "p", 0, "")) == trace_seed(0, TraceKey("t", "p", 0))
    assert len({trace_seed(0, TraceKey("t", "p", 0, name)) for name in ("", "256", "512")}) == 3


@pytest.mark.parametrize(
    ("method", "given", "extra", "says"),
    [
        ("think", (), {}, "unknown control method 'think'"),
        ("tokens", ("many",), {}, "'many'"),
        ("tokens", ("0",), {}, "above 0"),
        ("tokens", ("64", "64"), {}, "twice"),
        ("tokens", (), {}, "below every default setting"),
        ("steps", ("-1",), {}, "'-1'"),
        ("class", ("medium",), {}, "short, long"),
        ("effort", ("300",), {}, "the next one is 512"),
        ("effort", ("256",), {"system": "no place"}, "{setting}"),
        ("wait", ("0",), {}, "at least 1"),
        ("wait", ("1",), {"wait_strings": ("Hmm", "Hmm")}, "twice"),
        ("force", ("300",), {}, "no budget"),
        ("tokens", ("64",), {"wait_strings": ("Hmm",)}, "--wait-string"),
        ("tokens", ("64",), {"user": "{setting}"}, "--control-user"),
        ("template", ("a",), {}, "--control-user or --control-system"),
        ("template", (), {"user": "{setting}"}, "--settings"),
        ("template", ("a",), {"user": "no place"}, "{setting}"),
        ("template", ("a=9-3",), {"user": "{setting}"}, "at least 9 and at most 3"),
    ],
)
def test_bad_settings(method: str, given: tuple[str, ...], extra: dict[str, str], says: str) -> None:
    with pytest.raises(InputError) as error:
        make_settings(method, given, budgets=(0, 64, 256), **extra)  # type: ignore[arg-type]
    assert says in str(error.value)


@pytest.fixture(scope="module")
def flags(benchmark_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    rows = [json.loads(line) for line in (benchmark_data / "amc23.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["answer"] = "42" if i % 3 else row["answer"]
    (folder / "amc23.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["run", "--engine", "scripted", "--tasks", "amc23", "--data-dir", str(folder), "--limit", "6"]
    words += ["--samples", "3", "--budgets", "0,256,512,1024", "--max-tokens", "1100", "--frontier", "none"]
    return words


WAIT = ["--control", "wait", "--settings", "1,2", "--wait-string", "Wait", "--wait-string", "none"]


def methods_of(path: Path) -> dict[str, MethodRecord]:
    return {method.method: method for method in Report.read(path).tasks["amc23"].control}


def control_of(method: MethodRecord) -> float | None:
    measure = method.measure("control")
    assert measure is not None
    return measure.value


def test_a_run_of_wait_killed_in_the_middle_resumes_to_the_same(flags: list[str], tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*flags, *WAIT, "--out", str(whole)]) == 0
    words = [*flags, *WAIT, "--out", str(killed), "--concurrency", "2"]
    environment = {**os.environ, "REGHAR_SCRIPTED_PAUSE": "0.005", "REGHAR_FLUSH_SECONDS": "0"}
    process = subprocess.Popen([sys.executable, "-m", "reghar", *words], env=environment)
    deadline = time.monotonic() + 120
    while len(part_numbers(killed / "answers")) < 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = pd.read_parquet(killed / "traces")
    assert 0 < len(stored) < 6 * 3 * 5
    assert len(stored.groupby(["problem", "sample"]).size().unique()) > 1, "killed within a chain"
    assert main([*flags, *WAIT, "--out", str(killed), "--resume"]) == 0
    for table in ("traces", "answers", "scores"):
        by = ["task", "problem", "sample", "setting", *(["budget"] if table != "traces" else [])]
        mine, other = (
            pd.read_parquet(path / table).sort_values(by, ignore_index=True) for path in (killed, whole)
        )
        pd.testing.assert_frame_equal(mine, other)
    assert load_run(killed).complete
    run = load_run(whole)
    assert [s.name for s in run.settings] == ["Wait x1", "Wait x2", "none x1", "none x2"]
    generated = sum(len(ids) for ids in run.traces["token_ids"])
    for setting in run.settings:
        view = run.at(setting.name)
        assert (view.traces["length"] <= 1100).all()
        generated += int((view.traces["length"] - view.traces["given_tokens"]).sum())
    assert run.cost["trace_tokens"] == generated, "what is shared is counted once"
    (before, after) = (run.traces["token_ids"], run.at("Wait x1").traces["token_ids"])
    for ids, end, longer in zip(before, run.traces["thinking_end"], after, strict=True):
        assert list(longer[:end]) == list(ids[:end])


def test_methods_in_the_report(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [*flags, "--control", "tokens", "--settings", "256,1024"]
    assert main([*words, "--out", str(out)]) == 0
    methods = methods_of(out)
    assert list(methods) == ["force", "tokens", "tokens + force"]
    assert control_of(methods["force"]) == control_of(methods["tokens + force"]) == 100
    run = load_run(out)
    for setting, forced in zip(methods["tokens"].settings, methods["tokens + force"].settings, strict=True):
        outcomes = run.at(setting.name).outcomes("amc23")
        assert setting.tokens == pytest.approx(outcomes.thinking_length.mean())
        assert setting.accuracy == pytest.approx(outcomes.full_correct.mean())
        assert forced.accuracy == pytest.approx(outcomes.correct.mean())
        assert forced.tokens == pytest.approx(np.minimum(outcomes.thinking_length, setting.maximum).mean())
        assert setting.within == pytest.approx((outcomes.thinking_length <= setting.maximum).mean())
        assert setting.low is not None
    reference = methods["tokens"].reference
    assert reference is not None
    assert reference.tokens == pytest.approx(run.outcomes("amc23").thinking_length.mean())
    assert run.protocol.control.settings[0].user == "Think for up to 256 tokens."
    for name in ("control.png", "requested.png"):
        assert (out / name).stat().st_size > 0
    assert "tokens + force" in (out / "report.md").read_text()
    before = (out / "report.json").read_bytes()
    assert main(["score", str(out)]) == 0
    assert (out / "report.json").read_bytes() == before, "graded again, the same report"
    assert main([*words, "--out", str(out), "--resume", "--control", "class"]) == 2


def test_force_takes_settings_of_the_grid(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main([*flags, "--settings", "256,512", "--out", str(out)]) == 0
    assert [s.name for s in methods_of(out)["force"].settings] == ["256", "512"]
    assert main([*flags, "--settings", "300", "--out", str(tmp_path / "other")]) == 2
    assert "no budget of the run" in capsys.readouterr().err
    assert main([*flags, "--control", "tokens", "--settings", "5000", "--out", str(tmp_path / "x")]) == 2
    assert "max-tokens" in capsys.readouterr().err


def test_class_control_is_measured_against_no_instruction(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main([*flags, "--control", "class", "--out", str(out)]) == 0
    method = methods_of(out)["class"]
    assert method.reference is not None
    by_name = {setting.name: setting for setting in method.settings}
    obeyed = (by_name["short"].tokens < method.reference.tokens) + (
        by_name["long"].tokens > method.reference.tokens
    )
    assert control_of(method) == 50 * obeyed


def test_a_lost_trace_takes_those_that_continue_it_along(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reghar.store.folder.FLUSH_SECONDS", 0)
    out = tmp_path / "run"
    words = [*flags, "--limit", "2", "--samples", "1", *WAIT, "--concurrency", "1", "--out", str(out)]
    assert main(words) == 0
    stored = pd.read_parquet(out / "traces").sort_values(["problem", "setting"], ignore_index=True)
    first = next(iter(sorted((out / "traces").glob("part-*.parquet"))))
    assert pd.read_parquet(first)["setting"].tolist() == [""], "a part a trace"
    first.write_bytes(first.read_bytes()[:-50])
    with RunFolder(out) as folder:
        folder.repair()
        left = [key for key, _ in folder.keys("traces")]
    assert len(left) == 5, "the other problem's"
    assert len({key.problem for key in left}) == 1
    assert main([*words, "--resume"]) == 0
    again = pd.read_parquet(out / "traces").sort_values(["problem", "setting"], ignore_index=True)
    pd.testing.assert_frame_equal(again, stored)


def test_the_gate_on_control_is_on_the_method_asked_for(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of `force` it would be 100% whatever the model does (definitions: s1's measures)."""
    run, other, brief = tmp_path / "run", tmp_path / "other", tmp_path / "brief"
    command = [*flags, "--control", "tokens", "--settings", "16,32"]
    assert main([*command, "--out", str(run)]) == 0
    assert main([*command, "--seed", "1", "--out", str(other)]) == 0
    shutil.copytree(run, brief)
    for part in (brief / "traces").glob("part-*.parquet"):
        table = pq.read_table(part)
        for name in ("length", "thinking_length"):
            field = table.schema.field(name)
            short = pc.divide(table[name], 100).cast(field.type)
            table = table.set_column(table.column_names.index(name), field, short)
        pq.write_table(table, part)
    assert main(["report", str(brief)]) == 0
    for side in (run, brief):
        records = Report.read(side).tasks["amc23"].control
        own = next(method for method in records if method.method == "tokens").measure("control")
        assert own is not None
        assert own.value == (100 if side is brief else 0)
    gate = ["--measure", "control"]
    assert main(["check", str(other), "--baseline", str(run), *gate]) == 0
    assert main(["check", str(brief), "--baseline", str(run), *gate]) == 0
    capsys.readouterr()
    assert main(["check", str(run), "--baseline", str(brief), *gate]) == 1
    assert "0.0 against 100.0" in capsys.readouterr().out
    # From the reports alone as well.
    assert main(["check", str(run / "report.json"), "--baseline", str(brief / "report.json"), *gate]) == 1
