"""vLLM's scheduler and KV cache manager without a model: what is scheduled is real, the tokens are given.

No policy looks at the clock, so a run's list of steps does not depend on how long a step takes: it is
priced afterwards (`prices.py`), for any GPU and any assumption about overheads.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")

import torch
from vllm.config import CacheConfig, ModelConfig, SchedulerConfig, VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.v1.core import kv_cache_utils
from vllm.v1.core.sched.output import CachedRequestData
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.core.sched.utils import check_stop
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request
from vllm.v1.structured_output import StructuredOutputManager

BLOCK = 16
"""Tokens a block of the KV cache, vLLM's default."""
MAX_MODEL_LEN = 33_280
COLUMNS = ("steps", "tokens", "requests", "kv_tokens", "attended", "mixed")
"""Of a run's list of steps: equal steps in a row; then, for each of them: tokens computed, requests, tokens
whose keys and values are read, pairs of tokens that attend, and whether a part of a prompt was among them."""

_MODEL = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_hidden_layers": 36,
    "vocab_size": 151_936,
    "max_position_embeddings": 40_960,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": True,
}


def _fast_hash(value: object) -> bytes:
    """Instead of SHA-256: nobody attacks a simulation's cache."""
    return hash(value).to_bytes(8, "little", signed=True)


kv_cache_utils.NONE_HASH = kv_cache_utils.BlockHash(_fast_hash("none"))
_HASHER = kv_cache_utils.get_request_block_hasher(BLOCK, _fast_hash)


class _Scheduler(Scheduler):  # type: ignore[misc]
    """vLLM's, counting preemptions; several tokens of a request at once are appended in one go."""

    preempted = 0
    dropped = 0

    def _update_request_with_output(
        self, request: Request, new_token_ids: list[int], is_stale: bool = False
    ) -> tuple[list[int], bool]:
        if len(new_token_ids) == 1:
            return super()._update_request_with_output(request, new_token_ids, is_stale)  # type: ignore[no-any-return]
        request.append_output_token_ids(new_token_ids)
        if check_stop(request, self.max_model_len):
            raise AssertionError("equal steps may not reach the end of a request")
        return new_token_ids, False

    def _make_cached_request_data(self, _: object, resumed: list[Request], *__: object) -> CachedRequestData:
        # What a worker would be sent; there is none.
        data = CachedRequestData.make_empty()
        data.resumed_req_ids = {request.request_id for request in resumed}
        return data

    def _preempt_request(self, request: Request, *args: Any, **keywords: Any) -> None:
        self.preempted += 1
        self.dropped += request.num_computed_tokens
        super()._preempt_request(request, *args, **keywords)


@dataclass(slots=True)
class Step:
    """One call of the scheduler."""

    row: tuple[float, ...]
    """As `COLUMNS` names them."""
    outputs: list[tuple[str, bool]]
    """Requests that sampled tokens, and whether they are done."""
    stable: bool
    """Nothing began, ended, was preempted or read a prompt: the next step may be like this one."""


class SimulatedEngine:
    """Requests in, steps out; `tokens_of` gives the tokens that a request samples."""

    def __init__(
        self,
        *,
        blocks: int,
        max_num_seqs: int,
        max_num_batched_tokens: int,
        priority: bool,
        tokens_of: Callable[[str, int, int], list[int]],
    ) -> None:
        """`tokens_of(request, start, count)`: the `count` tokens after the first `start` of the response."""
        config = _config(blocks, max_num_seqs, max_num_batched_tokens, priority)
        spec = FullAttentionSpec(block_size=BLOCK, num_kv_heads=8, head_size=128, dtype=torch.bfloat16)
        self.scheduler = _Scheduler(
            vllm_config=config,
            kv_cache_config=KVCacheConfig(
                num_blocks=blocks, kv_cache_tensors=[], kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)]
            ),
            block_size=BLOCK,
            log_stats=False,
            structured_output_manager=StructuredOutputManager(config),
        )
        _answer_no_ops(self.scheduler.kv_cache_manager)
        self._tokens_of = tokens_of
        self._arrivals = 0
        self.cached: dict[str, int] = {}
        """By request that has started: the tokens of its prompt that were found in the cache."""

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished."""
        return bool(self.scheduler.requests)

    def add(self, name: str, prompt: Sequence[int], max_tokens: int, priority: int) -> Request:
        """A request that ends after `max_tokens`; a lower `priority` goes first where the policy has any."""
        self._arrivals += 1
        request = Request(
            name,
            list(prompt),
            SamplingParams(max_tokens=max_tokens, ignore_eos=True),
            None,
            arrival_time=float(self._arrivals),
            block_hasher=_HASHER,
            priority=priority,
        )
        self.scheduler.add_request(request)
        return request

    def equal_steps(self, most: int, until_due: Callable[[Request], int]) -> int:
        """How many decode steps, at most `most`, go by before a request ends or `until_due` tells."""
        running = self.scheduler.running
        steps: int = max(1, min(most, self.scheduler.max_num_scheduled_tokens // max(1, len(running))))
        for request in running:
            if request.num_computed_tokens != request.num_tokens - 1:
                return 1
            left = request.max_tokens - request.num_output_tokens
            steps = min(steps, max(1, left - 1), until_due(request))
            if steps <= 1:
                return 1
        return steps

    def step(self, steps: int) -> Step:
        """`steps` equal decode steps, or one step of any kind."""
        scheduler = self.scheduler
        if steps > 1:
            drafts = [-1] * (steps - 1)
            for request in scheduler.running:
                request.spec_token_ids = drafts
        preempted = scheduler.preempted
        output = scheduler.schedule()
        if not output.total_num_scheduled_tokens:
            raise RuntimeError(f"stuck: {len(scheduler.running)} running, {len(scheduler.waiting)} waiting")
        row, sampled = self._count(output, steps)
        for new in output.scheduled_new_reqs:
            self.cached[new.req_id] = new.num_computed_tokens
        names = list(sampled)
        result = scheduler.update_from_output(
            output,
            ModelRunnerOutput(
                req_ids=names,
                req_id_to_index={name: i for i, name in enumerate(names)},
                sampled_token_ids=list(sampled.values()),
            ),
        )
        produced = result[0].outputs if result else ()
        outputs = [(o.request_id, o.finish_reason is not None) for o in produced]
        began = output.scheduled_new_reqs or output.scheduled_cached_reqs.resumed_req_ids
        disturbed = began or row[-1] or scheduler.preempted != preempted or any(end for _, end in outputs)
        return Step(row, outputs, not disturbed)

    def _count(self, output: Any, steps: int) -> tuple[tuple[float, ...], dict[str, list[int]]]:
        """The row of a step, and the tokens that each of its requests samples."""
        kv_tokens = attended = prompt_tokens = 0.0
        sampled: dict[str, list[int]] = {}
        for name, count in output.num_scheduled_tokens.items():
            request = self.scheduler.requests[name]
            context = request.num_computed_tokens
            new = context - request.num_tokens + 1  # below 1 in the middle of a prompt
            if new == count:
                kv_tokens += context - (count - 1) / 2
            else:
                kv_tokens += context
                prompt_tokens += count
                attended += count * (context - count / 2)
            sampled[name] = self._tokens_of(name, request.num_output_tokens, new) if new > 0 else []
        tokens = (output.total_num_scheduled_tokens - prompt_tokens) / steps + prompt_tokens
        row = (steps, tokens, len(sampled), kv_tokens, attended + kv_tokens, float(prompt_tokens > 0))
        return row, sampled


def _config(blocks: int, max_num_seqs: int, max_num_batched_tokens: int, priority: bool) -> VllmConfig:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(_MODEL))
        config = VllmConfig(
            model_config=ModelConfig(
                model=folder, skip_tokenizer_init=True, dtype="bfloat16", max_model_len=MAX_MODEL_LEN, seed=0
            ),
            scheduler_config=SchedulerConfig(
                max_num_seqs=max_num_seqs,
                max_num_batched_tokens=max_num_batched_tokens,
                max_model_len=MAX_MODEL_LEN,
                is_encoder_decoder=False,
                enable_chunked_prefill=True,
                async_scheduling=False,
                policy="priority" if priority else "fcfs",
            ),
            cache_config=CacheConfig(block_size=BLOCK, enable_prefix_caching=True),
        )
    # The CPU platform, on which this runs, changed what a GPU would keep.
    config.scheduler_config.enable_chunked_prefill = True
    config.scheduler_config.max_num_batched_tokens = max_num_batched_tokens
    config.scheduler_config.max_num_seqs = max_num_seqs
    config.cache_config.block_size = BLOCK
    config.cache_config.enable_prefix_caching = True
    config.cache_config.num_gpu_blocks = blocks
    return config


def _answer_no_ops(manager: Any) -> None:
    """A decode step that needs no block and fills none changes nothing in the manager: answered at once."""
    allocate, kind = manager.allocate_slots, manager.coordinator.single_type_managers[0]
    blocks, cached, empty = kind.req_to_blocks, kind.num_cached_block, manager.empty_kv_cache_blocks

    def allocate_slots(
        request: Request,
        num_new_tokens: int,
        num_new_computed_tokens: int = 0,
        new_computed_blocks: Any = None,
        **rest: Any,
    ) -> Any:
        if new_computed_blocks is None and request.num_computed_tokens:
            name, end = request.request_id, request.num_computed_tokens + num_new_tokens
            full = min(end, request.num_tokens) // BLOCK
            if end <= BLOCK * len(blocks.get(name, ())) and full <= cached.get(name, 0):
                return empty
        return allocate(
            request,
            num_new_tokens,
            num_new_computed_tokens=num_new_computed_tokens,
            new_computed_blocks=new_computed_blocks,
            **rest,
        )

    manager.allocate_slots = allocate_slots
