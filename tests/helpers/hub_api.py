"""A stand-in of the Hugging Face hub on loopback: as much of its API as `datasets`, `transformers`,
`huggingface_hub` and vLLM ask. Its clients are sent here with `HF_ENDPOINT`."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Kind = Literal["models", "datasets"]
TOKEN = "hf_ofthestandin"  # noqa: S105 - opens the gated repositories here, and nothing anywhere else


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One model or data set with its history."""

    kind: Kind
    name: str
    """`owner/name`."""
    commits: dict[str, dict[str, bytes]]
    """Commit (40 hex digits) -> path -> content, oldest first; the last one is `main`."""
    gated: bool = False
    """Files need a token; that the repository exists does not."""

    @property
    def main(self) -> str:
        """The newest commit."""
        return list(self.commits)[-1]


@dataclass
class Hub:
    """What is served, and what went wrong on purpose."""

    repositories: list[Repository] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Paths of files whose download always breaks off in the middle."""
    requests: list[str] = field(default_factory=list)
    """`METHOD path` of every request, in order."""

    def add(
        self,
        kind: Kind,
        name: str,
        files: dict[str, bytes],
        *,
        commit: str | None = None,
        gated: bool = False,
    ) -> str:
        """A further commit of a repository, which becomes its `main`; returns the commit."""
        digest = hashlib.sha1(repr(sorted(files.items())).encode(), usedforsecurity=False)
        commit = commit or digest.hexdigest()
        known = self.find(kind, name)
        if known is None:
            known = Repository(kind=kind, name=name, commits={}, gated=gated)
            self.repositories.append(known)
        known.commits[commit] = files
        return commit

    def find(self, kind: str, name: str) -> Repository | None:
        """The repository of that kind and name."""
        return next((r for r in self.repositories if (r.kind, r.name) == (kind, name)), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the game."""


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """The hub's address while the block runs."""
    server = _Server(hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self._route({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        is_json = "json" in (self.headers.get("Content-Type") or "")
        self._route(json.loads(body) if is_json else parse_qs(body))

    def _route(self, form: dict[str, Any]) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.hub.requests.append(f"{self.command} {path}")
        words = path.strip("/").split("/")
        if words[0] == "api" and len(words) >= 4 and words[1] in ("models", "datasets"):
            self._api(words[1], "/".join(words[2:4]), words[4:], form)
        elif "resolve" in words:
            kind = "datasets" if words[0] == "datasets" else "models"
            words = words[1:] if kind == "datasets" else words
            self._file(kind, "/".join(words[:2]), words[3], "/".join(words[4:]))
        elif path == "/":
            self._answer(200, b"a stand-in of the hub")
        else:
            self._error(404, "", "Not found")

    def _api(self, kind: str, name: str, rest: list[str], form: dict[str, Any]) -> None:
        repository = self.server.hub.find(kind, name)
        if repository is None:
            return self._error(401, "RepoNotFound", "Repository not found")
        action = rest[0] if rest else "revision"
        commit = self._commit(repository, rest[1] if len(rest) > 1 else "main")
        if commit is None:
            return self._error(404, "RevisionNotFound", "Invalid rev id")
        files = repository.commits[commit]
        if action == "revision":
            siblings = [{"rfilename": path} for path in sorted(files)]
            info = {"id": name, "sha": commit, "private": False, "tags": [], "downloads": 0, "likes": 0}
            return self._json({**info, "gated": "auto" if repository.gated else False, "siblings": siblings})
        if self._locked(repository):
            return None
        if action == "tree":
            return self._tree(files, "/".join(rest[2:]))
        if action == "paths-info":
            asked = form.get("paths", [])
            entries = [
                entry for path in asked for entry in _entries(files) if entry["path"] == path.strip("/")
            ]
            return self._json(entries)
        return self._error(404, "", "Not found")

    def _tree(self, files: dict[str, bytes], folder: str) -> None:
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        inside = f"{folder}/" if folder else ""
        entries = [
            entry
            for entry in _entries(files)
            if entry["path"].startswith(inside) and (recursive or "/" not in entry["path"][len(inside) :])
        ]
        if not entries and folder:
            return self._error(404, "EntryNotFound", f"{folder} does not exist on this revision")
        return self._json(entries)

    def _file(self, kind: str, name: str, revision: str, path: str) -> None:
        repository = self.server.hub.find(kind, name)
        if repository is None:
            return self._error(401, "RepoNotFound", "Repository not found")
        commit = self._commit(repository, revision)
        if commit is None:
            return self._error(404, "RevisionNotFound", "Invalid rev id")
        if self._locked(repository):
            return None
        content = repository.commits[commit].get(path)
        if content is None:
            return self._error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_etag(content)}"', "Accept-Ranges": "bytes"}
        first = 0
        if wanted := self.headers.get("Range"):
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        # What was asked again from where it broke off breaks off again, at once.
        breaks = path in self.server.hub.broken
        self._answer(
            206 if first else 200,
            content[first:],
            headers,
            sent=len(content) // 2 - first if breaks else None,
        )
        return None

    def _commit(self, repository: Repository, revision: str) -> str | None:
        if revision == "main":
            return repository.main
        return revision if revision in repository.commits else None

    def _locked(self, repository: Repository) -> bool:
        """Refuses a gated repository's files without the token."""
        if not repository.gated or self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return False
        self._error(401, "GatedRepo", f"Access to {repository.name} is restricted")
        return True

    def _json(self, content: object) -> None:
        self._answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        named = {"X-Error-Code": code} if code else {}
        content = json.dumps({"error": message}).encode()
        self._answer(status, content, {**named, "X-Error-Message": message, **(headers or {})})

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, sent: int | None = None
    ) -> None:
        """The whole content, or `sent` bytes of it before the connection ends."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if sent is None:
            self.wfile.write(content)
            return
        self.wfile.write(content[: max(sent, 0)])
        self.close_connection = True


def _entries(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """Files and the folders that they lie in, as the hub describes them."""
    folders = {path.rpartition("/")[0] for path in files if "/" in path}
    described: list[dict[str, Any]] = [
        {"type": "directory", "path": folder, "oid": _etag(folder.encode())} for folder in sorted(folders)
    ]
    for path, content in sorted(files.items()):
        described.append({"type": "file", "path": path, "size": len(content), "oid": _etag(content)})
    return described


def _etag(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
