"""What is settled before an engine loads: model and commit, ids, the day, the version."""

import asyncio
import json
from contextlib import aclosing
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.loopback import TOKENIZER, serving

from reghar import demo
from reghar.cli import main
from reghar.engines import version
from reghar.engines.base import Sampling
from reghar.engines.openai import OpenAIEngine
from reghar.engines.preflight import inspect_server
from reghar.errors import EngineError, InputError
from reghar.generation.concurrency import Lengths, choose_concurrency, traces_in_flight
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.scripted import scripted_model
from reghar.prompting.tokenizer import PretrainedTokenizer, load_model
from reghar.protocol import PromptProtocol, SamplingProtocol, _without_defaults
from reghar.run.checks import check_settings
from reghar.run.settings import RunSettings
from reghar.store import load_run

# As in gpt-oss's template.
TELLS_THE_DATE = (
    "{{ 'Current date: ' + strftime_now('%Y-%m-%d') }}\n"
    "{% for m in messages %}{{ m['content'] }}\n{% endfor %}assistant:"
)


def with_template(template: str) -> PretrainedTokenizer:
    from transformers import AutoTokenizer

    pretrained = AutoTokenizer.from_pretrained(str(demo.path("terse")))
    pretrained.chat_template = template
    return PretrainedTokenizer(pretrained)


def test_a_template_that_tells_the_date_tells_the_same_one_tomorrow() -> None:
    prompt = PromptFormat(tokenizer=with_template(TELLS_THE_DATE))
    assert prompt.render("6 x 7?").startswith("Current date: 2026-01-01\n")
    assert prompt.tells_date
    other = PromptFormat(tokenizer=prompt.tokenizer, today=date(2025, 8, 5))
    assert other.render("6 x 7?").startswith("Current date: 2025-08-05\n")
    silent = PromptFormat(
        tokenizer=with_template(TELLS_THE_DATE.replace("strftime_now('%Y-%m-%d')", "'none'"))
    )
    assert not silent.tells_date


def test_fields_that_came_later_are_left_out_while_they_have_their_default() -> None:
    """Digests of older runs stay what they were."""
    sampling = SamplingProtocol(temperature=0.6, top_p=0.95, top_k=0, min_p=0.0, max_tokens=9)
    first = {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "min_p": 0.0, "max_tokens": 9}
    from dataclasses import asdict, replace

    def recorded(value: Any) -> dict[str, Any]:
        return _without_defaults(value, asdict(value))

    assert recorded(sampling) == first
    assert recorded(replace(sampling, repetition_penalty=1.1)) == first | {"repetition_penalty": 1.1}
    prompt = PromptProtocol(template="", system=None, thinking=None)
    assert "date" not in recorded(prompt)
    assert recorded(replace(prompt, date="2026-01-01"))["date"] == "2026-01-01"


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"temperature": 2.1}, "--temperature"),
        ({"probe_temperature": 2.1}, "--probe-temperature"),
        ({"repetition_penalty": 0.0}, "--repetition-penalty"),
        ({"presence_penalty": -3.0}, "--presence-penalty"),
        ({"frequency_penalty": 2.5}, "--frequency-penalty"),
        ({"date": "tomorrow"}, "--date"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_at_once(change: dict[str, Any], flag: str) -> None:
    with pytest.raises(InputError, match=flag):
        check_settings(RunSettings(model="m", tasks=("t",), **change))


class FakeAuto:
    """Stands for `AutoConfig` and `AutoTokenizer`: remembers how it was asked."""

    asked: list[dict[str, Any]]

    @classmethod
    def from_pretrained(cls, _: str, **options: Any) -> Any:
        cls.asked.append(options)
        return SimpleNamespace(vocab_size=151_936)


def test_trust_in_remote_code_and_the_resolved_commit_reach_where_they_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import transformers

    class Tokens(SimpleNamespace):
        def __len__(self) -> int:
            return 151_669

    FakeAuto.asked = []
    monkeypatch.setattr(transformers, "AutoConfig", FakeAuto)
    fake = type("FakeTokenizer", (FakeAuto,), {"from_pretrained": classmethod(_tokens(Tokens))})
    monkeypatch.setattr(transformers, "AutoTokenizer", fake)
    monkeypatch.setattr("reghar.hub.hub_silence", lambda: None)
    monkeypatch.setattr("reghar.hub.cached_commit", lambda *_: "c0ffee")
    model = load_model("Qwen/Qwen3-4B", "main", trust_remote_code=True)
    assert [asked["revision"] for asked in FakeAuto.asked] == ["main", "c0ffee"]
    assert all(asked["trust_remote_code"] is True for asked in FakeAuto.asked)
    assert model.revision == "c0ffee", "what the engine is then told, not the branch"
    assert model.vocabulary_size == 151_936, "the padding rows of the embedding are ids that the engine takes"


def _tokens(kind: type) -> Any:
    def from_pretrained(_: type, __: str, **options: Any) -> Any:
        FakeAuto.asked.append(options)
        return kind()

    return from_pretrained


def test_a_vllm_that_is_too_old_is_named_at_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    for installed, refused in (("0.26.1", True), ("0.27.0", False), ("1.0", False), ("0.1.dev9+g1", False)):
        monkeypatch.setattr(version, "version", lambda _, found=installed: found)
        if refused:
            with pytest.raises(InputError, match=r"0\.27 or later"):
                version.require_version()
        else:
            version.require_version()


def test_the_models_name_and_the_servers_are_compared() -> None:
    model = scripted_model()
    with serving(name="Qwen/Qwen3-8B") as server:
        url = f"{server.url}/v1"
        with pytest.raises(EngineError, match="serves 'Qwen/Qwen3-8B', not --model 'scripted'"):
            inspect_server(url, model, None)
        assert inspect_server(url, model, None, served_name="Qwen/Qwen3-8B").name == "Qwen/Qwen3-8B"
        with pytest.raises(EngineError, match="not --served-model-name 'other'"):
            inspect_server(url, model, None, served_name="other")
    for name in ("scripted", "somebody/Scripted", "/models/scripted/"):
        with serving(name=name) as server:
            assert inspect_server(f"{server.url}/v1", model, None).name == name


METRICS = "".join(
    f'vllm:cache_config_info{{block_size="16",engine="{rank}",num_gpu_blocks="100"}} 1.0\n' for rank in (0, 1)
)


def test_a_server_with_several_ranks_keeps_a_session_on_one() -> None:
    with serving(metrics=METRICS) as server:
        served = inspect_server(f"{server.url}/v1", scripted_model(), None)
        assert (served.ranks, served.kv_tokens) == (2, 3200)
        client = OpenAIEngine(
            [f"{server.url}/v1"],
            scripted_model(),
            tokens="ids",
            api_key_env=None,
            concurrency=4,
            timeout=5.0,
            patience=2.0,
        )
        client.start()
        assert client.info.kv_caches == (1600, 1600)
        assert traces_in_flight(None, client.info, Lengths()) == 2 * choose_concurrency(1600, Lengths())

        async def ask(session: str) -> None:
            sampling = Sampling(temperature=0.6, top_p=1.0, max_tokens=20, seed=1)
            prompt = TOKENIZER.encode_text(session)
            async with aclosing(client.generate(prompt, sampling, session=session)) as stream:
                async for _ in stream:
                    pass

        async def both() -> None:
            await asyncio.gather(ask("a"), ask("b"))
            await ask("a")
            await ask("b")
            await client.close()

        asyncio.run(both())
        ranks = {TOKENIZER.decode(b["prompt"]): set[str | None]() for b in server.bodies}
        for body, rank in zip(server.bodies, server.ranks, strict=True):
            ranks[TOKENIZER.decode(body["prompt"])].add(rank)
    assert sorted(map(sorted, ranks.values())) == [["0"], ["1"]]


@pytest.mark.parametrize("returns_ids", [True, False])
def test_every_sampling_setting_is_sent_in_text_mode_as_well(returns_ids: bool, tmp_path: Path) -> None:
    data = tmp_path / "amc23.jsonl"
    data.write_text(json.dumps({"id": "a", "problem": "6 x 7?", "answer": "42"}) + "\n")
    command = ["run", "--engine", "openai", "--model", "scripted", "--tasks", "amc23", "--samples", "1"]
    command += ["--budgets", "0,64", "--max-tokens", "200", "--frontier", "none", "--data-dir", str(tmp_path)]
    command += ["--presence-penalty", "0.5"]
    with serving(returns_ids=returns_ids) as server:
        assert main([*command, "--base-url", server.url, "--out", str(tmp_path / "run")]) == 0
    sent = {name: server.bodies[0].get(name) for name in ("top_k", "min_p", "repetition_penalty")}
    assert sent == {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    assert server.bodies[0]["presence_penalty"] == 0.5
    assert server.bodies[0]["frequency_penalty"] == 0.0
    assert server.bodies[0]["skip_special_tokens"] is False, "or the thinking would have no end"


def test_a_server_that_takes_no_such_setting_is_told_none_and_the_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "amc23.jsonl"
    data.write_text(json.dumps({"id": "a", "problem": "6 x 7?", "answer": "42"}) + "\n")
    command = ["run", "--engine", "openai", "--model", "scripted", "--tasks", "amc23", "--samples", "1"]
    command += ["--budgets", "0,64", "--max-tokens", "200", "--frontier", "none", "--data-dir", str(tmp_path)]
    with serving(returns_ids=False, takes_sampling=False) as server:
        assert main([*command, "--base-url", server.url, "--out", str(tmp_path / "run")]) == 0
    assert "top_k" not in server.bodies[0]
    assert "its own defaults hold" in capsys.readouterr().err


@pytest.mark.parametrize("takes_priority", [True, False])
def test_servers_are_asked_for_priority_where_they_take_it_and_for_log_probabilities(
    takes_priority: bool, tmp_path: Path
) -> None:
    data = tmp_path / "amc23.jsonl"
    data.write_text(json.dumps({"id": "a", "problem": "6 x 7?", "answer": "42"}) + "\n")
    command = ["run", "--engine", "openai", "--model", "scripted", "--tasks", "amc23", "--samples", "1"]
    command += ["--budgets", "0,64", "--max-tokens", "200", "--frontier", "none", "--data-dir", str(tmp_path)]
    with serving(takes_priority=takes_priority, scores=True) as server:
        assert main([*command, "--base-url", server.url, "--out", str(tmp_path / "run")]) == 0
    trace, probe = server.bodies[:2]
    assert trace.get("priority") == (1 if takes_priority else None)
    assert "priority" not in probe, "0, as everywhere"
    assert ("logprobs" in trace, probe["logprobs"]) == (False, 0)
    answers = load_run(tmp_path / "run").answers
    forced = answers[answers["forced"]]
    assert (forced["answer_logprob"] == -0.5 * forced["answer_tokens_scored"]).all()
    assert forced["answer_logprob"].dtype == "float32"
    assert answers[~answers["forced"]]["answer_logprob"].isna().all()
