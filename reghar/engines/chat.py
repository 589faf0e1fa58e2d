"""Servers of the chat completions API: models that show text and report lengths, but no tokens.

A reply is whole or lost: a broken stream is asked again from its start, and what the broken one may
have cost counts against the cap. Replies cannot be cut, so there are no probes here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reghar.engines.address import headers
from reghar.engines.ask import server_says
from reghar.engines.base import EngineInfo
from reghar.engines.http import client_session, events, refusal
from reghar.engines.price import CostCap
from reghar.engines.servers import TRIES, RequestFailure, Server, Servers
from reghar.errors import EngineError

if TYPE_CHECKING:
    import aiohttp

Ending = Literal["stop", "truncated", "refused"]
MOST_TEXT = 1 << 24
"""Characters of a reply; more than any context holds."""
TEMPLATE_TOKENS = 256
"""Room for what a server's chat template adds to a prompt, when the most that it may cost is reckoned."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One whole reply."""

    text: str
    """What the model says, without its reasoning."""
    reasoning: str
    """What the server shows of the reasoning; empty where it shows none."""
    ending: Ending
    """`stop`: the model ended it; `truncated` at the most tokens; `refused` by the model or a filter."""
    prompt_tokens: int
    completion_tokens: int
    """Reported, reasoning among them."""
    reasoning_tokens: int | None
    """Reported; None where the server does not tell."""
    cached_tokens: int | None


class ChatEngine:
    """A client of one or several servers of the same model."""

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        api_key_env: str | None,
        connections: int,
        timeout: float,
        patience: float,
        cap: CostCap,
    ) -> None:
        """`timeout`: longest silence of a server in seconds; `patience`: see `Servers`."""
        self._urls = tuple(urls)
        self._model = model
        self._api_key_env = api_key_env
        self._connections = connections
        self._timeout = timeout
        self._servers = Servers(urls, patience=patience)
        self._cap = cap
        self._client: aiohttp.ClientSession | None = None

    @property
    def info(self) -> EngineInfo:
        """See `Engine`. Holds no key."""
        arguments: dict[str, object] = {"base_urls": list(self._urls), "tokens": "reported"}
        return EngineInfo(name="chat", version="unknown", host="served", arguments=arguments)

    @property
    def spent(self) -> float:
        """What the run's requests have cost, those of earlier sessions and lost ones included."""
        return self._cap.spent

    def start(self) -> None:
        """Nothing to load; raises `InputError` where the key is not set."""
        headers(self._api_key_env)

    async def ask(self, messages: Sequence[Mapping[str, str]], fields: Mapping[str, Any], most: int) -> Reply:
        """The reply to `messages` of at most `most` tokens; `fields` of the body win over ours.

        Of `fields`, None removes one. Raises `EngineError` where the server refuses the request, does
        not report lengths, or fails too often, and `CostCapError` before the cap could be exceeded.
        """
        ours = {
            "model": self._model,
            "messages": list(messages),
            "max_completion_tokens": most,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body = {key: value for key, value in {**ours, **fields}.items() if value is not None}
        if not body.get("stream"):
            body.pop("stream_options", None)
        # A token is at least a byte of text.
        prompt = TEMPLATE_TOKENS + sum(len(part.encode()) for each in messages for part in each.values())
        tries = 0
        while True:
            server = await self._servers.place("")
            held = await self._cap.hold(prompt, most)
            reader, price = _Reader(), None
            try:
                with self._servers.request(server):
                    reply = await self._post(server, body, reader)
                self._servers.answered(server)
                price = self._cap.price(reply.prompt_tokens, reply.completion_tokens)
                return reply
            except RequestFailure as failure:
                self._servers.failed(server, failure)
                tries += failure.retry_after is None
                if tries == TRIES:
                    raise EngineError(
                        f"a request failed {tries} times, at last at {server.url}: {failure}"
                    ) from failure
            finally:
                # A reply that was lost may have been charged in full.
                unknown = held if reader.accepted else 0.0
                await self._cap.settle(held, unknown if price is None else price)

    async def close(self) -> None:
        """Ends the connections; may be called twice."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _post(self, server: Server, body: Mapping[str, Any], reader: _Reader) -> Reply:
        """One try. Raises `RequestFailure` where another may succeed."""
        import aiohttp

        if self._client is None:
            self._client = client_session(self._api_key_env, self._connections, self._timeout)
        try:
            async with self._client.post(
                f"{server.url}/chat/completions", data=json.dumps(body).encode()
            ) as response:
                if response.status != 200:
                    reader.accepted = False
                    said = await response.text(errors="replace")
                    if _is_filtered(said):
                        return _FILTERED
                    raise refusal(server, response, said)
                if body.get("stream"):
                    async for event in events(response.content):
                        reader.event(event)
                else:
                    reader.whole(await response.text(errors="replace"))
                return reader.reply(server)
        except aiohttp.ClientConnectorError as error:
            reader.accepted = False
            raise RequestFailure(f"{type(error).__name__}: {error}") from error
        except TimeoutError as error:
            raise RequestFailure(f"silent for {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise RequestFailure(f"{type(error).__name__}: {error}") from error


@dataclass
class _Reader:
    """Reads one reply, in pieces or whole."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: bool = False
    finish: str | None = None
    usage: dict[str, Any] | None = None
    accepted: bool = True
    """False once it is known that the server did not take the request, which then costs nothing."""
    characters: int = 0

    def event(self, event: str) -> None:
        """Takes in one event of a stream. Raises `RequestFailure` for one that cannot be read."""
        self._take(event, "delta")

    def whole(self, content: str) -> None:
        """Takes in a reply that came whole. Raises `RequestFailure` where it cannot be read."""
        self._take(content, "message")

    def _take(self, content: str, part: str) -> None:
        try:
            event = json.loads(content)
            if event.get("error"):
                raise RequestFailure(f"the server reports: {server_says(content)}")
            if event.get("usage"):
                self.usage = dict(event["usage"])
            for choice in (event.get("choices") or [])[:1]:
                self._piece(choice.get(part) or {})
                self.finish = choice.get("finish_reason") or self.finish
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RequestFailure(f"a reply that cannot be read: {content[:80]!r}") from error

    def _piece(self, piece: Mapping[str, Any]) -> None:
        self.refusal = self.refusal or bool(piece.get("refusal"))
        for name, pieces in (
            ("content", self.text),
            ("reasoning_content", self.reasoning),
            ("reasoning", self.reasoning),
        ):
            text = piece.get(name)
            if isinstance(text, str):
                pieces.append(text)
                self.characters += len(text)
        if self.characters > MOST_TEXT:
            raise RequestFailure(f"a reply of more than {MOST_TEXT} characters")

    def reply(self, server: Server) -> Reply:
        """The whole reply. Raises `RequestFailure` where it is not whole, `EngineError` without lengths."""
        if self.finish is None:
            raise RequestFailure("the stream ended before the reply did")
        endings: dict[str, Ending] = {"stop": "stop", "length": "truncated", "content_filter": "refused"}
        if self.finish not in endings:
            raise RequestFailure(f"the server ended the reply with {str(self.finish)[:40]!r}")
        usage = self.usage or {}
        details = usage.get("completion_tokens_details") or {}
        completion, prompt = _count(usage, "completion_tokens"), _count(usage, "prompt_tokens")
        if completion is None or prompt is None:
            raise EngineError(
                f"the server at {server.url} does not report lengths (usage.completion_tokens): "
                "--engine chat cannot measure it"
            )
        thought = _count(details, "reasoning_tokens")
        return Reply(
            text="".join(self.text),
            reasoning="".join(self.reasoning),
            ending="refused" if self.refusal else endings[self.finish],
            prompt_tokens=prompt,
            completion_tokens=completion,
            reasoning_tokens=None if thought is None else min(thought, completion),
            cached_tokens=_count(usage.get("prompt_tokens_details") or {}, "cached_tokens"),
        )


def _count(usage: object, name: str) -> int | None:
    """A number of tokens that the server reports; None for anything that is none."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value < 1 << 31 else None


_FILTERED = Reply(
    text="",
    reasoning="",
    ending="refused",
    prompt_tokens=0,
    completion_tokens=0,
    reasoning_tokens=None,
    cached_tokens=None,
)
"""A question that a server's filter keeps from the model: refused before a token was generated."""


def _is_filtered(said: str) -> bool:
    try:
        return bool(json.loads(said)["error"]["code"] == "content_filter")
    except (ValueError, KeyError, TypeError):
        return False
