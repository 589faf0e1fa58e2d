"""A chat template from a file, in the place of the tokenizer's own."""

from __future__ import annotations

from pathlib import Path

from reghar.errors import InputError
from reghar.prompting.prompts import PROMPT_DATE
from reghar.prompting.tokenizer import PretrainedTokenizer, Tokenizer

_QUESTION = "What is 6 x 7?"


def with_template_file(tokenizer: Tokenizer, path: str) -> Tokenizer:
    """The tokenizer with the template in the file. Raises `InputError` for one that cannot be a template."""
    if not isinstance(tokenizer, PretrainedTokenizer):
        raise InputError("--chat-template needs a model: the scripted one has no template to replace")
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"--chat-template {path!r} is not UTF-8 (byte {error.start})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--chat-template {path!r} cannot be read: {reason}; give a Jinja file") from error
    replaced = tokenizer.with_template(text)
    _require_question(replaced, path)
    return replaced


def _require_question(tokenizer: PretrainedTokenizer, path: str) -> None:
    if tokenizer.has_chat_template and _QUESTION in _rendered(tokenizer, path):
        return
    raise InputError(f"--chat-template {path!r} shows no question: a template writes out `messages`")


def _rendered(tokenizer: PretrainedTokenizer, path: str) -> str:
    try:
        return tokenizer.render_chat([{"role": "user", "content": _QUESTION}], {}, PROMPT_DATE)
    except InputError as error:
        raise InputError(f"--chat-template {path!r} is no template for these messages: {error}") from error
