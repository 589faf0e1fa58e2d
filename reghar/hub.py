"""The Hugging Face hub, where models and data sets come from: whether it answers, and what its clients'
errors mean, in one line.

Its clients ask a hub that does not answer again and again, half a minute for every file. So it is asked
once; where it is silent, the clients are told that there is no network and read their cache at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HUB_SECONDS = 5.0
"""How long the hub may take to answer at all."""


@cache
def hub_silence() -> str | None:
    """None where the hub answers, else why not and the remedy; asked once a process.

    Where it is silent its clients, those in processes started later among them, read the cache alone.
    """
    from huggingface_hub import constants, get_session

    # The hub's client reports each of its retries; the one line of an error says it all.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set: unset it"
    try:
        # Any answer will do. The client's own session, because it knows proxies and certificates.
        get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
    except hub_errors():
        _use_the_cache()
        return f"the hub ({constants.ENDPOINT}) does not answer: check the network"
    return None


def _use_the_cache() -> None:
    """What HF_HUB_OFFLINE=1 does, for clients that read it when they were imported as well."""
    from huggingface_hub import constants

    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
    if "datasets" in sys.modules:
        import datasets

        datasets.config.HF_HUB_OFFLINE = datasets.config.HF_DATASETS_OFFLINE = True


def cached_commit(model: str, revision: str | None) -> str | None:
    """The commit of a hub model whose configuration was just read; None where no cache was used."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision or "main")
    return Path(found).parent.name if isinstance(found, str) else None


def hub_errors() -> tuple[type[Exception], ...]:
    """What the hub's clients raise where something is wrong with a name, a right, the network or a file."""
    from huggingface_hub.errors import EntryNotFoundError

    return (_http_error(), EntryNotFoundError, OSError, ValueError, KeyError, RuntimeError)


def _http_error() -> type[Exception]:
    """The base of all errors of the HTTP library, which differs between versions of the hub's client.

    A connection that breaks is of no class of Python's own.
    """
    from huggingface_hub.errors import HfHubHTTPError

    base: type[Exception] = HfHubHTTPError.__bases__[0]
    return base


def hub_reason(error: BaseException) -> str:
    """Why the hub's client failed and what to do about it, one line without a full stop."""
    from huggingface_hub import errors

    causes = list(_causes(error))

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    # What was refused by name goes first: the cache is looked into after each refusal, and misses.
    # `datasets` raises its own words in the place of the client's error.
    if among(errors.GatedRepoError) or "is a gated dataset" in str(error):
        return "it is gated: accept its terms on the hub, then set HF_TOKEN or call `hf auth login`"
    if among(errors.RevisionNotFoundError) or str(error).startswith("Revision '"):
        return "it has no such revision: check it on the hub"
    if among(errors.RepositoryNotFoundError) or "doesn't exist on the Hub" in str(error):
        return "the hub has none of that name, or it is private: check the name, or set HF_TOKEN"
    if (silence := hub_silence()) is not None:
        return f"it is not in the cache, and {silence}"
    if broken := next((cause for cause in causes if isinstance(cause, _http_error())), None):
        return f"the download broke off ({_said(broken)}): try again"
    return _said(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__cause__, one.__context__]


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:160].rstrip(". ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
