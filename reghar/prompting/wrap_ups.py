"""Wrap-ups: the texts by which engines with a thinking budget end a response's thinking.

When so many thinking tokens are written, the engine appends the text and the model goes on freely: a
probe whose answer is a natural one (definitions: Wrap-ups).
"""

from __future__ import annotations

import re

from reghar.boxed import opens_box
from reghar.errors import InputError
from reghar.fenced import open_fence
from reghar.prompting.probes import CLOSE_THINKING, Probe
from reghar.prompting.thinking import Delimiters

WRAP_UPS: dict[str, str] = {
    # What vLLM's `reasoning_end_str` is without a text before it.
    "close": CLOSE_THINKING + "\n\n",
    # Qwen3's documentation of its thinking budget, letter for letter.
    "qwen": (
        "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking "
        f"directly now.\n{CLOSE_THINKING}\n\n"
    ),
    # s1 (arXiv 2501.19393) section 3.1: the answer's delimiter, then a line.
    "s1": CLOSE_THINKING + "\nFinal Answer:",
    # Seed-OSS's chat template, letter for letter.
    "seed": (
        "<seed:cot_budget_reflect>I have exhausted my token budget, and now I will start answering the "
        f"question.</seed:cot_budget_reflect>\n{CLOSE_THINKING}"
    ),
}
ANSWER_TOKENS = 2048
"""Most tokens of an answer after a wrap-up, where nothing else is said."""


def make_wrap_up(name_or_text: str, max_answer_tokens: int | None) -> Probe:
    """The probe of a preset's name, or of a text with `{close_thinking}`. Raises `InputError`."""
    if max_answer_tokens is not None and max_answer_tokens < 1:
        raise InputError(f"--max-answer-tokens must be at least 1, not {max_answer_tokens}")
    text = WRAP_UPS.get(name_or_text, name_or_text)
    if text is name_or_text and re.fullmatch(r"[\w-]*", text):
        raise InputError(
            f"unknown wrap-up {text!r}; known: {', '.join(WRAP_UPS)}; or give a text with {CLOSE_THINKING}"
        )
    if opens_box(text) or open_fence(text) is not None:
        raise InputError(
            f"wrap-up {text!r} opens a box or a block, after which nothing is answered freely: give it with "
            "--probe-text, or leave that out"
        )
    name = name_or_text if name_or_text in WRAP_UPS else "custom"
    return Probe(name=name, text=text, max_answer_tokens=max_answer_tokens or ANSWER_TOKENS)


def require_closing(wrap_up: Probe, delimiters: Delimiters | None) -> None:
    """Raises `InputError` where the text does not end the thinking of a model that thinks exactly once."""
    if delimiters is None:
        return
    times = wrap_up.render(delimiters, thinking_open=True).count(delimiters.close)
    if times != 1:
        raise InputError(
            f"wrap-up {wrap_up.text!r} closes the thinking {times} times and must do so once: put "
            f"{CLOSE_THINKING} where {delimiters.close} belongs"
        )
