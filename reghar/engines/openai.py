"""Servers of the OpenAI completions API, such as vLLM's own, as one engine.

Tokens travel as ids both ways. A try that fails before its first token is made again here, on the
same or another server; a stream that breaks later is a lost response (see `ResponseLostError`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reghar.engines.ask import server_says
from reghar.engines.base import CAPTURED, Chunk, EngineInfo, FinishReason, ResponseLostError, Sampling
from reghar.engines.http import client_session, events, refusal
from reghar.engines.preflight import EXTENSIONS, SAMPLING, ServerInfo, inspect_server
from reghar.engines.servers import TRIES, RequestFailure, Server, Servers
from reghar.engines.sessions import Sessions
from reghar.errors import EngineError
from reghar.prompting.tokenizer import Model
from reghar.protocol import Tokens

if TYPE_CHECKING:
    import aiohttp

RANK_HEADER = "X-data-parallel-rank"
"""vLLM's: which of its data-parallel engines takes a request."""
BATCHES = tuple(size for size in CAPTURED if size <= 128)
"""Traces in flight at one server's engine: vLLM's servers take 256 requests at a time by default, of which
half are for probes."""
LARGEST_ID = 2**31 - 1
"""What the store holds; ids beyond the vocabulary are the schedule's business."""


class OpenAIEngine:
    """A client of one or several servers of the same model."""

    def __init__(
        self,
        urls: Sequence[str],
        model: Model,
        *,
        served_name: str | None = None,
        adapters: Sequence[str] = (),
        tokens: Tokens,
        api_key_env: str | None,
        concurrency: int | None,
        timeout: float,
        patience: float,
    ) -> None:
        """`served_name`: the model's at the servers, where not its own; `adapters`: names of LoRA adapters
        that every server must have; `concurrency`: traces in flight, None for what suits the servers;
        `timeout`: longest silence of a response in seconds; `patience`: see `Servers`."""
        self._urls = tuple(urls)
        self._model = model
        self._tokens = tokens
        self._served_name = served_name
        self._adapters = tuple(adapters)
        self._api_key_env = api_key_env
        self._concurrency = concurrency
        self._timeout = timeout
        self._servers = Servers(urls, patience=patience)
        self._served: dict[str, ServerInfo] = {}
        self._ranks: dict[str, Sessions[int]] = {}
        self._client: aiohttp.ClientSession | None = None

    @cached_property
    def info(self) -> EngineInfo:
        """See `Engine`; known once started. Holds no key."""
        if not self._served:
            raise EngineError("the servers have not been asked yet")
        return EngineInfo(
            name="openai",
            version=", ".join(sorted({served.version for served in self._served.values()})),
            host="served",
            arguments={
                "base_urls": list(self._urls),
                "models": [served.name for served in self._served.values()],
                "tokens": self._tokens,
            },
            kv_caches=tuple(size for served in self._served.values() for size in served.kv_caches),
            batches=BATCHES,
        )

    @property
    def _connections(self) -> int:
        """Most requests at a time: traces, and a probe for each."""
        most = BATCHES[-1] * len(self.info.kv_caches)
        return 2 * (most if self._concurrency is None else self._concurrency)

    def start(self) -> None:
        """See `Engine`: asks every server what it can do."""
        for url in self._urls:
            served = inspect_server(url, self._model, self._api_key_env, served_name=self._served_name)
            if self._tokens == "ids" and served.lacks:
                raise EngineError(f"the server at {url} {' and '.join(served.lacks)}, as the run needs")
            for name in self._adapters:
                if name not in served.models:
                    raise EngineError(
                        f"the server at {url} has no adapter {name!r}; start it with --enable-lora "
                        f"--lora-modules {name}=PATH"
                    )
            self._served[url] = served
            self._ranks[url] = Sessions(range(served.ranks))

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine`."""
        tries = 0
        while True:
            server = await self._servers.place(session)
            body = self._body(server, prompt_ids, sampling, interval)
            begun = False
            try:
                ranks = self._ranks[server.url]
                with self._servers.request(server), ranks.request(session) as rank:
                    pinned = rank if len(ranks) > 1 else None
                    attempt = self._try(server, body, sampling, pinned)
                    async with contextlib.aclosing(attempt) as chunks:
                        async for chunk in chunks:
                            begun = True
                            self._servers.answered(server)
                            yield chunk
                return
            except RequestFailure as failure:
                self._servers.failed(server, failure)
                if begun:
                    raise ResponseLostError(f"a response of {server.url} broke off: {failure}") from failure
                tries += failure.retry_after is None
                if tries == TRIES:
                    raise EngineError(
                        f"a request failed {tries} times, at last at {server.url}: {failure}"
                    ) from failure

    async def close(self) -> None:
        """See `Engine`."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    def _body(self, server: Server, prompt_ids: Sequence[int], sampling: Sampling, interval: int) -> bytes:
        served = self._served[server.url]
        body: dict[str, object] = {
            "model": served.name if sampling.adapter is None else sampling.adapter,
            "prompt": list(prompt_ids) if served.takes_ids else self._model.tokenizer.decode(prompt_ids),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.barred:
            body["logit_bias"] = {str(token): -100 for token in sampling.barred}
        # A server's defaults come from the model's generation_config: every setting is named.
        asked: dict[str, object] = {
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if served.takes_sampling:
            body |= SAMPLING | asked
        else:
            body |= {name: value for name, value in asked.items() if value != SAMPLING[name]}
        if served.takes_priority and sampling.priority:
            body["priority"] = sampling.priority
        if self._tokens == "ids" and served.gives_logprobs and sampling.logprobs:
            body["logprobs"] = 0
        if sampling.repetition_detection is not None:
            body["repetition_detection"] = asdict(sampling.repetition_detection)
        if self._tokens == "ids":
            body |= EXTENSIONS | {"stream_interval": interval}
        return json.dumps(body).encode()

    async def _try(
        self, server: Server, body: bytes, sampling: Sampling, rank: int | None
    ) -> AsyncGenerator[Chunk, None]:
        """One try of a request, on one rank of a server that has several. Raises `RequestFailure` where
        another may succeed."""
        import aiohttp

        if self._client is None:
            self._client = client_session(self._api_key_env, self._connections, self._timeout)
        try:
            pinned = {} if rank is None else {RANK_HEADER: str(rank)}
            address = f"{server.url}/completions"
            async with self._client.post(address, data=body, headers=pinned) as response:
                if response.status != 200:
                    raise refusal(server, response, await response.text(errors="replace"))
                may_repeat = sampling.repetition_detection is not None
                stream = _Stream(self._model, self._tokens, sampling.max_tokens, may_repeat)
                try:
                    async for event in events(response.content):
                        chunk = stream.read(event)
                        if chunk is not None:
                            yield chunk
                except (aiohttp.ClientError, OSError, RequestFailure):
                    # Once the response is whole, only its count of cached tokens can be missing.
                    if stream.last is None:
                        raise
                if stream.last is None:
                    raise RequestFailure("the stream ended before the response did")
                yield stream.last
        except TimeoutError as error:
            raise RequestFailure(f"silent for {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise RequestFailure(f"{type(error).__name__}: {error}") from error


@dataclass
class _Stream:
    """Reads the events of one response."""

    model: Model
    tokens: Tokens
    room: int
    """Tokens left up to `max_tokens`; text tokenized again can come to more."""
    may_repeat: bool
    """Whether the response may end where it loops, as it was asked to."""
    last: Chunk | None = None
    """The final chunk, held back until the count of cached tokens has followed it."""

    def read(self, event: str) -> Chunk | None:
        """The chunk in an event, if it holds one that is not the last. Raises `RequestFailure`."""
        try:
            content = json.loads(event)
            if "error" in content:
                raise RequestFailure(f"the server reports: {server_says(event)}")
            if self.last is not None:
                self._count(content.get("usage"))
                return None
            if not content["choices"]:
                return None
            return self._chunk(content["choices"][0])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise RequestFailure(f"an event that cannot be read: {event[:80]!r}") from error

    def _chunk(self, choice: dict[str, Any]) -> Chunk | None:
        ids = self._ids(choice)[: self.room]
        self.room -= len(ids)
        logprobs = _logprobs(choice, len(ids))
        reason = choice.get("finish_reason")
        if reason is None:
            return Chunk(ids, logprobs=logprobs)
        if reason not in ("stop", "length") and not (self.may_repeat and reason == "repetition"):
            raise RequestFailure(f"the server ended the response with {reason!r}")
        if reason == "stop" and self.tokens == "ids" and ids:
            ids.pop()  # as in the process: the token that ended the response is handed out
        ended: FinishReason = reason
        self.last = Chunk(ids, ended, logprobs=None if logprobs is None else logprobs[: len(ids)])
        return None

    def _ids(self, choice: dict[str, Any]) -> list[int]:
        if self.tokens == "text":
            return self.model.tokenizer.encode_text(str(choice.get("text") or ""))
        ids = choice["token_ids"] or []
        for token in ids:
            if type(token) is not int or not 0 <= token <= LARGEST_ID:
                raise RequestFailure(f"a token id that is none: {token!r}")
        return list(ids)

    def _count(self, usage: dict[str, Any] | None) -> None:
        details = (usage or {}).get("prompt_tokens_details") or {}
        if self.last is not None and isinstance(details.get("cached_tokens"), int):
            self.last = replace(self.last, cached_tokens=details["cached_tokens"])


def _logprobs(choice: dict[str, Any], count: int) -> list[float] | None:
    """Those of the first `count` tokens of an event; None unless there is a number for each."""
    values = (choice.get("logprobs") or {}).get("token_logprobs")
    if not isinstance(values, list) or len(values) < count:
        return None
    values = values[:count]
    return [float(v) for v in values] if all(isinstance(v, int | float) for v in values) else None
