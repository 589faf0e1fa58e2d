"""What a server of the OpenAI completions API can do, asked before a run is planned.

Two requests of one token each: whether it takes prompts as token ids, whether it returns token ids,
and whether it has the tokenizer that the run has.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from reghar.errors import EngineError, InputError
from reghar.prompting.tokenizer import Model

SENTENCE = "The answer is 42."
"""What the tokenizers are compared on."""
ANSWER_SECONDS = 60.0
"""Longest wait for one answer."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts at a busy server that does not say when to come back."""
EXTENSIONS: dict[str, object] = {"return_token_ids": True, "add_special_tokens": False}
"""Parameters beyond OpenAI's that make tokens travel as ids."""
SAMPLING: dict[str, object] = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
}
"""Settings beyond OpenAI's whose defaults a server takes from the model's generation_config, or which
take the thinking's delimiters out of a text: each is sent."""
MOST_METRICS = 1 << 24
"""Bytes of a server's metrics that are read."""


@dataclass(frozen=True, kw_only=True)
class ServerInfo:
    """What one server said about itself."""

    url: str
    """Up to and including `/v1`."""
    name: str
    """Of the model, as the server calls it."""
    version: str
    """Of the server, where it says."""
    takes_ids: bool
    """Prompts may be token ids."""
    returns_ids: bool
    """Responses come with token ids."""
    takes_sampling: bool
    """Takes the settings of `SAMPLING`."""
    takes_priority: bool
    """Takes requests with a priority other than 0, which vLLM refuses where it schedules by arrival."""
    gives_logprobs: bool
    """Tells the log-probability of every token."""
    context_length: int | None
    """Tokens of prompt and response together; None where the server does not say."""
    models: tuple[str, ...] = ()
    """All that it serves, by name: LoRA adapters too."""
    ranks: int = 1
    """Data-parallel engines behind the server, each with a prefix cache of its own."""
    kv_tokens: int | None = None
    """Tokens that the KV caches of all of them hold; None where the server does not say."""

    @property
    def kv_caches(self) -> tuple[int | None, ...]:
        """Tokens that each of them holds."""
        return (None if self.kv_tokens is None else self.kv_tokens // self.ranks,) * self.ranks

    @property
    def lacks(self) -> tuple[str, ...]:
        """What has to be replaced by text."""
        lacking = []
        if not self.takes_ids:
            lacking.append("does not accept prompts as token ids")
        if not self.returns_ids:
            lacking.append("does not return token ids (return_token_ids)")
        return tuple(lacking)


def base_urls(text: str) -> tuple[str, ...]:
    """The servers of `URL[,URL...]`, each up to and including its `/v1`. Raises `InputError`."""
    urls = tuple(_base_url(entry.strip()) for entry in text.split(",") if entry.strip())
    if not urls:
        raise InputError("--base-url is empty; give the address of a server, such as http://localhost:8000")
    if len(set(urls)) < len(urls):
        raise InputError(f"--base-url names a server twice: {text}")
    return urls


def _base_url(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise InputError(f"--base-url {text!r} is not an address: {error}") from error
    if parts.username or parts.password or parts.query:
        raise InputError(
            "--base-url must not hold a key or a query; put the key into an environment variable and "
            "name that with --api-key-env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"--base-url {text!r} is not an address such as http://localhost:8000")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def headers(api_key_env: str | None) -> dict[str, str]:
    """The key out of the environment as HTTP headers. Raises `InputError` where it is not set."""
    if api_key_env is None:
        return {}
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise InputError(f"--api-key-env names {api_key_env!r}, which is not set; export it")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"the key in {api_key_env!r} holds characters that no key has; export it again")
    return {"Authorization": f"Bearer {key}"}


def inspect_server(
    url: str, model: Model, api_key_env: str | None, *, served_name: str | None = None
) -> ServerInfo:
    """What the server at `url` can do. Raises `EngineError` where it does not answer or fits no run.

    `served_name` is what the server calls the model, where that is not its own name.
    """
    key = headers(api_key_env)
    entries = [each for each in _get(f"{url}/models", key).get("data") or [] if isinstance(each, dict)]
    entry = _choose(url, entries, model, served_name)
    name = str(entry["id"])
    ids = model.tokenizer.encode_text(SENTENCE)
    base = {"model": name, "max_tokens": 1, "temperature": 0}
    asked: dict[str, object] = base | {"prompt": SENTENCE}
    whole = _try(url, asked | EXTENSIONS | SAMPLING, key)
    takes_sampling = whole is not None or _try(url, asked | SAMPLING, key) is not None
    if whole is None:
        whole = _try(url, asked | EXTENSIONS, key)
    choice = _choice(whole or _complete(url, base | {"prompt": SENTENCE}, key))
    returned = choice.get("prompt_token_ids")
    if returned is not None and returned != ids:
        raise EngineError(
            f"the server at {url} has another tokenizer than --model {model.name!r}: {SENTENCE!r} is "
            f"{returned} there and {ids} here; give the model that it serves, {name!r}"
        )
    scored = _choice(_try(url, asked | EXTENSIONS | {"logprobs": 0}, key) or {}).get("logprobs")
    from_ids = _try(url, base | {"prompt": ids}, key)
    counted = ((from_ids or {}).get("usage") or {}).get("prompt_tokens", len(ids))
    length = entry.get("max_model_len")
    ranks, kv_tokens = _caches(url, key)
    return ServerInfo(
        url=url,
        name=name,
        version=_version(url, key),
        takes_ids=from_ids is not None and counted == len(ids),
        returns_ids=isinstance(choice.get("token_ids"), list),
        takes_sampling=takes_sampling,
        takes_priority=_try(url, asked | {"priority": 1}, key) is not None,
        gives_logprobs=isinstance(scored, dict) and isinstance(scored.get("token_logprobs"), list),
        models=tuple(str(each["id"]) for each in entries if "id" in each),
        ranks=ranks,
        kv_tokens=kv_tokens,
        context_length=length if isinstance(length, int) else None,
    )


def ends_loops(served: ServerInfo, model: Model, api_key_env: str | None) -> bool:
    """Whether the server ends a response that loops: one made to, since many take fields they do not know."""
    token = model.tokenizer.encode_text(SENTENCE)[0]
    body: dict[str, object] = {
        "model": served.name,
        "prompt": SENTENCE,
        "max_tokens": 8,
        "temperature": 0,
        "logit_bias": {str(token): 100},
        "repetition_detection": {"min_pattern_size": 1, "max_pattern_size": 1, "min_count": 3},
    }
    looped = _try(served.url, body, headers(api_key_env))
    return _choice(looped or {}).get("finish_reason") == "repetition"


def _choose(url: str, entries: list[dict[str, Any]], model: Model, served_name: str | None) -> dict[str, Any]:
    """The entry of `/models` that is the run's model, by the name that it is served under or its own."""
    entries = [entry for entry in entries if isinstance(entry, dict) and "id" in entry]
    for entry in entries:
        if entry["id"] == served_name if served_name is not None else _is_model(entry, model):
            return entry
    names = ", ".join(repr(str(entry["id"])) for entry in entries) or "none"
    if served_name is not None:
        raise EngineError(f"the server at {url} serves {names}, not --served-model-name {served_name!r}")
    raise EngineError(
        f"the server at {url} serves {names}, not --model {model.name!r}; if one of them is that model, "
        "name it with --served-model-name"
    )


def _is_model(entry: dict[str, Any], model: Model) -> bool:
    """Whether a served name, or the folder behind it, is the model's: `Qwen3-4B` is `Qwen/Qwen3-4B`."""
    theirs = {str(entry[key]) for key in ("id", "root") if entry.get(key)}
    mine = {model.name, model.path}
    return bool({_last(name) for name in theirs} & {_last(name) for name in mine})


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()


_CACHE = re.compile(r"^vllm:cache_config_info\{([^}\n]*)\}", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def _caches(url: str, key: dict[str, str]) -> tuple[int, int | None]:
    """(engines behind the server, tokens that their KV caches hold), from vLLM's metrics; (1, None) where
    it has none."""
    request = urllib.request.Request(f"{url.removesuffix('/v1')}/metrics", headers=key)  # noqa: S310 - as above
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310 - as above
            text = response.read(MOST_METRICS).decode(errors="replace")
    except urllib.error.HTTPError as error:
        error.close()
        return 1, None
    except (OSError, HTTPException, ValueError):
        return 1, None
    sizes: dict[str, int] = {}
    for found in _CACHE.finditer(text):
        labels = dict(_LABEL.findall(found[1]))
        blocks, block = labels.get("num_gpu_blocks", ""), labels.get("block_size", "")
        if blocks.isdigit() and block.isdigit():
            sizes[labels.get("engine", "0")] = int(blocks) * int(block)
    return max(len(sizes), 1), sum(sizes.values()) or None


def _version(url: str, key: dict[str, str]) -> str:
    try:
        return str(_get(f"{url.removesuffix('/v1')}/version", key)["version"])
    except (EngineError, KeyError):
        return "unknown"


def _choice(response: dict[str, Any]) -> dict[str, Any]:
    choices = response.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _try(url: str, body: dict[str, object], key: dict[str, str]) -> dict[str, Any] | None:
    """The completion; None where the server refuses these parameters."""
    try:
        return _complete(url, body, key)
    except _RefusedError:
        return None


def _complete(url: str, body: dict[str, object], key: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{url}/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **key},
    )
    return _open(request)


def _get(url: str, key: dict[str, str]) -> dict[str, Any]:
    return _open(urllib.request.Request(url, headers=key))  # noqa: S310 - as above


class _RefusedError(EngineError):
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
        raise (_RefusedError if error.code in (400, 422) else EngineError)(line) from error
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
