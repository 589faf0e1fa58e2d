"""What the clients of servers share: a session, server-sent events, what a refusal means."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from reghar.engines.address import headers
from reghar.engines.ask import retry_after, server_says
from reghar.engines.servers import RequestFailure, Server
from reghar.errors import EngineError

if TYPE_CHECKING:
    import aiohttp

SERVER_CONNECT_SECONDS = 30.0


def client_session(api_key_env: str | None, connections: int, timeout: float) -> aiohttp.ClientSession:
    """A session with the key out of the environment; `timeout`: longest silence in seconds."""
    import aiohttp

    return aiohttp.ClientSession(
        headers={"Content-Type": "application/json", **headers(api_key_env)},
        connector=aiohttp.TCPConnector(limit=connections),
        # No limit on the whole: a long trace may take hours, and may wait for a free connection.
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=min(SERVER_CONNECT_SECONDS, timeout), sock_read=timeout
        ),
    )


async def events(content: aiohttp.StreamReader) -> AsyncGenerator[str, None]:
    """The data of server-sent events up to `[DONE]`; a line may be of any length."""
    rest = b""
    async for block in content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip().decode(errors="replace")
                if data == "[DONE]":
                    return
                yield data


def refusal(server: Server, response: aiohttp.ClientResponse, text: str) -> Exception:
    """What an answer other than 200 means: `RequestFailure` where it may pass, else `EngineError`."""
    said = f"{response.status}: {server_says(text)}"
    if response.status in (408, 429) or response.status >= 500:
        return RequestFailure(f"answers {said}", retry_after=retry_after(response.headers))
    return EngineError(f"the server at {server.url} refuses a request with {said}")
