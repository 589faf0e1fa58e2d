"""`reghar view`: the page of a run of any size, from a small server that only this machine reaches.

It listens on the loopback address alone. Its address holds a random token, without which every
request is refused, as is one whose Host or Origin is another (DNS rebinding, other sites' scripts).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from functools import cached_property, lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reghar.errors import InputError
from reghar.report.page.build import PageRun, index, texts
from reghar.report.page.cuts import run_tokenizer
from reghar.report.page.document import block_name, document, packed, policy

HOST = "127.0.0.1"


class PageServer(ThreadingHTTPServer):
    """Serves the page of some runs until `shutdown`; `address` is what a person opens."""

    daemon_threads = True

    def __init__(self, runs: Sequence[PageRun], *, port: int = 0) -> None:
        """Binds; `port` 0 takes a free one. Raises InputError where the port is taken."""
        self.token = secrets.token_urlsafe(16)
        self._runs = runs
        self.blocks = self._places()
        content = index(runs, served=True)
        self.page = document(content["title"], {"index": packed(content)}, served=True).encode("utf-8")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(
                f"port {port} cannot be bound: {error.strerror or error}; give another --port, or 0"
            ) from error
        self.origin = f"http://{HOST}:{self.server_address[1]}"
        self.block = lru_cache(maxsize=32)(self._block)

    @property
    def address(self) -> str:
        """The page's address, its token inside."""
        return f"{self.origin}/{self.token}/"

    @cached_property
    def _tokenizers(self) -> list[Any]:
        return [run_tokenizer(one.run) for one in self._runs]

    def _places(self) -> dict[str, tuple[int, str, str]]:
        """Block names to (run, task, problem)."""
        found = {}
        for i, one in enumerate(self._runs):
            at = 0
            for task in one.run.tasks:
                for problem in one.run.protocol.tasks[task].problem_ids:
                    found[block_name(i, at)] = (i, task, problem)
                    at += 1
        return found

    def _block(self, name: str) -> bytes:
        """One problem's samples, read from the run's folder when it is looked at."""
        place, task, problem = self.blocks[name]
        run = self._runs[place].run
        return packed(texts(run, run.problem_rows(task, problem), self._tokenizers[place])).encode("ascii")


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = "reghar"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """The page, or one block of its data."""
        server = self.server
        if self.headers.get("Host") != server.origin.removeprefix("http://"):
            return self._refuse(HTTPStatus.FORBIDDEN)
        if self.headers.get("Origin") not in (None, server.origin):
            return self._refuse(HTTPStatus.FORBIDDEN)
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return self._refuse(HTTPStatus.FORBIDDEN)
        _, _, rest = self.path.partition("/")
        token, slash, name = rest.partition("/")
        if not slash or not hmac.compare_digest(token.encode(), server.token.encode()):
            return self._refuse(HTTPStatus.NOT_FOUND)
        if name == "":
            return self._answer(server.page, "text/html; charset=utf-8")
        block = name.removeprefix("data/")
        if block == name or block not in server.blocks:
            return self._refuse(HTTPStatus.NOT_FOUND)
        return self._answer(server.block(block), "text/plain; charset=utf-8")

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", policy(served=True) + "; frame-ancestors 'none'")
        self._common()
        self.wfile.write(content)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self._common()

    def _common(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: the token stands in them."""
