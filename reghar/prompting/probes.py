r"""Probes: the text appended after a truncated trace to force an answer (definitions: The curve).

A probe's text may hold `{close_thinking}`: the model's closing delimiter is put there if the
thinking block is still open at the cut, and nothing otherwise, so it is never closed twice.
A probe whose text ends inside `\boxed{` is answered by the box's content; any other is answered
like a natural response.
"""

from __future__ import annotations

from dataclasses import dataclass

from reghar.boxed import opens_box
from reghar.errors import InputError
from reghar.prompting.thinking import Delimiters

CLOSE_THINKING = "{close_thinking}"

# REG (arXiv 2506.07104) appendix E, letter for letter, with the line breaks of Dynasor's original.
_REO_RL = "\n\nOh, I suddenly got the answer to the whole problem. **Final Answer**:\n\n\\[ \\boxed{"
_FINAL_ANSWER = "\n\nFinal Answer: \\boxed{"

PRESETS: dict[str, str] = {
    "reo-rl": _REO_RL,
    "final-answer": _FINAL_ANSWER,
    # s1 (arXiv 2501.19393) section 3.1: end the thinking with the model's own delimiter first.
    "s1": CLOSE_THINKING + _FINAL_ANSWER,
    # REG appendix A's looser protocol: let the model write its summary.
    "summary": CLOSE_THINKING + "\n\n",
}
DEFAULT_PRESET = "reo-rl"

BOX_ANSWER_TOKENS = 64
SUMMARY_ANSWER_TOKENS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What is appended at a cut, and how the answer to it is read."""

    name: str
    """Name of the preset, or `custom`."""
    text: str
    max_answer_tokens: int
    """Most tokens of one forced answer, at least 1; 0 for `NO_PROBE`."""

    @property
    def opens_box(self) -> bool:
        """True when the answer is the content of the box that the probe leaves open."""
        return opens_box(self.text)

    def render(self, delimiters: Delimiters | None, *, thinking_open: bool) -> str:
        """The text for one cut."""
        close = delimiters.close if delimiters is not None and thinking_open else ""
        return self.text.replace(CLOSE_THINKING, close)


NO_PROBE = Probe(name="none", text="", max_answer_tokens=0)
"""Of a run in which nothing is cut."""


def make_probe(preset: str | None, text: str | None, max_answer_tokens: int | None) -> Probe:
    """The probe of a run from a preset's name or a text of the user's own. Raises `InputError`."""
    if preset is not None and text is not None:
        raise InputError("--probe and --probe-text exclude each other; give one of them")
    if max_answer_tokens is not None and max_answer_tokens < 1:
        raise InputError(f"--max-answer-tokens must be at least 1, not {max_answer_tokens}")
    name = "custom" if text is not None else preset or DEFAULT_PRESET
    if text is None:
        if name not in PRESETS:
            raise InputError(
                f"unknown probe preset {name!r}; known: {', '.join(PRESETS)}; or give --probe-text"
            )
        text = PRESETS[name]
    if not text:
        raise InputError("--probe-text is empty; a probe needs at least one character")
    default = BOX_ANSWER_TOKENS if opens_box(text) else SUMMARY_ANSWER_TOKENS
    return Probe(name=name, text=text, max_answer_tokens=max_answer_tokens or default)
