"""Whether settings can be: each value alone by its declaration, then what they must be together."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date

from reghar.errors import InputError
from reghar.run.settings import RunSettings, run_options


def check_settings(settings: RunSettings) -> None:
    """Raises `InputError` for the first setting that cannot be."""
    try:
        json.dumps(asdict(settings), ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"a flag holds text that is not UTF-8: {error.object[:80]!a}") from error
    for name, option in run_options().items():
        option.check(getattr(settings, name))
    checks = _common_checks(settings)
    checks += _chat_checks(settings) if settings.engine == "chat" else _other_checks(settings)
    for wrong, message in checks:
        if wrong:
            raise InputError(message)


def _common_checks(settings: RunSettings) -> list[tuple[bool, str]]:
    return [
        (
            "hf_token" in settings.engine_arguments,
            "--engine-arg hf_token would be stored with the run; export HF_TOKEN instead",
        ),
        (not settings.tasks, "--tasks is empty; see `reghar tasks list`"),
        (
            len(set(settings.tasks)) < len(settings.tasks),
            f"--tasks names a task twice: {','.join(settings.tasks)}",
        ),
        (
            settings.wrap_up is not None and (settings.probe is not None or settings.probe_text is not None),
            "--wrap-up stands in the place of a probe: leave out --probe and --probe-text",
        ),
        (
            settings.wrap_up is not None and settings.budget_counts != "thinking",
            "--wrap-up is for budgets of thinking tokens: leave out --budget-counts response",
        ),
        ("" in settings.stop, "--stop is empty; give the text that ends a response"),
        (
            settings.date is not None and not _is_date(settings.date),
            f"--date must be a day such as 2026-01-31, not {settings.date!r}",
        ),
    ]


def _chat_checks(settings: RunSettings) -> list[tuple[bool, str]]:
    """What a server that shows no tokens cannot do."""
    probes = (settings.probe, settings.probe_text, settings.probe_temperature, settings.max_answer_tokens)
    prices = (settings.price_in, settings.price_out)
    return [
        (settings.base_url is None, "--engine chat needs --base-url, such as https://api.example.com/v1"),
        (
            settings.budgets != "reg" or settings.budget_counts != "response",
            "a chat server's replies cannot be cut, so there are no budgets: leave out --budgets; lengths "
            "end at --max-tokens",
        ),
        (
            any(p is not None for p in probes),
            "a chat server's replies cannot be cut, so no answer can be forced: leave out the probe",
        ),
        (
            settings.control not in ("force", "body"),
            f"--control {settings.control} forces answers, which a chat server cannot: give --control body "
            "--settings reasoning_effort=low,...",
        ),
        (
            settings.control == "force" and bool(settings.control_settings),
            "--settings needs --control body with --engine chat, such as reasoning_effort=low",
        ),
        (
            settings.control == "body" and not settings.control_settings,
            "--control body needs --settings, such as reasoning_effort=low,reasoning_effort=high",
        ),
        (
            bool(settings.top_k or settings.min_p),
            "the chat API has no top_k and min_p; where the server takes them, give --body top_k=20",
        ),
        (
            bool(settings.stop),
            "a chat server ends its own replies: give --body 'stop=[\"TEXT\"]', not --stop",
        ),
        (
            settings.few_shot > 0,
            "--few-shot is not for --engine chat: put the examples into --system-prompt",
        ),
        (
            settings.repetition_detection is not None,
            "a chat server ends its own replies: where it takes the field, give --body "
            "'repetition_detection={...}', not --repetition-detection",
        ),
        (
            bool(settings.chat_template_arguments or settings.chat_template or settings.thinking),
            "a chat server renders its own template: leave out --chat-template, --chat-template-arg and "
            "--thinking-delimiters, or give fields of the request with --body",
        ),
        (
            any(key.lower() in _SECRET for key in settings.body),
            "--body would be stored with the key in it: export the key and name it with --api-key-env",
        ),
        (
            settings.max_cost is not None and None in prices,
            "--max-cost needs --price-in and --price-out, per million tokens",
        ),
    ]


_SECRET = ("api_key", "apikey", "authorization", "key", "token")
"""Fields of a body that hold a key."""


def _other_checks(settings: RunSettings) -> list[tuple[bool, str]]:
    """Flags that only a chat server has a use for."""
    given = (settings.body, settings.price_in, settings.price_out, settings.max_cost)
    return [
        (
            any(value not in (None, {}) for value in given),
            "--body, --price-in, --price-out and --max-cost belong to --engine chat",
        ),
        (
            settings.base_url is not None and settings.engine != "openai",
            f"--base-url is of no use to --engine {settings.engine}: give --engine openai or chat",
        ),
    ]


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
