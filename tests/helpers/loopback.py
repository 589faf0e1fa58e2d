"""A server of the OpenAI completions API on loopback: the scripted engine over HTTP, with faults."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reghar.engines.base import Chunk, Sampling
from reghar.engines.scripted import ScriptedEngine
from reghar.prompting.scripted import EOS, ByteTokenizer
from reghar.protocol import RepetitionDetection

TOKENIZER = ByteTokenizer()
Fault = str | tuple[int, dict[str, str]] | None
"""None; a status with headers; or `cut`, `stall`, `truncate`, `beyond` in the middle of the stream."""
BEYOND = 5000
"""An id beyond the scripted vocabulary."""


class Loopback(ThreadingHTTPServer):
    """Answers as vLLM's server does, and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        *,
        fault: Callable[[int], Fault] = lambda _: None,
        key: str | None = None,
        returns_ids: bool = True,
        takes_ids: bool = True,
        shift: int = 0,
        context: int = 1 << 20,
        cached: int | None = None,
        pause: float = 0.0,
        name: str = "scripted",
        takes_sampling: bool = True,
        takes_priority: bool = True,
        scores: bool = False,
        metrics: str | None = None,
        ends_loops: bool = True,
        adapters: tuple[str, ...] = (),
    ) -> None:
        """`fault` of the number of the generation request; `shift` is added to the tokenizer's ids."""
        self.fault, self.key, self.returns_ids, self.takes_ids = fault, key, returns_ids, takes_ids
        self.shift, self.context, self.cached = shift, context, cached
        self.name, self.takes_sampling, self.metrics = name, takes_sampling, metrics
        self.takes_priority, self.scores = takes_priority, scores
        self.ends_loops = ends_loops
        self.adapters = adapters
        self.ranks: list[str | None] = []
        self.engine = ScriptedEngine(seconds_per_chunk=pause)
        self.numbers = itertools.count()
        self.arrivals: list[float] = []
        self.bodies: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the game."""

    def die(self) -> None:
        """Closes the port; what runs ends in the middle."""
        self.stopping.set()
        threading.Thread(target=self.shutdown).start()
        self.socket.close()


@contextmanager
def serving(**options: Any) -> Iterator[Loopback]:
    """A server while the block runs."""
    server = Loopback(**options)
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
    server: Loopback

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if not self.allowed():
            return
        if self.path == "/v1/models":
            names = (self.server.name, *self.server.adapters)
            self.answer({"data": [{"id": name, "max_model_len": self.server.context} for name in names]})
        elif self.path == "/metrics":
            self.answer(self.server.metrics, 404 if self.server.metrics is None else 200)
        else:
            self.answer({"version": "1.2.3"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        if not self.server.takes_ids and not isinstance(body["prompt"], str):
            self.answer({"error": {"message": "prompt must be a string"}}, 400)
        elif not self.server.takes_sampling and "top_k" in body:
            self.answer({"error": {"message": "unknown field top_k"}}, 400)
        elif not self.server.takes_priority and body.get("priority"):
            self.answer({"error": {"message": "priority scheduling is not enabled"}}, 400)
        elif body.get("stream"):
            self.stream(body)
        else:
            self.preflight(body)

    def allowed(self) -> bool:
        if self.server.key is None or self.headers["Authorization"] == f"Bearer {self.server.key}":
            return True
        self.answer({"error": {"message": "no such key"}}, 401)
        return False

    def preflight(self, body: dict[str, Any]) -> None:
        prompt = body["prompt"]
        ids = TOKENIZER.encode_text(prompt) if isinstance(prompt, str) else prompt
        choice: dict[str, Any] = {"text": "x", "finish_reason": "length"}
        if self.server.returns_ids and body.get("return_token_ids"):
            if "logprobs" in body and self.server.scores:
                choice["logprobs"] = {"token_logprobs": [-0.5]}
            choice |= {"token_ids": [7], "prompt_token_ids": [i + self.server.shift for i in ids]}
        if "repetition_detection" in body and self.server.ends_loops:
            choice["finish_reason"] = "repetition"  # of a response that its logit_bias made loop
        self.answer({"choices": [choice], "usage": {"prompt_tokens": len(ids)}})

    def stream(self, body: dict[str, Any]) -> None:
        number = next(self.server.numbers)
        self.server.arrivals.append(time.monotonic())
        self.server.bodies.append(body)
        self.server.ranks.append(self.headers["X-data-parallel-rank"])
        fault = self.server.fault(number)
        if isinstance(fault, tuple):
            status, headers = fault
            self.answer({"error": {"message": f"fault {status}"}}, status, headers)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        asyncio.run(self.generate(body, fault))

    async def generate(self, body: dict[str, Any], fault: Fault) -> None:
        prompt = body["prompt"]
        ids = TOKENIZER.encode_text(prompt) if isinstance(prompt, str) else prompt
        rule = body.get("repetition_detection")
        sampling = Sampling(
            temperature=body["temperature"],
            top_p=body["top_p"],
            max_tokens=body["max_tokens"],
            seed=body["seed"],
            repetition_detection=RepetitionDetection(**rule) if self.server.ends_loops and rule else None,
        )
        events = 0
        interval = body.get("stream_interval", 1)
        async for chunk in self.server.engine.generate(ids, sampling, interval=interval):
            events += 1
            if self.server.stopping.is_set() or (fault == "cut" and events == 3):
                return self.hang_up()
            if fault == "truncate" and events == 3:
                self.send(b'data: {"choices": [{"token_ids": [1, 2')
                return self.send(b"")
            if fault == "stall" and events == 3:
                self.server.stopping.wait()
                return self.hang_up()
            beyond = fault == "beyond" and events == 1
            self.send(self.event(chunk, beyond=beyond, scored="logprobs" in body))
        usage: dict[str, Any] = {"completion_tokens": 1}
        if self.server.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.server.cached}
        self.send(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode())
        self.send(b"data: [DONE]\n\n")
        return self.send(b"")

    def event(self, chunk: Chunk, *, beyond: bool, scored: bool) -> bytes:
        ids = [BEYOND] * beyond + chunk.token_ids
        choice: dict[str, Any] = {"text": TOKENIZER.decode(ids), "finish_reason": chunk.finish_reason}
        if self.server.returns_ids:
            choice["token_ids"] = ids + [EOS] * (chunk.finish_reason == "stop")
            if scored:
                choice["logprobs"] = {"token_logprobs": [-0.5] * len(choice["token_ids"])}
        return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()

    def send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def answer(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
