"""What a server of the OpenAI completions API can do, asked before a run is planned.

Two requests of one token each: whether it takes prompts as token ids, whether it returns token ids,
and whether it has the tokenizer that the run has.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from reghar.engines.address import headers
from reghar.engines.ask import ANSWER_SECONDS, RequestRefusedError, get_json, post_completion
from reghar.errors import EngineError
from reghar.prompting.tokenizer import Model

SENTENCE = "The answer is 42."
"""What the tokenizers are compared on."""

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


def inspect_server(
    url: str, model: Model, api_key_env: str | None, *, served_name: str | None = None
) -> ServerInfo:
    """What the server at `url` can do. Raises `EngineError` where it does not answer or fits no run.

    `served_name` is what the server calls the model, where that is not its own name.
    """
    key = headers(api_key_env)
    entries = [each for each in get_json(f"{url}/models", key).get("data") or [] if isinstance(each, dict)]
    entry = _choose(url, entries, model, served_name)
    name = str(entry["id"])
    ids = model.tokenizer.encode_text(SENTENCE)
    base = {"model": name, "max_tokens": 1, "temperature": 0}
    asked: dict[str, object] = base | {"prompt": SENTENCE}
    whole = _try(url, asked | EXTENSIONS | SAMPLING, key)
    takes_sampling = whole is not None or _try(url, asked | SAMPLING, key) is not None
    if whole is None:
        whole = _try(url, asked | EXTENSIONS, key)
    choice = _choice(whole or post_completion(url, base | {"prompt": SENTENCE}, key))
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
        return str(get_json(f"{url.removesuffix('/v1')}/version", key)["version"])
    except (EngineError, KeyError):
        return "unknown"


def _choice(response: dict[str, Any]) -> dict[str, Any]:
    choices = response.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _try(url: str, body: dict[str, object], key: dict[str, str]) -> dict[str, Any] | None:
    """The completion; None where the server refuses these parameters."""
    try:
        return post_completion(url, body, key)
    except RequestRefusedError:
        return None
