"""From a question to prompt token ids, through the model's chat template.

The template's text is rendered first and tokenized without adding special tokens, so a template
that writes its own BOS never gets a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from reghar.prompting.tokenizer import Tokenizer
from reghar.protocol import Setting

QUESTION_PLACEHOLDER = "{problem}"
"""Stands for the question where the rendered template is recorded in the protocol."""

PROMPT_DATE = date(2026, 1, 1)
"""What a template that tells the date is told, unless the user names another day: with the true one, the
same questions would be asked in other words tomorrow."""


@dataclass(frozen=True, kw_only=True)
class PromptFormat:
    """How every question of a run becomes a prompt."""

    tokenizer: Tokenizer
    system: str | None = None
    """System prompt; None leaves it to the template."""
    suffix: str | None = None
    """What follows every question and a blank line; None for nothing."""
    examples: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By task, (question, answer) of the examples that stand before each of its questions."""
    arguments: dict[str, object] = field(default_factory=dict)
    """Arguments of the chat template, such as `enable_thinking`."""
    today: date = PROMPT_DATE
    """The day that the template may tell."""

    @property
    def is_plain(self) -> bool:
        """True for a base model without a chat template."""
        return not self.tokenizer.has_chat_template

    def render(self, question: str, task: str | None = None) -> str:
        """The prompt's text, up to where the response begins; with the examples of its task, if any."""
        examples = () if task is None else self.examples.get(task, ())
        if self.suffix is not None:
            question = f"{question}\n\n{self.suffix}"
        if self.is_plain:
            system = f"{self.system}\n\n" if self.system else ""
            shown = "".join(f"{asked}\n\n{answer}\n\n" for asked, answer in examples)
            return f"{self.tokenizer.bos}{system}{shown}{question}\n\n"
        messages = [{"role": "system", "content": self.system}] if self.system is not None else []
        for asked, answer in examples:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        messages.append({"role": "user", "content": question})
        return self.tokenizer.render_chat(messages, self.arguments, self.today)

    def encode(self, question: str, task: str | None = None) -> list[int]:
        """The prompt's token ids; see `render`."""
        return self.tokenizer.encode_text(self.render(question, task))

    def with_setting(self, setting: Setting) -> PromptFormat:
        """The same with what a setting of a control method adds to system prompt and question."""
        if setting.user is None and setting.system is None:
            return self
        parts = [part for part in (self.system, setting.system) if part is not None]
        return replace(self, system="\n\n".join(parts) if parts else None, suffix=setting.user)

    @property
    def tells_date(self) -> bool:
        """True where the prompt depends on the day: it then belongs to the protocol."""
        other_day = replace(self, today=self.today + timedelta(days=400))
        return other_day.template != self.template

    @property
    def template(self) -> str:
        """The rendered template with a placeholder for the question: part of the protocol."""
        return self.render(QUESTION_PLACEHOLDER)
