"""The stand-in model of `--engine scripted`: one token per byte, on any machine, without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from reghar.prompting.tokenizer import Model

SCRIPTED_MODEL = "scripted"

_SPECIAL = ("<eos>", "<think>", "</think>")
_OFFSET = len(_SPECIAL)
EOS = 0


class ByteTokenizer:
    """One token per byte, and the three special tokens."""

    has_chat_template = True
    bos = ""

    def encode_text(self, text: str) -> list[int]:
        """See `Tokenizer`."""
        ids: list[int] = []
        while text:
            special = next((s for s in _SPECIAL if text.startswith(s)), None)
            if special:
                ids.append(_SPECIAL.index(special))
                text = text[len(special) :]
            else:
                ids.extend(byte + _OFFSET for byte in text[0].encode("utf-8", "surrogatepass"))
                text = text[1:]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer`."""
        parts: list[str] = []
        plain = bytearray()
        for i in ids:
            if i < _OFFSET:
                parts.append(plain.decode("utf-8", "replace"))
                plain.clear()
                parts.append(_SPECIAL[i])
            elif i < 256 + _OFFSET:
                plain.append(i - _OFFSET)
        return "".join(parts) + plain.decode("utf-8", "replace")

    def is_known(self, text: str) -> bool:
        """See `Tokenizer`."""
        return text in _SPECIAL

    def render_chat(
        self,
        messages: Sequence[Mapping[str, str]],
        arguments: Mapping[str, object],
        today: date,  # noqa: ARG002 - the template tells none
    ) -> str:
        """See `Tokenizer`."""
        options = "".join(f"[{key}={value}]\n" for key, value in sorted(arguments.items()))
        return options + "".join(f"{m['role']}: {m['content']}\n" for m in messages) + "assistant: "


def scripted_model() -> Model:
    """The model that `--engine scripted` runs."""
    return Model(
        name=SCRIPTED_MODEL,
        path=SCRIPTED_MODEL,
        revision=None,
        context_length=1 << 20,
        vocabulary_size=256 + _OFFSET,
        tokenizer=ByteTokenizer(),
    )
