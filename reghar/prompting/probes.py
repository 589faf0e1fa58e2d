r"""Probes: the text appended after a truncated trace to force an answer (definitions: The curve).

A probe's text may hold `{close_thinking}`: the model's closing delimiter is put there if the
thinking block is still open at the cut, and nothing otherwise, so it is never closed twice.
A probe whose text ends inside `\boxed{` is answered by the box's content, one that ends inside a fenced
block by the program in it; any other is answered like a natural response.
"""

from __future__ import annotations

from dataclasses import dataclass

from reghar.boxed import closing_brace, opens_box
from reghar.errors import InputError
from reghar.fenced import closing_fence, open_fence
from reghar.prompting.thinking import Delimiters

CLOSE_THINKING = "{close_thinking}"

# REG (arXiv 2506.07104) appendix E, letter for letter, with the line breaks of Dynasor's original.
_REO_RL = "\n\nOh, I suddenly got the answer to the whole problem. **Final Answer**:\n\n\\[ \\boxed{"
_FINAL_ANSWER = "\n\nFinal Answer: \\boxed{"

DEFAULT_PRESET = "reo-rl"
CODE_PRESET = "code"

PRESETS: dict[str, str] = {
    "reo-rl": _REO_RL,
    "final-answer": _FINAL_ANSWER,
    # s1 (arXiv 2501.19393) section 3.1: end the thinking with the model's own delimiter first.
    "s1": CLOSE_THINKING + _FINAL_ANSWER,
    # REG appendix A's looser protocol: let the model write its summary.
    "summary": CLOSE_THINKING + "\n\n",
    # Of code tasks: the program itself, with nothing before it.
    CODE_PRESET: CLOSE_THINKING + "\n\n```python\n",
}

BOX_ANSWER_TOKENS = 64
SUMMARY_ANSWER_TOKENS = 1024
PROGRAM_ANSWER_TOKENS = 2048


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

    @property
    def fence(self) -> str | None:
        """The fence of the block that the probe leaves open for a program; None where it opens none."""
        return open_fence(self.text)

    @property
    def is_completed(self) -> bool:
        """True when the answer is what follows the probe, up to what closes its box or block."""
        return self.opens_box or self.fence is not None

    def answer_end(self, completion: str, *, last: bool) -> int | None:
        """Length of a completion up to and with what closes the probe's box or block; None while open.

        Unless it is the `last` of the completion, a fence counts only with its line break.
        """
        if self.opens_box:
            end = closing_brace(completion)
            return None if end is None else end + 1
        fence = self.fence
        closing = None if fence is None else closing_fence(completion, fence, last=last)
        return None if closing is None else closing[1]

    def render(self, delimiters: Delimiters | None, *, thinking_open: bool) -> str:
        """The text for one cut."""
        close = delimiters.close if delimiters is not None and thinking_open else ""
        return self.text.replace(CLOSE_THINKING, close)


NO_PROBE = Probe(name="none", text="", max_answer_tokens=0)
"""Of a run in which nothing is cut."""


def make_probe(
    preset: str | None, text: str | None, max_answer_tokens: int | None, default: str = DEFAULT_PRESET
) -> Probe:
    """The probe of a run from a preset's name or a text of the user's own. Raises `InputError`.

    `default` is the preset where neither is given.
    """
    if preset is not None and text is not None:
        raise InputError("--probe and --probe-text exclude each other; give one of them")
    if max_answer_tokens is not None and max_answer_tokens < 1:
        raise InputError(f"--max-answer-tokens must be at least 1, not {max_answer_tokens}")
    name = "custom" if text is not None else preset or default
    if text is None:
        if name not in PRESETS:
            raise InputError(
                f"unknown probe preset {name!r}; known: {', '.join(PRESETS)}; or give --probe-text"
            )
        text = PRESETS[name]
    if not text:
        raise InputError("--probe-text is empty; a probe needs at least one character")
    return Probe(name=name, text=text, max_answer_tokens=max_answer_tokens or _answer_tokens(text))


def _answer_tokens(text: str) -> int:
    """The most that an answer needs, by what the probe opens."""
    if opens_box(text):
        return BOX_ANSWER_TOKENS
    return SUMMARY_ANSWER_TOKENS if open_fence(text) is None else PROGRAM_ANSWER_TOKENS
