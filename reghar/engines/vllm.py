"""vLLM's asynchronous engine in this process's event loop, CUDA or CPU build, whichever is installed."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reghar.engines.base import (
    CAPTURED,
    Chunk,
    EngineDeadError,
    EngineInfo,
    ResponseLostError,
    Sampling,
)
from reghar.engines.environment import vllm_environment
from reghar.engines.sessions import Sessions
from reghar.engines.warden import Warden
from reghar.errors import EngineError, InputError

CPU_BATCHES = tuple(size for size in CAPTURED if size <= 64)
"""Traces in flight on a CPU, which gains nothing from larger batches."""


class VllmEngine:
    """The engine of a run. vLLM runs the model in a process of its own."""

    def __init__(
        self,
        model_path: str,
        *,
        revision: str | None,
        max_model_len: int,
        max_num_seqs: int | None,
        seed: int,
        arguments: dict[str, object],
        adapters: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """`max_model_len` in tokens; `max_num_seqs`, requests at a time, None for what suits the host;
        `arguments` are the user's and win over every default here; `adapters`: folders of LoRA adapters by
        name.

        `log`: file that gets what vLLM and its processes print; None leaves it on the terminal.
        """
        self._arguments: dict[str, object] = {
            "model": model_path,
            "revision": revision,
            "max_model_len": max_model_len,
            **({} if max_num_seqs is None else {"max_num_seqs": max_num_seqs}),
            "seed": seed,
            "scheduling_policy": "priority",
            **arguments,
        }
        self._log = log
        self._adapters = dict(adapters or {})
        self._engine: Any = None
        self._info: EngineInfo | None = None
        self._numbers = itertools.count()
        self._warden = Warden()
        self._ranks: Sessions[int] = Sessions(range(1))
        self.last_token = 0.0

    @property
    def info(self) -> EngineInfo:
        """See `Engine`; known once started."""
        if self._info is None:
            raise EngineError("the vLLM engine has not been started")
        return self._info

    def start(self) -> None:
        """See `Engine`."""
        try:
            with _output_to(self._log), self._warden.marking():
                self._start()
        except BaseException:
            self._warden.dismiss()  # a signal may have come while the model was loading
            raise

    def _start(self) -> None:
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        # The event loop may already hold threads (progress, grading): forking would copy their locks.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        try:
            import vllm
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise EngineError(
                f"vLLM cannot be imported: {error}; install reghar[vllm], or reghar[cpu] without a GPU"
            ) from error
        batches = CPU_BATCHES if current_platform.is_cpu() else CAPTURED
        self._arguments = {"max_num_seqs": 2 * batches[-1]} | self._arguments
        if current_platform.is_cpu():
            self._use_whole_cpu()
        unknown = sorted(set(self._arguments) - set(inspect.signature(AsyncEngineArgs).parameters))
        if unknown:
            raise InputError(
                f"vLLM has no engine argument {unknown[0]!r}: leave out --engine-arg {unknown[0]}=..."
            )
        try:
            self._engine = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**self._arguments),
                # The defaults of offline work: more prompt tokens in a step than a server takes.
                usage_context=UsageContext.LLM_CLASS,
                stat_loggers=[self._heartbeat],
            )
        except (RuntimeError, ValueError, TypeError, OSError, AssertionError, ImportError) as error:
            model = self._arguments["model"]
            raise EngineError(f"vLLM cannot load {model!r}: {_first_line(error)}{self._see_log}") from error
        config = self._engine.vllm_config
        self._ranks = Sessions(range(config.parallel_config.data_parallel_size))
        captured = tuple(sorted(config.compilation_config.cudagraph_capture_sizes or batches))
        most = config.scheduler_config.max_num_seqs // 2  # the rest is for their probes
        self._info = EngineInfo(
            name="vllm",
            version=str(vllm.__version__),
            host="cpu" if current_platform.is_cpu() else str(current_platform.get_device_name()),
            # The model has a field of its own in run.json; its folder is this machine's business.
            arguments={k: v for k, v in self._arguments.items() if v is not None and k != "model"},
            kv_caches=(config.cache_config.kv_cache_size_tokens,) * len(self._ranks),
            batches=tuple(size for size in captured if size <= most) or (max(most, 1),),
            environment=vllm_environment(config),
        )

    @property
    def _see_log(self) -> str:
        return f"; see {self._log}" if self._log is not None else ""

    def _use_whole_cpu(self) -> None:
        # vLLM's CPU worker binds to one core unless told otherwise.
        cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", cores)
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")
        # Many CPUs have no bf16 instructions, and compiling takes longer than a small run.
        # A prompt in chunks ends vLLM 0.32's CPU worker when its request has a seed ("CPU Generator
        # does not use offset"), so every prompt must fit into one step beside the running decodes.
        defaults = {
            "dtype": "float32",
            "enforce_eager": True,
            "block_size": 32,  # the smallest here: a probe finds more of its trace in the cache
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": int(str(self._arguments["max_model_len"]))
            + int(str(self._arguments["max_num_seqs"])),
        }
        self._arguments = defaults | self._arguments
        if self._arguments["enforce_eager"]:
            # Log-probabilities would still compile a kernel while the first probes wait: 16 s for nothing.
            os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")

    def _heartbeat(self, *_: object) -> Any:
        """What vLLM calls after every step, chunks being too rare to tell a slow engine from a hung one."""
        from vllm.v1.metrics.loggers import StatLoggerBase

        beat = self._beat

        class Heartbeat(StatLoggerBase):  # type: ignore[misc]
            """Notes when a step has made tokens."""

            def __init__(self) -> None: ...

            def record(self, _: object, iteration_stats: object, *__: object, **___: object) -> None:
                if iteration_stats is not None:
                    beat()

            def log_engine_initialized(self) -> None: ...

        return Heartbeat()

    def _beat(self) -> None:
        self.last_token = time.monotonic()

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine`. With data parallelism a session keeps to one rank, which holds its prefix cache."""
        from vllm import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError as VllmDeadError
        from vllm.v1.engine.exceptions import EngineGenerateError

        with self._ranks.request(session) as rank:
            stream = self._engine.generate(
                TokensPrompt(prompt_token_ids=list(prompt_ids)),
                self.sampling_params(sampling, interval),
                request_id=f"reghar-{next(self._numbers)}",
                data_parallel_rank=rank if len(self._ranks) > 1 else None,
                lora_request=self._lora_request(sampling.adapter),
                priority=sampling.priority if self._arguments["scheduling_policy"] == "priority" else 0,
            )
            try:
                # aclosing: an abandoned request is aborted now, not when the garbage collector finds it.
                async with contextlib.aclosing(stream):
                    async for output in stream:
                        yield _chunk(output, may_repeat=sampling.repetition_detection is not None)
            except ResponseLostError:
                raise
            except VllmDeadError as error:
                raise EngineDeadError(f"vLLM died while generating{self._see_log}") from error
            except EngineGenerateError as error:
                raise ResponseLostError(
                    f"vLLM lost a response: {_first_line(error)}{self._see_log}"
                ) from error
            except Exception as error:  # a request that it refuses; its classes differ between versions
                raise EngineError(f"vLLM refuses a request: {_first_line(error)}{self._see_log}") from error

    def _lora_request(self, adapter: str | None) -> Any:
        if adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        number = 1 + list(self._adapters).index(adapter)
        return LoRARequest(lora_name=adapter, lora_int_id=number, lora_path=self._adapters[adapter])

    def sampling_params(self, sampling: Sampling, interval: int) -> Any:
        """The settings of one request as vLLM takes them."""
        from vllm import SamplingParams
        from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind

        rule = sampling.repetition_detection
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=sampling.max_tokens,
            logprobs=0 if sampling.logprobs else None,  # of the chosen token alone
            seed=sampling.seed,
            repetition_detection=None if rule is None else RepetitionDetectionParams(**asdict(rule)),
            logit_bias=dict.fromkeys(sampling.barred, -100.0) or None,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
            stream_interval=interval,
        )

    def kill(self) -> None:
        """Ends the engine's processes at once, hung ones too; vLLM then finds them dead."""
        self._warden.kill()

    async def close(self) -> None:
        """See `Engine`."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await asyncio.to_thread(engine.shutdown)
        await asyncio.to_thread(self._warden.dismiss)


def _chunk(output: Any, *, may_repeat: bool = False) -> Chunk:
    completion = output.outputs[0]
    token_ids = list(completion.token_ids)
    reason = completion.finish_reason
    if reason not in (None, "stop", "length") and not (may_repeat and reason == "repetition"):
        raise ResponseLostError(f"vLLM ended a response with {reason!r}")
    logprobs: list[float] | None = None
    if completion.logprobs is not None:
        steps = zip(token_ids, completion.logprobs, strict=True)
        logprobs = [float(step[token].logprob) for token, step in steps]
    if reason == "stop" and token_ids:
        token_ids.pop()  # vLLM hands out the token that ended the response
    if logprobs is not None:
        logprobs = logprobs[: len(token_ids)]
    return Chunk(token_ids, reason, output.num_cached_tokens or 0, logprobs)


@contextlib.contextmanager
def _output_to(log: Path | None) -> Iterator[None]:
    """Appends what this process and those it starts print to a file; theirs goes there for good."""
    if log is None:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(fd, os.dup(fd)) for fd in (1, 2)]
    try:
        with log.open("a") as file:
            for fd, _ in kept:
                os.dup2(file.fileno(), fd)
        yield
        # From here on vLLM's loggers in this process write to the file themselves.
        vllm_logger = logging.getLogger("vllm")
        vllm_logger.handlers = [logging.FileHandler(log)]
        vllm_logger.propagate = False
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, copy in kept:
            os.dup2(copy, fd)
            os.close(copy)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
