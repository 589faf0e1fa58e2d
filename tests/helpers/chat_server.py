"""A chat completions server on loopback: it knows every answer, and has the faults of real ones."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = str | tuple[int, dict[str, str]] | None
"""None; a status with headers; or what goes wrong: `cut`, `stall`, `nonsense`, `error`, `unended` (in a
stream or whole), `no_usage`, `filtered`, `refusal`, `filter_stop`, `length`, `tool_calls`."""


def effort(body: dict[str, Any]) -> int:
    """Tokens of reasoning that a body's fields ask for: 100, unless it says something."""
    asked = (body.get("thinking") or {}).get("budget_tokens")
    levels = {"low": 50, "high": 400}
    return int(asked) if asked else levels.get(body.get("reasoning_effort", ""), 100)


class ChatServer(ThreadingHTTPServer):
    """Answers `42` to everything, reasoning as long as it is asked to, and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        *,
        fault: Callable[[int], Fault] = lambda _: None,
        key: str | None = None,
        tells_reasoning: bool = True,
        pause: float = 0.0,
        says: Callable[[dict[str, Any]], str] = lambda _: "So \\boxed{42}.",
    ) -> None:
        """`fault` of the number of the request; `says` of its body."""
        self.says = says
        self.fault, self.key, self.tells_reasoning, self.pause = fault, key, tells_reasoning, pause
        self.numbers = itertools.count()
        self.bodies: list[dict[str, Any]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the game."""


@contextmanager
def chat_server(**options: Any) -> Iterator[ChatServer]:
    """A server while the block runs."""
    server = ChatServer(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: ChatServer

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.key is not None and self.headers["Authorization"] != f"Bearer {self.server.key}":
            return self.answer({"error": {"message": "no such key"}}, 401)
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            fault = self.server.fault(next(self.server.numbers))
        try:
            time.sleep(self.server.pause)
            self.reply(body, fault)
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def reply(self, body: dict[str, Any], fault: Fault) -> None:
        if isinstance(fault, tuple):
            return self.answer({"error": {"message": f"fault {fault[0]}"}}, fault[0], fault[1])
        if fault == "filtered":
            error = {"message": "a filter says no", "code": "content_filter"}
            return self.answer({"error": error}, 400)
        if fault == "stall":
            self.server.stopping.wait()
            return self.hang_up()
        if body.get("stream"):
            return self.stream(body, fault)
        return self.whole(body, fault)

    def reason(self, fault: Fault) -> str:
        """The finish reason."""
        reasons = {"length": "length", "filter_stop": "content_filter", "tool_calls": "tool_calls"}
        return reasons.get(str(fault), "stop")

    def usage(self, body: dict[str, Any]) -> dict[str, Any]:
        reasoning = effort(body)
        usage: dict[str, Any] = {"prompt_tokens": 20, "completion_tokens": reasoning + 10}
        if self.server.tells_reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
        return usage

    def whole(self, body: dict[str, Any], fault: Fault) -> None:
        if fault == "nonsense":
            return self.raw(b"<html>busy</html>")
        if fault == "error":
            return self.answer({"error": {"message": "overloaded"}})
        message: dict[str, Any] = {"content": self.server.says(body), "reasoning_content": "6 times 7"}
        if fault == "refusal":
            message = {"content": None, "refusal": "I cannot."}
        choice: dict[str, Any] = {"message": message, "finish_reason": self.reason(fault)}
        if fault == "unended":
            choice["finish_reason"] = None
        content: dict[str, Any] = {"choices": [choice]}
        if fault != "no_usage":
            content["usage"] = self.usage(body)
        return self.answer(content)

    def stream(self, body: dict[str, Any], fault: Fault) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.event({"choices": [{"delta": {"reasoning_content": "6 times 7"}}]})
        if fault == "cut":
            return self.hang_up()
        if fault == "nonsense":
            self.send(b"data: {'choices': oh no\n\n")
            return self.send(b"")
        if fault == "error":
            self.event({"error": {"message": "overloaded"}})
            return self.send(b"")
        text = self.server.says(body)
        pieces = (
            [{"refusal": "I cannot."}]
            if fault == "refusal"
            else [{"content": text[:7]}, {"content": text[7:]}]
        )
        for piece in pieces:
            self.event({"choices": [{"delta": piece, "finish_reason": None}]})
        if fault != "unended":
            self.event({"choices": [{"delta": {}, "finish_reason": self.reason(fault)}]})
        if fault != "no_usage":
            self.event({"choices": [], "usage": self.usage(body)})
        self.send(b"data: [DONE]\n\n")
        return self.send(b"")

    def event(self, content: object) -> None:
        self.send(f"data: {json.dumps(content)}\n\n".encode())

    def send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def answer(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.raw(json.dumps(content).encode(), status, headers)

    def raw(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
