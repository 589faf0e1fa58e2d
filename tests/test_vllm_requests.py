"""What vLLM is asked for, by a stand-in for it that takes down every call."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from reghar.engines.base import Sampling
from reghar.engines.environment import Environment
from reghar.engines.vllm import VllmEngine


class Calls:
    """Of the stand-in: how its engine was made, and each request."""

    made: dict[str, Any]
    arguments: Any

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """`vllm` as far as an engine imports it."""
    calls = Calls()

    @dataclass
    class AsyncEngineArgs:
        model: str
        revision: str | None
        max_model_len: int
        max_num_seqs: int
        seed: int
        scheduling_policy: str
        dtype: str = "auto"
        enforce_eager: bool = False
        block_size: int = 16
        enable_chunked_prefill: bool = True
        max_num_batched_tokens: int = 8192

    class AsyncLLM:
        vllm_config = SimpleNamespace(
            parallel_config=SimpleNamespace(data_parallel_size=2),
            compilation_config=SimpleNamespace(cudagraph_capture_sizes=[8]),
            scheduler_config=SimpleNamespace(max_num_seqs=16),
            cache_config=SimpleNamespace(kv_cache_size_tokens=100),
        )

        @classmethod
        def from_engine_args(cls, arguments: object, **made: Any) -> "AsyncLLM":
            calls.arguments, calls.made = arguments, made
            return cls()

        async def generate(self, prompt: Any, _: object, **request: Any) -> AsyncGenerator[Any, None]:
            calls.requests.append({"prompt": prompt, **request})
            await asyncio.sleep(0)
            completion = SimpleNamespace(token_ids=[7], finish_reason="length", logprobs=None)
            yield SimpleNamespace(outputs=[completion], num_cached_tokens=0)

        def shutdown(self) -> None: ...

    class DeadError(Exception): ...

    class GenerateError(Exception): ...

    platform = SimpleNamespace(is_cpu=lambda: False, get_device_name=lambda: "a card")
    contents: dict[str, dict[str, Any]] = {
        "vllm": {"__version__": "0.32.0", "TokensPrompt": dict, "SamplingParams": SimpleNamespace},
        "vllm.engine": {},
        "vllm.engine.arg_utils": {"AsyncEngineArgs": AsyncEngineArgs},
        "vllm.platforms": {"current_platform": platform},
        "vllm.sampling_params": {
            "RepetitionDetectionParams": SimpleNamespace,
            "RequestOutputKind": SimpleNamespace(DELTA="delta"),
        },
        "vllm.usage": {},
        "vllm.usage.usage_lib": {"UsageContext": SimpleNamespace(LLM_CLASS="offline")},
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.async_llm": {"AsyncLLM": AsyncLLM},
        "vllm.v1.engine.exceptions": {"EngineDeadError": DeadError, "EngineGenerateError": GenerateError},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("reghar.engines.vllm.vllm_environment", lambda _: Environment())
    return calls


@pytest.fixture
def engine(calls: Calls) -> Iterator[VllmEngine]:  # noqa: ARG001 - it stands for vllm
    engine = VllmEngine(
        "folder", revision="c0ffee", max_model_len=64, max_num_seqs=None, seed=1, arguments={}
    )
    engine.start()
    yield engine
    asyncio.run(engine.close())


def test_it_loads_the_commit_that_was_resolved_with_the_defaults_of_offline_work(
    engine: VllmEngine, calls: Calls
) -> None:
    """A server's default takes fewer prompt tokens in a step."""
    assert engine.info.version == "0.32.0"
    assert calls.arguments.revision == "c0ffee"
    assert calls.made["usage_context"] == "offline"


def test_a_trace_and_its_probes_keep_to_the_rank_that_holds_their_blocks(
    engine: VllmEngine, calls: Calls
) -> None:
    async def ask(session: str) -> None:
        sampling = Sampling(temperature=0.6, top_p=1.0, max_tokens=1, seed=1)
        async with aclosing(engine.generate([ord(session)], sampling, session=session)) as stream:
            async for _ in stream:
                pass

    async def all_of_them() -> None:
        await asyncio.gather(ask("a"), ask("b"))
        for session in "abba":
            await ask(session)

    asyncio.run(all_of_them())
    ranks: dict[int, set[int]] = {}
    for request in calls.requests:
        (session,) = request["prompt"]["prompt_token_ids"]
        ranks.setdefault(session, set()).add(request["data_parallel_rank"])
    assert sorted(map(sorted, ranks.values())) == [[0], [1]]


@pytest.mark.parametrize(("arguments", "compile_disabled"), [({}, "1"), ({"enforce_eager": False}, None)])
def test_on_a_cpu_no_kernel_is_compiled_unless_that_was_asked_for(
    arguments: dict[str, object],
    compile_disabled: str | None,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TORCH_COMPILE_DISABLE", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_CPU_KVCACHE_SPACE"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys.modules["vllm.platforms"].current_platform, "is_cpu", lambda: True)
    engine = VllmEngine(
        "folder", revision=None, max_model_len=64, max_num_seqs=None, seed=1, arguments=arguments
    )
    engine.start()
    asyncio.run(engine.close())
    assert calls.arguments.enforce_eager == (compile_disabled == "1")
    assert os.environ.get("TORCH_COMPILE_DISABLE") == compile_disabled
