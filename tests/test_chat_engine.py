"""Runs with a chat server on loopback: replies, faults, price, effort settings, and what is refused."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.chat_server import ChatServer, Fault, chat_server

from reghar.cli import main
from reghar.engines.chat import ChatEngine, Reply
from reghar.engines.price import CostCap, CostCapError, Prices
from reghar.errors import EngineError, InputError
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.prompting.control import make_settings
from reghar.report.page.build import _samples
from reghar.store import load_run

MESSAGES = [{"role": "user", "content": "6 x 7?"}]
SECRET = "sk-never-to-be-seen"  # noqa: S105 - opens nothing
FREE = Prices(prompt=0, completion=0)


def ask(
    server: ChatServer, *, cap: CostCap | None = None, key: str | None = None, **fields: Any
) -> tuple[Reply, float]:
    """One reply and what was spent."""

    async def work() -> tuple[Reply, float]:
        engine = ChatEngine(
            [server.url],
            "m",
            api_key_env=key,
            connections=8,
            timeout=1.0,
            patience=20.0,
            cap=cap or CostCap(None, FREE),
        )
        engine.start()
        try:
            return await engine.ask(MESSAGES, fields, 1000), engine.spent
        finally:
            await engine.close()
            await engine.close()

    return asyncio.run(work())


def first(fault: Fault) -> Callable[[int], Fault]:
    """A fault of the first request alone."""
    return lambda number: fault if number == 0 else None


@pytest.fixture(params=[True, False], ids=["stream", "whole"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_reply_with_its_reported_lengths(stream: bool) -> None:
    with chat_server() as server:
        reply, _ = ask(server, stream=stream, seed=7, temperature=None)
    assert reply == Reply(
        text="So \\boxed{42}.",
        reasoning="6 times 7",
        ending="stop",
        prompt_tokens=20,
        completion_tokens=110,
        reasoning_tokens=100,
        cached_tokens=None,
    )
    [body] = server.bodies
    assert body["messages"] == MESSAGES
    assert (body["model"], body["max_completion_tokens"], body["seed"]) == ("m", 1000, 7)
    assert "temperature" not in body, "None removes a field"
    assert ("stream_options" in body) is stream


@pytest.mark.parametrize(
    ("fault", "ending", "tokens"),
    [
        ("length", "truncated", 110),
        ("filter_stop", "refused", 110),
        ("refusal", "refused", 110),
        ("filtered", "refused", 0),
    ],
)
def test_endings(fault: Fault, ending: str, tokens: int, stream: bool) -> None:
    with chat_server(fault=first(fault)) as server:
        reply, _ = ask(server, stream=stream)
    assert (reply.ending, reply.completion_tokens) == (ending, tokens)
    assert len(server.bodies) == 1


def test_a_server_that_does_not_tell_of_reasoning(stream: bool) -> None:
    with chat_server(tells_reasoning=False) as server:
        assert ask(server, stream=stream)[0].reasoning_tokens is None


@pytest.mark.parametrize(
    "fault",
    [(500, {}), (429, {"Retry-After": "0"}), "stall", "nonsense", "error", "unended", "tool_calls"],
    ids=str,
)
def test_what_may_pass_is_asked_again(fault: Fault, stream: bool) -> None:
    with chat_server(fault=first(fault)) as server:
        reply, _ = ask(server, stream=stream)
    assert reply.text == "So \\boxed{42}.", "nothing of the broken reply is left in it"
    assert len(server.bodies) == 2


def test_a_stream_that_breaks_off_is_asked_again() -> None:
    with chat_server(fault=first("cut")) as server:
        assert ask(server)[0].reasoning == "6 times 7"
    assert len(server.bodies) == 2


def test_a_server_without_lengths_cannot_be_measured(stream: bool) -> None:
    with chat_server(fault=first("no_usage")) as server, pytest.raises(EngineError, match="report lengths"):
        ask(server, stream=stream)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refused_request_ends_the_run(status: int) -> None:
    with (
        chat_server(fault=first((status, {}))) as server,
        pytest.raises(EngineError, match=f"{status}: fault {status}"),
    ):
        ask(server)
    assert len(server.bodies) == 1


def test_the_key_reaches_the_server_and_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(key=SECRET) as server:
        with pytest.raises(InputError, match="not set"):
            ask(server, key="CHAT_KEY")
        monkeypatch.setenv("CHAT_KEY", SECRET)
        assert ask(server, key="CHAT_KEY")[0].ending == "stop"


class TestPrice:
    """What was spent, and the cap."""

    PRICES = Prices(prompt=10.0, completion=1000.0)

    def test_what_is_reported_is_paid(self) -> None:
        with chat_server() as server:
            _, spent = ask(server, cap=CostCap(None, self.PRICES, spent=1.0))
        assert spent == pytest.approx(1 + (20 * 10 + 110 * 1000) / 1e6)

    def test_a_lost_reply_may_have_been_charged_in_full(self) -> None:
        with chat_server(fault=first("cut")) as server:
            _, spent = ask(server, cap=CostCap(None, self.PRICES))
        prompt = 256 + len("user") + len("6 x 7?")
        assert spent == pytest.approx((20 * 10 + 110 * 1000 + prompt * 10 + 1000 * 1000) / 1e6)

    def test_a_request_that_was_not_taken_is_free(self) -> None:
        with chat_server(fault=first((503, {}))) as server:
            _, spent = ask(server, cap=CostCap(None, self.PRICES))
        assert spent == pytest.approx((20 * 10 + 110 * 1000) / 1e6)

    def test_nothing_is_asked_that_could_exceed_the_cap(self) -> None:
        with chat_server() as server, pytest.raises(CostCapError, match="--max-cost 1 are spent"):
            ask(server, cap=CostCap(1.0, self.PRICES))
        assert server.bodies == []

    def test_a_request_waits_until_others_have_cost_less_than_they_held(self) -> None:
        async def work() -> list[str]:
            cap, order = CostCap(3.0, Prices(prompt=0, completion=1e6)), []

            async def request(name: str, real: float) -> None:
                held = await cap.hold(0, 2)
                order.append(name)
                await asyncio.sleep(0)
                await cap.settle(held, real)

            await asyncio.gather(request("a", 0.5), request("b", 0.25), request("c", 0.25))
            assert cap.spent == 1.0
            await cap.settle(await cap.hold(0, 2), 2.0)
            with pytest.raises(CostCapError):
                await cap.hold(0, 1)
            return order

        assert asyncio.run(work()) == ["a", "b", "c"]


def test_settings_of_the_body() -> None:
    given = ("reasoning_effort=low", "thinking.type=enabled+thinking.budget_tokens=2048")
    low, bounded = make_settings("body", given, budgets=(1000,))
    assert json.loads(low.body or "") == {"reasoning_effort": "low"}
    assert (low.maximum, low.budgets) == (None, ())
    assert json.loads(bounded.body or "") == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert (bounded.maximum, bounded.budgets) == (2048, ())


@pytest.mark.parametrize("entry", ["low", "=low", "effort=", "a..b=1", "a=1+a.b=2"])
def test_settings_that_name_no_field(entry: str) -> None:
    with pytest.raises(InputError, match=r"reasoning_effort=low|gives 'a' twice"):
        make_settings("body", [entry], budgets=(1000,))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"id": f"a{i}", "problem": f"6 x 7? ({i})", "answer": 42 if i else 41} for i in range(4)]
    (tmp_path / "amc23.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def command(server: ChatServer | None, data: Path, *more: str) -> list[str]:
    url = "http://127.0.0.1:9/v1" if server is None else server.url
    words = ["run", "--engine", "chat", "--model", "vendor/m", "--base-url", url, "--tasks", "amc23"]
    words += ["--data-dir", str(data), "--samples", "3", "--max-tokens", "1000", "--patience", "20"]
    return [*words, "--out", str(data / "run"), *more]


def test_a_run_has_accuracy_and_lengths_but_no_reg(data: Path) -> None:
    faults = {3: "length", 4: "refusal", 5: "filtered", 6: "cut", 7: (500, {})}
    with chat_server(fault=faults.get) as server:
        assert main(command(server, data)) == 0
    run = load_run(data / "run")
    assert run.complete
    assert run.protocol.tokens == "reported"
    outcomes = run.scores[run.scores["budget"].isna()]["outcome"].value_counts().to_dict()
    assert outcomes.pop("truncated") == 1
    assert outcomes.pop("refused") == 2
    assert sum(outcomes.values()) == 9
    assert set(outcomes) == {"correct", "incorrect"}
    assert run.traces["length"].isin([110, 0]).all()
    report = json.loads((data / "run/report.json").read_text())
    task = report["tasks"]["amc23"]
    assert task["full_outcomes"]["truncated"] == 1
    measures = {one["name"]: one["value"] for one in task["measures"]}
    assert measures["mean_length_correct"] == 110
    assert measures["mean_thinking_length"] < 110
    assert "reg" not in measures
    assert task["efficiency"] is None
    assert task["control"] == []
    assert "no REG" in " ".join(report["notes"])
    assert main(["report", str(data / "run"), "--html"]) == 0
    signs = [sample["full"] for problem in _samples(run.outcomes("amc23")) for sample in problem]
    assert signs.count(str(OUTCOMES.index(Outcome.REFUSED))) == 2


def test_efforts_are_settings_with_control_and_scaling(data: Path) -> None:
    efforts = "reasoning_effort=low,reasoning_effort=high,thinking.budget_tokens=200"
    with chat_server() as server:
        assert main(command(server, data, "--control", "body", "--settings", efforts, "--body", "x=1")) == 0
    assert {body["x"] for body in server.bodies} == {1}
    assert len(server.bodies) == 4 * 3 * 4
    assert len({body["seed"] for body in server.bodies}) == len(server.bodies), "a draw each"
    [body] = json.loads((data / "run/report.json").read_text())["tasks"]["amc23"]["control"]
    assert body["method"] == "body"
    used = {setting["name"]: setting["tokens"] for setting in body["settings"]}
    assert used == dict(zip(efforts.split(","), (50, 400, 200), strict=True))
    assert body["reference"]["tokens"] == 100
    measures = {one["name"]: one["value"] for one in body["measures"]}
    assert measures["control"] == 100
    assert measures["scaling"] == 0


def test_max_cost_stores_what_is_finished_and_resumes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = ["--price-in", "0", "--price-out", "1000", "--concurrency", "2"]
    with chat_server() as server:
        # A reply costs 0.11 and may cost 1: the sixth could pass 1.5.
        assert main(command(server, data, *prices, "--max-cost", "1.5")) == 3
        error = capsys.readouterr().err
        assert "--max-cost 1.5" in error
        assert "--resume" in error
        asked = len(server.bodies)
        assert 0 < asked < 12
        assert asked * 0.11 <= 1.5
        manifest = json.loads((data / "run/run.json").read_text())
        assert manifest["sessions"][-1]["spent"] == pytest.approx(asked * 0.11)
        assert len(load_run(data / "run").traces) == asked
        assert main(command(server, data, *prices, "--max-cost", "1.5", "--resume")) == 3
        assert len(server.bodies) == asked, "what went before counts"
        assert main(command(server, data, *prices, "--max-cost", "9", "--resume")) == 0
        assert len(server.bodies) == 12
    run = load_run(data / "run")
    assert run.complete
    assert run.cost["spent"] == pytest.approx(12 * 0.11)


def test_a_killed_run_resumes_and_asks_nothing_twice(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGHAR_FLUSH_SECONDS", "0")
    with chat_server(pause=0.05) as server:
        words = command(server, data, "--concurrency", "1")
        process = subprocess.Popen([sys.executable, "-m", "reghar", *words], stderr=subprocess.DEVNULL)
        while len(server.bodies) < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert main([*words, "--resume"]) == 0
        assert load_run(data / "run").complete
        # Asked again: the one in flight when it died, and at most one that was not yet on the disk.
        assert len(server.bodies) <= 12 + 2


def test_a_reply_whose_answer_was_not_stored_is_not_asked_again(data: Path) -> None:
    with chat_server(fault={1: "refusal"}.get) as server:
        assert main(command(server, data, "--samples", "1")) == 0
        before = load_run(data / "run").scores
        for table in ("answers", "scores"):
            for part in (data / "run" / table).glob("*.parquet"):
                part.unlink()
        assert main(command(server, data, "--samples", "1", "--resume")) == 0
        assert len(server.bodies) == 4
    pd.testing.assert_frame_equal(load_run(data / "run").scores, before)


def test_keys_are_never_stored(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_KEY", SECRET)
    with chat_server(key=SECRET) as server:
        assert main(command(server, data, "--api-key-env", "CHAT_KEY")) == 0
    for file in (data / "run").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_balanced_lengths_beside_a_run_of_our_own(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chat_server() as server:
        assert main(command(server, data)) == 0
    own = ["run", "--engine", "scripted", "--tasks", "amc23", "--data-dir", str(data), "--samples", "3"]
    own += ["--max-tokens", "1000", "--budgets", "0,512", "--frontier", "none", "--out", str(data / "own")]
    assert main(own) == 0
    capsys.readouterr()
    compared = ["compare", str(data / "own"), str(data / "run"), "--balanced", "0.2"]
    assert main(compared) == 2, "their protocols differ"
    for name in ("tokens", "budgets", "prompt", "probe"):
        compared += ["--allow", name]
    assert main(compared) == 0
    printed = capsys.readouterr().out
    assert "tokenizers differ" in printed
    assert "110" in printed


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--budgets", "0,64"], "there are no budgets"),
        (["--budget-counts", "thinking"], "there are no budgets"),
        (["--frontier", "Qwen3-4B"], "so there is no REG"),
        (["--probe", "s1"], "no answer can be forced"),
        (["--control", "wait"], "--control wait forces answers"),
        (["--control", "body"], "--control body needs --settings"),
        (["--settings", "512"], "needs --control body"),
        (["--top-k", "20"], "--body top_k=20"),
        (["--chat-template-arg", "a=b"], "renders its own template"),
        (["--max-cost", "5"], "--max-cost needs --price-in and --price-out"),
        (["--max-cost", "-1", "--price-in", "1", "--price-out", "1"], "at least 0"),
        (["--price-in", "nan"], "at least 0"),
        (["--body", "api_key=x"], "--api-key-env"),
    ],
)
def test_what_a_chat_server_cannot_do_is_said_in_one_line(
    more: list[str], said: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(None, data, *more)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "more", [["--body", "a=1"], ["--max-cost", "1"], ["--control", "body", "--settings", "a=1"]]
)
def test_other_engines_take_none_of_it(
    more: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--engine", "scripted", "--tasks", "amc23", "--data-dir", str(data), *more]
    assert main(words) == 2
    assert "--engine chat" in capsys.readouterr().err
