"""Where in a trace's text its tokens end: cuts are counted in tokens (definitions: The curve)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reghar.errors import InputError
from reghar.prompting.tokenizer import PretrainedTokenizer, Tokenizer, load_model
from reghar.store import StoredRun


@dataclass(frozen=True, kw_only=True)
class Places:
    """Characters of a trace's text that its first tokens spell."""

    at: tuple[int, ...]
    """A count of characters for each count of tokens that was asked for."""
    exact: bool
    """False where no tokenizer was at hand: then the places are in proportion to the tokens."""


def run_tokenizer(run: StoredRun) -> Tokenizer | None:
    """The tokenizer of the run's model where it is on this machine; None otherwise, nothing is fetched."""
    from reghar.prompting.scripted import SCRIPTED_MODEL, scripted_model

    if run.model == SCRIPTED_MODEL:
        return scripted_model().tokenizer
    return _local(run.model, run.manifest.revision)


def _local(name: str, revision: str | None) -> Tokenizer | None:
    from pathlib import Path

    if name.startswith("demo:") or Path(name).expanduser().is_dir():
        try:
            return load_model(name).tokenizer
        except InputError:
            return None
    from transformers import AutoTokenizer

    try:
        found: Any = AutoTokenizer.from_pretrained(name, revision=revision, local_files_only=True)
    except (OSError, ValueError):
        return None
    return PretrainedTokenizer(found)


def places(text: str, token_ids: Sequence[int], counts: Sequence[int], tokenizer: Tokenizer | None) -> Places:
    """Where the first `counts` tokens end in `text`; `counts` may repeat and come in any order."""
    total = max(len(token_ids), 1)
    wanted = sorted({min(count, len(token_ids)) for count in counts})
    known: dict[int, int] | None = None
    if tokenizer is not None:
        known = _by_pieces(text, token_ids, wanted, tokenizer) or _by_prefixes(
            text, token_ids, wanted, tokenizer
        )
    found = known if known is not None else {c: round(len(text) * c / total) for c in wanted}
    return Places(at=tuple(found[min(c, len(token_ids))] for c in counts), exact=known is not None)


def _by_pieces(
    text: str, token_ids: Sequence[int], wanted: Sequence[int], tokenizer: Tokenizer
) -> dict[int, int] | None:
    """From the text between two counts, which is linear in time; None where the pieces are not the text."""
    edges = [0, *(count for count in wanted if count > 0), len(token_ids)]
    pieces = [tokenizer.decode(token_ids[a:b]) if b > a else "" for a, b in itertools.pairwise(edges)]
    if "".join(pieces) != text:
        return None
    ends = [0, *itertools.accumulate(len(piece) for piece in pieces)]
    return dict(zip(edges, ends, strict=True))


def _by_prefixes(
    text: str, token_ids: Sequence[int], wanted: Sequence[int], tokenizer: Tokenizer
) -> dict[int, int] | None:
    """From the text of each prefix, where a token's text depends on its neighbours; None on another text."""
    if tokenizer.decode(token_ids) != text:
        return None
    # A cut within a character leaves replacement characters, which are none of the text.
    return {count: len(tokenizer.decode(token_ids[:count]).rstrip("\ufffd")) for count in wanted}
