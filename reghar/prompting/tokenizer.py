"""What `--model` names: its files, tokenizer, context length and the tokens that end a response.

Only the configuration and the tokenizer are read here; the weights are the engine's business.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from reghar.errors import InputError

DEMO_PREFIX = "demo:"


class Tokenizer(Protocol):
    """What the harness needs of a tokenizer."""

    def encode_text(self, text: str) -> list[int]:
        """Token ids of a text; no special tokens are added, those written in the text are recognised."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens included."""

    def is_known(self, text: str) -> bool:
        """True when `text` is one special token or stands in the chat template."""

    @property
    def has_chat_template(self) -> bool:
        """False for a base model."""

    def render_chat(
        self, messages: Sequence[Mapping[str, str]], arguments: Mapping[str, object], today: date
    ) -> str:
        """The chat template filled in, up to where the response begins; `today` is the day it may tell."""

    @property
    def bos(self) -> str:
        """Text of the beginning-of-sequence token that a prompt without a template needs; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model as the run sees it before its engine loads."""

    name: str
    """As the user gave it."""
    path: str
    """Folder, or hub name, that the engine loads."""
    revision: str | None
    context_length: int | None
    """Most tokens of prompt and response together; None if the configuration does not say."""
    vocabulary_size: int
    """Ids from 0 to this - 1 may stand in a prompt; the engine refuses others. The larger of tokenizer and
    embedding: the rows that pad an embedding are valid ids too."""
    tokenizer: Tokenizer


def load_model(name: str, revision: str | None = None, *, trust_remote_code: bool = False) -> Model:
    """Reads configuration and tokenizer of a folder, a hub name, or `demo:NAME`. Raises `InputError`.

    `trust_remote_code` lets the model's own code run, as it does in the engine.
    """
    path = locate_model(name)
    config, tokenizer, commit = _read_pretrained(name, path, revision, trust_remote_code=trust_remote_code)
    return Model(
        name=name,
        path=path,
        # The commit where it is known: a branch may move before the engine reads it.
        revision=commit or revision,
        context_length=_context_length(config),
        vocabulary_size=max(len(tokenizer), _embedding_size(config)),
        tokenizer=PretrainedTokenizer(tokenizer),
    )


def locate_model(name: str) -> str:
    """The folder or hub name behind `--model`. Raises `InputError` for what can be neither."""
    if name.startswith(DEMO_PREFIX):
        from reghar import demo

        return str(demo.path(name.removeprefix(DEMO_PREFIX)))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(
                f"model folder {name!r} has no config.json; give a folder saved by save_pretrained"
            )
        return str(folder)
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise InputError(f"model path {name!r} does not exist; give a folder, a hub name, or demo:NAME")
    return name


def _read_pretrained(
    name: str, path: str, revision: str | None, *, trust_remote_code: bool
) -> tuple[Any, Any, str | None]:
    """Configuration, tokenizer, and for a hub model the commit of both."""
    from transformers import AutoConfig, AutoTokenizer

    from reghar.hub import cached_commit, hub_errors, hub_reason, hub_silence

    on_hub = not Path(path).is_dir()
    if on_hub:
        hub_silence()
    try:
        trust = {"trust_remote_code": trust_remote_code}
        config = AutoConfig.from_pretrained(path, revision=revision, **trust)
        # Both of one commit, even where the hub gets another one in between.
        commit = cached_commit(path, revision) if on_hub else None
        return config, AutoTokenizer.from_pretrained(path, revision=commit or revision, **trust), commit
    except hub_errors() as error:
        if on_hub:
            raise InputError(
                f"model {name!r} is no folder and cannot be read from the hub: {hub_reason(error)}, "
                "or give an existing folder or demo:NAME"
            ) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model folder {name!r} cannot be read: {reason}; give a folder saved by save_pretrained"
        ) from error


def _embedding_size(config: Any) -> int:
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    size = getattr(config, "vocab_size", None)
    return size if isinstance(size, int) else 0


def _context_length(config: Any) -> int | None:
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        value = getattr(config, key, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


class PretrainedTokenizer:
    """A `transformers` tokenizer behind the `Tokenizer` protocol."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @property
    def pretrained(self) -> Any:
        """The tokenizer itself."""
        return self._tokenizer

    def with_template(self, text: str) -> PretrainedTokenizer:
        """The same with another chat template."""
        tokenizer = copy.copy(self._tokenizer)
        tokenizer.chat_template = text
        return PretrainedTokenizer(tokenizer)

    def encode_text(self, text: str) -> list[int]:
        """See `Tokenizer`."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer`. Spaces are kept as they are, since clean-up would change what is graded."""
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def is_known(self, text: str) -> bool:
        """See `Tokenizer`."""
        return text in self._tokenizer.get_vocab() or text in str(self._tokenizer.chat_template or "")

    @property
    def has_chat_template(self) -> bool:
        """See `Tokenizer`."""
        return bool(self._tokenizer.chat_template)

    def render_chat(
        self, messages: Sequence[Mapping[str, str]], arguments: Mapping[str, object], today: date
    ) -> str:
        """See `Tokenizer`. Raises `InputError` when the template refuses the messages."""
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages),
                tokenize=False,
                add_generation_prompt=True,
                # Templates that tell the date ask for it by this name.
                **{"strftime_now": today.strftime, **arguments},
            )
        except (TemplateError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"the model's chat template refuses the messages: {error}; "
                "check --system-prompt and --chat-template-arg"
            ) from error
        return text

    @property
    def bos(self) -> str:
        """See `Tokenizer`: what the tokenizer itself would put before a plain prompt."""
        with_special: list[int] = self._tokenizer.encode("", add_special_tokens=True)
        token = self._tokenizer.bos_token_id
        return str(self._tokenizer.bos_token) if token is not None and with_special[:1] == [token] else ""
