"""The served engine against a server whose every token is known."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.loopback import TOKENIZER, Loopback, serving

from reghar.cli import main
from reghar.engines import ask
from reghar.engines.address import base_urls
from reghar.engines.base import Chunk, Sampling
from reghar.engines.openai import OpenAIEngine
from reghar.engines.scripted import ScriptedEngine
from reghar.engines.servers import RequestFailure, Servers
from reghar.errors import EngineError, InputError
from reghar.prompting.scripted import scripted_model
from reghar.store import load_run

PROMPT = TOKENIZER.encode_text("user: How many?\nassistant: ")
SECRET = "sk-never-to-be-seen"  # noqa: S105 - opens nothing


def sampling(**changes: Any) -> Sampling:
    return Sampling(**({"temperature": 0.6, "top_p": 0.95, "max_tokens": 2000, "seed": 5} | changes))


def engine(*servers: Loopback, **changes: Any) -> OpenAIEngine:
    options: dict[str, Any] = {
        "tokens": "ids",
        "api_key_env": None,
        "concurrency": 4,
        "timeout": 5.0,
        "patience": 2.0,
    }
    return OpenAIEngine([f"{s.url}/v1" for s in servers], scripted_model(), **(options | changes))


def chunks(client: OpenAIEngine | ScriptedEngine, **changes: Any) -> list[Chunk]:
    client.start()

    async def collect() -> list[Chunk]:
        try:
            return [c async for c in client.generate(PROMPT, sampling(**changes), interval=16, session="s")]
        finally:
            await client.close()
            await client.close()

    return asyncio.run(collect())


@pytest.mark.parametrize("changes", [{}, {"max_tokens": 20}], ids=["stop", "length"])
def test_tokens_are_those_of_the_engine_behind_the_server(changes: dict[str, Any]) -> None:
    with serving(cached=16) as server:
        mine = chunks(engine(server), **changes)
    theirs = chunks(ScriptedEngine(), **changes)
    assert [t for c in mine for t in c.token_ids] == [t for c in theirs for t in c.token_ids]
    assert mine[-1].finish_reason == theirs[-1].finish_reason
    assert [c.finish_reason for c in mine[:-1]] == [None] * (len(mine) - 1)
    assert mine[-1].cached_tokens == 16
    assert len(mine) == len(theirs), "chunks of the interval asked for"


def test_every_setting_is_sent_so_that_the_servers_own_defaults_never_apply() -> None:
    with serving() as server:
        chunks(engine(server), top_k=7, min_p=0.1, barred=(3, 4))
    body = server.bodies[0]
    assert {k: body[k] for k in ("temperature", "top_p", "top_k", "min_p", "seed", "repetition_penalty")} == {
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 7,
        "min_p": 0.1,
        "seed": 5,
        "repetition_penalty": 1.0,
    }
    assert body["prompt"] == PROMPT
    assert body["logit_bias"] == {"3": -100, "4": -100}
    assert body["model"] == "scripted"


def test_an_abandoned_request_is_ended_at_the_server() -> None:
    with serving(pause=0.05) as server:
        client = engine(server)
        client.start()

        async def abandon() -> None:
            async with aclosing(client.generate(PROMPT, sampling(), interval=1)) as stream:
                async for _ in stream:
                    break
            assert client._servers.in_flight(client._servers.members[0]) == 0
            await client.close()

        asyncio.run(asyncio.wait_for(abandon(), timeout=60))


def test_a_session_keeps_its_server_and_a_resting_servers_sessions_move() -> None:
    async def scenario() -> None:
        servers = Servers(["a", "b", "c"], patience=60)
        homes = {}
        running = ExitStack()
        for i in range(30):
            homes[i] = await servers.place(f"s{i}")
            running.enter_context(servers.request(homes[i]))
        assert [servers.in_flight(server) for server in servers.members] == [10, 10, 10]
        for i, home in homes.items():
            assert await servers.place(f"s{i}") is home
        resting = servers.members[0]
        servers.failed(resting, RequestFailure("x", retry_after=5))
        for i, home in homes.items():
            moved = await servers.place(f"s{i}")
            assert moved is home or (home is resting and moved is not resting)

    asyncio.run(scenario())


def test_rests_double_once_a_fault_and_end_with_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    servers = Servers(["a"], patience=1000)
    server = servers.members[0]
    longest = []
    for _ in range(9):
        for _ in range(50):
            servers.failed(server, RequestFailure("one fault that hits many requests"))
        longest.append(server.resting_until - clock[0])
        clock[0] = server.resting_until
    ends = [min(0.5 * 2**i, 30) for i in range(9)]
    assert all(end / 2 <= rest <= end for rest, end in zip(longest, ends, strict=True))
    servers.answered(server)
    assert server.failures == 0


def test_patience_ends_when_no_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    servers = Servers(["a", "b"], patience=10)
    servers.failed(servers.members[0], RequestFailure("down"))
    clock[0] = 9
    servers.answered(servers.members[1])
    clock[0] = 18
    servers.failed(servers.members[0], RequestFailure("down"))
    clock[0] = 29
    servers.failed(servers.members[0], RequestFailure("down"))
    with pytest.raises(EngineError, match="no server has answered for 11 s"):
        servers.failed(servers.members[1], RequestFailure("down"))


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://h:8000", ("http://h:8000/v1",)),
        ("http://h:8000/, https://x/openai/v1/", ("http://h:8000/v1", "https://x/openai/v1")),
    ],
)
def test_base_urls(text: str, urls: tuple[str, ...]) -> None:
    assert base_urls(text) == urls


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "localhost:8000",
        "ftp://h",
        "http://",
        "http://[::1",
        "http://u:k@h",
        "http://h?key=k",
        "http://h,http://h",
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--base-url") as caught:
        base_urls(text)
    assert "u:k" not in str(caught.value)


def test_two_servers_each_keep_their_traces_probes(flags: list[str], tmp_path: Path) -> None:
    with serving() as one, serving() as other:
        command = [*flags, "--base-url", f"{one.url},{other.url}", "--out", str(tmp_path / "run")]
        assert main(command) == 0
        traces = load_run(tmp_path / "run").traces
        for server in (one, other):
            prompts = [TOKENIZER.decode(body["prompt"]) for body in server.bodies]
            seeds = {body["seed"] for body in server.bodies}
            here = traces[traces["seed"].isin(list(seeds))]
            assert 3 <= len(here) <= len(traces) - 3, "both have a part of the work"
            begins = {text[:60] for text in here["text"]}
            probes = [p.rpartition("assistant: ")[2] for p in prompts if p.endswith("boxed{")]
            cut = [p[:60] for p in probes if len(p) > 150]
            assert len(cut) > 10
            assert set(cut) <= begins, "a probe goes where its trace went"


@pytest.fixture
def flags(benchmark_data: Path) -> list[str]:
    return [
        *("run", "--engine", "openai", "--model", "scripted", "--tasks", "gsm8k", "--limit", "6"),
        *("--data-dir", str(benchmark_data), "--samples", "3", "--budgets", "0,64,128,256"),
        *("--max-tokens", "400", "--frontier", "none", "--concurrency", "4"),
    ]


@pytest.fixture
def guarded() -> Iterator[Loopback]:
    with serving(key=SECRET) as server:
        yield server


def test_the_key_is_sent_and_never_stored_or_printed(
    guarded: Loopback,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SERVER_KEY", SECRET)
    command = [*flags, "--base-url", guarded.url, "--out", str(tmp_path / "run")]
    assert main([*command, "--api-key-env", "SERVER_KEY"]) == 0
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in "".join(capfd.readouterr())
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["settings"]["api_key_env"] == "SERVER_KEY"


@pytest.mark.parametrize("key", ["sk-secret1\nsk-secret2", "sk-secret1 sk-secret2", "sk-secret\u2028"])
def test_a_key_that_is_none_is_not_printed(
    key: str, flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PASTED", key + "x")
    assert main([*flags, "--api-key-env", "PASTED", "--base-url", "http://127.0.0.1:1"]) == 2
    error = capsys.readouterr().err
    assert "PASTED" in error
    assert "sk-secret" not in error


def test_a_busy_server_is_asked_again_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(429, {"Retry-After": "0"}), (503, {}), (200, {})])

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, headers = next(answers)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b'{"data": [{"id": "m"}]}')

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(ask, "PAUSES", (0.01, 0.01, 0.01))
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/models"
        assert ask.get_json(url, {}) == {"data": [{"id": "m"}]}
        server.shutdown()


@pytest.mark.parametrize(
    ("variable", "code", "says"),
    [(None, 3, "--api-key-env"), ("NOT_SET", 2, "NOT_SET"), ("WRONG", 3, "refuses the key (401)")],
)
def test_no_key_or_a_wrong_one(
    variable: str | None,
    code: int,
    says: str,
    guarded: Loopback,
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WRONG", "sk-wrong-but-secret")
    key = [] if variable is None else ["--api-key-env", variable]
    assert main([*flags, *key, "--base-url", guarded.url, "--out", str(tmp_path / "run")]) == code
    error = capsys.readouterr().err
    assert says in error
    assert "sk-wrong" not in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "lacking", [{"returns_ids": False}, {"takes_ids": False, "returns_ids": False}, {"takes_ids": False}]
)
def test_a_server_without_token_ids_is_used_by_text_and_the_protocol_says_so(
    lacking: dict[str, bool], flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(**lacking) as server:
        assert main([*flags, "--base-url", server.url, "--out", str(tmp_path / "run")]) == 0
    error = " ".join(capsys.readouterr().err.split())
    assert ("does not return token ids" in error) == ("returns_ids" in lacking)
    assert ("does not accept prompts as token ids" in error) == ("takes_ids" in lacking)
    with serving() as server:
        assert main([*flags, "--base-url", server.url, "--out", str(tmp_path / "ids")]) == 0
    assert "token ids" not in capsys.readouterr().err
    run, exact = load_run(tmp_path / "run"), load_run(tmp_path / "ids")
    assert (run.protocol.tokens, exact.protocol.tokens) == ("text", "ids")
    assert run.digest != exact.digest, "the two are not compared as if nothing were different"
    # A byte is a token to the scripted model, so here, and only here, text loses nothing.
    pd.testing.assert_frame_equal(run.traces, exact.traces)
    pd.testing.assert_frame_equal(run.answers, exact.answers)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"shift": 1}, "has another tokenizer than --model"), ({"context": 300}, "context too short")],
)
def test_a_server_that_does_not_fit_is_refused_before_anything_runs(
    options: dict[str, Any],
    says: str,
    flags: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(**options) as server:
        assert main([*flags, "--base-url", server.url, "--out", str(tmp_path / "run")]) in (2, 3)
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_no_server_there(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*flags, "--base-url", "http://127.0.0.1:9", "--out", str(tmp_path / "run")]) == 3
    error = capsys.readouterr().err
    assert "no server answers at http://127.0.0.1:9/v1/models" in error
    assert len(error.splitlines()) == 1


def test_a_base_url_is_needed(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    assert "--base-url" in capsys.readouterr().err


def test_cached_tokens_that_the_server_does_not_report_are_unknown_not_zero(
    flags: list[str], tmp_path: Path
) -> None:
    with serving() as server:
        assert main([*flags, "--base-url", server.url, "--out", str(tmp_path / "run")]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["cost"]["probe_prompt_tokens_cached_share"] is None
