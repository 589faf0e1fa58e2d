"""Whether the model's context holds what a run asks of it: prompt, trace, cut and forced answer."""

from __future__ import annotations

from reghar.errors import InputError
from reghar.prompting.probes import Probe
from reghar.prompting.thinking import Delimiters
from reghar.prompting.tokenizer import Model
from reghar.protocol import Setting
from reghar.run.settings import DEFAULT_MAX_TOKENS, RunSettings


def fit_context(
    settings: RunSettings,
    model: Model,
    longest_prompt: int,
    budgets: tuple[int, ...],
    room: int,
    at_end: int,
) -> tuple[int, list[str]]:
    """The most tokens a trace may have, and notes. Raises `InputError`, naming the number to change.

    `room` is what a probe and its answer need after a budget, `at_end` what they need after the longest
    trace.
    """
    asked = DEFAULT_MAX_TOKENS if settings.max_tokens is None else settings.max_tokens
    if budgets[-1] > asked:
        raise InputError(
            f"largest budget {budgets[-1]} exceeds --max-tokens {asked}; raise it or cut the budgets"
        )
    context = _context(settings, model)
    if context is None:
        return asked, []
    needed = longest_prompt + budgets[-1] + room
    if needed > context:
        raise InputError(
            f"context too short: prompt {longest_prompt} + largest budget {budgets[-1]} "
            f"+ probe and answer {room} = {needed} tokens, but the context holds {context}; "
            f"lower the largest budget to {max(0, context - longest_prompt - room)}"
            " or raise --engine-arg max_model_len"
        )
    allowed = context - longest_prompt - at_end
    if allowed >= asked:
        return asked, []
    return allowed, [f"max_tokens is {allowed}, not {asked}: the context holds {context} tokens"]


def _context(settings: RunSettings, model: Model) -> int | None:
    """Tokens of prompt and response together; None where nothing is known."""
    asked = settings.engine_arguments.get("max_model_len")
    if asked is None:
        return model.context_length
    if not isinstance(asked, int) or asked < 1:
        raise InputError(f"--engine-arg max_model_len must be a number of tokens from 1 on, not {asked!r}")
    return asked


def cuts(
    budgets: tuple[int, ...], control: tuple[Setting, ...], delimiters: Delimiters | None
) -> tuple[int, ...]:
    """Budgets of the run and of its settings, in response tokens at most, increasing."""
    # Thinking tokens are counted from inside the block, whose opening stands within the first few.
    before = 8 + len(delimiters.open_ids) if delimiters is not None else 0
    asked = {budget + before for setting in control for budget in setting.budgets}
    return tuple(sorted({*budgets, *asked}))


def forces_at_the_end(settings: RunSettings, control: tuple[Setting, ...]) -> bool:
    """Whether an answer may be forced after all `max_tokens`: budgets of thinking tokens may never cut a
    response that has little thinking and no end."""
    return settings.budget_counts == "thinking" or any(setting.budgets for setting in control)


def probe_room(probe: Probe, model: Model, delimiters: Delimiters | None) -> int:
    """Most tokens that a probe and its answer add to a cut trace."""
    text = probe.render(delimiters, thinking_open=True)
    return len(model.tokenizer.encode_text(text)) + probe.max_answer_tokens
