"""One question to a server before a run, and what its errors say."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from reghar.errors import EngineError

ANSWER_SECONDS = 60.0
"""Longest wait for one answer."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts at a busy server that does not say when to come back."""


def post_completion(url: str, body: dict[str, object], key: dict[str, str]) -> dict[str, Any]:
    """The answer to a request for a completion. Raises `RequestRefusedError` where `body` is not taken."""
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{url}/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **key},
    )
    return _open(request)


def get_json(url: str, key: dict[str, str]) -> dict[str, Any]:
    """The JSON object at an address. Raises `EngineError`."""
    return _open(urllib.request.Request(url, headers=key))  # noqa: S310 - as above


class RequestRefusedError(EngineError):
    """The server does not take such a request."""


class _BusyError(EngineError):
    """The server may answer later."""

    def __init__(self, message: str, *, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _open(request: urllib.request.Request) -> dict[str, Any]:
    """The JSON object that answers; asked again where the server is busy for now."""
    for pause in PAUSES:
        try:
            return _open_once(request)
        except _BusyError as error:
            time.sleep(min(pause if error.retry_after is None else error.retry_after, ANSWER_SECONDS))
    return _open_once(request)


def _open_once(request: urllib.request.Request) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310 - as above
            content = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            said = server_says(error.read(4096).decode(errors="replace"))
        if error.code in (401, 403):
            raise EngineError(
                f"{request.full_url} refuses the key ({error.code}); name the variable that holds it "
                "with --api-key-env"
            ) from error
        line = f"{request.full_url} answers {error.code}: {said}"
        if error.code in (408, 429) or error.code >= 500:
            raise _BusyError(line, retry_after=retry_after(error.headers)) from error
        raise (RequestRefusedError if error.code in (400, 422) else EngineError)(line) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise EngineError(
            f"no server answers at {request.full_url}: {reason}; start it, or correct --base-url"
        ) from error
    if not isinstance(content, dict):
        raise EngineError(f"{request.full_url} answers no JSON object; is it an OpenAI completions server?")
    return content


def server_says(text: str) -> str:
    """The message in a server's error, as one short line."""
    try:
        content = json.loads(text)
        error = content.get("error", content)
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:300] or "nothing"


def retry_after(headers: Mapping[str, str] | Message) -> float | None:
    """Seconds that `Retry-After` asks for; a date is read by the server's own clock. None for neither."""
    value = headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        now = parsedate_to_datetime(headers["Date"])
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
