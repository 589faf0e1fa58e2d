"""What is asked of a model so that it thinks more or less (definitions: Test-time control).

Each setting of a method is one evaluation in s1's set A (definitions: s1's measures). The plain
evaluation, without any request, belongs to every run: it is the setting whose name is empty, and budget
forcing (`force`) is read off its curve. The strings are interfaces of published models, quoted letter
for letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from reghar.errors import InputError
from reghar.protocol import PLAIN, Setting

Method = Literal["force", "wait", "tokens", "steps", "class", "effort", "template", "body"]
METHODS: tuple[Method, ...] = get_args(Method)

SETTING_PLACEHOLDER = "{setting}"

# s1 (arXiv 2501.19393): after the question and a blank line.
TOKENS = "Think for up to {setting} tokens."
STEPS = "Think for up to {setting} steps."
CLASSES = {
    "short": "Answer after a short amount of thinking. Do not spend excessive time double-checking "
    "your work.",
    "long": "Answer after a long amount of thinking. If you feel like you are finished early, spend the "
    "extra time trying to double-check your work until you are absolutely sure that you have the correct "
    "answer.",
}
STEP_TOKENS = 100
"""Tokens that a step is taken as (s1)."""
WAIT = "Wait"
"""s1's string in the place of an ignored end of thinking; it also tried none, `Hmm`, `Alternatively`."""
NO_STRING = "none"
"""What a user writes for the empty string."""

# CRE-SFT (wenge-research, 2025): appended to the system prompt.
EFFORT = (
    "The reasoning_effort score is a measure of how verbose chain-of-thought reasoning before answering "
    "should be. Your reasoning can include logical deductions, evaluating possible interpretations, "
    "considering edge cases, and weighing tradeoffs between different response strategies.\n\n"
    "Higher reasoning_effort scores indicate that more reasoning are expected, while lower reasoning_effort "
    "scores indicate that more concise reasoning are preferred. Overly verbose answers may be penalized when "
    "reasoning_effort is low, as will overly terse answers when reasoning_effort is high. \n\n"
    "Your reasoning_effort score is: {setting}."
)

METHOD_DEFAULTS: dict[Method, tuple[int, ...]] = {
    "tokens": (1024, 2048, 4096, 8192, 16384),
    "steps": (16, 32, 64, 128, 256),
    "effort": (0, 256, 512, 1024, 2048, 4096, 8192, 16384),
    "wait": (1, 2),
}
"""Settings where none are given; of those that ask for tokens, the ones up to the largest budget."""


def next_power_of_two(length: int) -> int:
    """The smallest power of two that is at least `length` tokens; 0 for 0 (how CRE-SFT labels a trace)."""
    if length < 0:
        raise InputError(f"a length is a number of tokens from 0 on, not {length}")
    return 1 << (length - 1).bit_length() if length else 0


def make_settings(
    method: str,
    given: Sequence[str],
    *,
    budgets: Sequence[int],
    wait_strings: Sequence[str] = (),
    user: str | None = None,
    system: str | None = None,
) -> tuple[Setting, ...]:
    """The settings beside the plain evaluation, from what a user gave; none for `force`.

    `budgets` of the run, in tokens: the settings of `force` must be among them, and default settings
    end with the largest. Raises InputError for anything that the method does not take.
    """
    if method not in METHODS:
        raise InputError(f"unknown control method {method!r}; known: {', '.join(METHODS)}")
    if wait_strings and method != "wait":
        raise InputError(f"--wait-string belongs to --control wait, not to {method}")
    if user is not None and method != "template":
        raise InputError(f"--control-user belongs to --control template, not to {method}")
    if system is not None and method not in ("effort", "template"):
        raise InputError(f"--control-system belongs to --control effort or template, not to {method}")
    if len(set(given)) < len(given):
        raise InputError(f"--settings names a setting twice: {','.join(given)}")
    if method == "force":
        _force_settings(given, budgets)
        return ()
    if method == "wait":
        return _wait_settings(_numbers("wait", given, budgets), wait_strings or (WAIT,))
    if method == "class":
        return _class_settings(given or tuple(CLASSES))
    if method == "template":
        return _template_settings(given, user, system)
    if method == "body":
        return tuple(_body_setting(entry) for entry in given)
    if method == "tokens":
        numbers = _numbers("tokens", given, budgets)
        return tuple(_numbered(method, n, maximum=n, user=TOKENS) for n in numbers)
    if method == "steps":
        numbers = _numbers("steps", given, budgets)
        return tuple(
            _numbered(method, n, maximum=STEP_TOKENS * n, user=STEPS, countdown=True) for n in numbers
        )
    text = _with_placeholder(EFFORT if system is None else system, "--control-system")
    return tuple(_numbered(method, n, maximum=n, system=text) for n in _efforts(given, budgets))


def _numbered(method: str, number: int, **fields: Any) -> Setting:
    """A setting whose text has its number filled in."""
    filled: dict[str, Any] = {
        key: value.replace(SETTING_PLACEHOLDER, str(number)) if isinstance(value, str) else value
        for key, value in fields.items()
    }
    return Setting(name=str(number), method=method, **filled)


def _force_settings(given: Sequence[str], budgets: Sequence[int]) -> None:
    for entry in given:
        if _number(entry) not in budgets:
            raise InputError(f"setting {entry!r} of force is no budget of the run; add it to --budgets")


def _wait_settings(counts: Sequence[int], strings: Sequence[str]) -> tuple[Setting, ...]:
    """Per string, ignoring the end 1 to n times; every trace continues that of one time less.

    Ignoring it 0 times is the plain evaluation, which belongs to A of every string.
    """
    settings: dict[str, Setting] = {}
    for string in strings:
        text = "" if string == NO_STRING else string
        shown = text or NO_STRING
        before = PLAIN.name
        for count in range(1, max(counts) + 1):
            name = f"{shown} x{count}"
            if name in settings:
                raise InputError(f"--wait-string names {shown!r} twice; give each string once")
            settings[name] = Setting(
                name=name,
                method=f"wait: {shown}",
                after=before,
                appended=text,
                counted=count in counts,
            )
            before = name
    return tuple(settings.values())


def _class_settings(given: Sequence[str]) -> tuple[Setting, ...]:
    for name in given:
        if name not in CLASSES:
            raise InputError(f"--control class knows the settings {', '.join(CLASSES)}, not {name!r}")
    return tuple(Setting(name=name, method="class", user=CLASSES[name]) for name in given)


_BOUNDED = re.compile(r"(?P<name>[^=]+)=(?P<low>[0-9]{0,9})-(?P<high>[0-9]{0,9})")


def _template_settings(given: Sequence[str], user: str | None, system: str | None) -> tuple[Setting, ...]:
    """A user's own method: `{setting}` in the text; `low=0-512` adds bounds of thinking tokens."""
    if user is None and system is None:
        raise InputError("--control template needs --control-user or --control-system with {setting} in it")
    if not given:
        raise InputError("--control template needs --settings, such as --settings low,medium,high")
    if SETTING_PLACEHOLDER not in (user or "") + (system or ""):
        raise InputError(f"the text of --control template has no {SETTING_PLACEHOLDER} in it: put it there")
    settings = []
    for entry in given:
        match = _BOUNDED.fullmatch(entry)
        name = match["name"].strip() if match else entry
        low, high = (match["low"], match["high"]) if match else ("", "")
        if low and high and int(low) > int(high):
            raise InputError(f"setting {entry!r} asks for at least {low} and at most {high} tokens")
        settings.append(
            Setting(
                name=name,
                method="template",
                minimum=int(low) if low else None,
                maximum=int(high) if high else None,
                user=None if user is None else user.replace(SETTING_PLACEHOLDER, name),
                system=None if system is None else system.replace(SETTING_PLACEHOLDER, name),
            )
        )
    if len({setting.name for setting in settings}) < len(settings):
        raise InputError(f"--settings names a setting twice: {','.join(given)}")
    return tuple(settings)


def _body_setting(entry: str) -> Setting:
    """`reasoning_effort=low`, `thinking.budget_tokens=2048`: fields of the body, joined with `+`, a dot
    for each level. A field whose name ends in `_tokens` bounds the thinking tokens."""
    body: dict[str, Any] = {}
    maximum = None
    for field in entry.split("+"):
        path, equals, text = field.partition("=")
        *above, last = path.strip().split(".")
        if not equals or not last or not all(above) or not text:
            raise InputError(f"--control body takes settings like reasoning_effort=low, not {entry!r}")
        place = body
        for name in above:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError(f"setting {entry!r} gives {name!r} twice: as a value and as an object")
        place[last] = json_value(text)
        if last.endswith("_tokens") and type(place[last]) is int:
            maximum = place[last]
    return Setting(name=entry, method="body", maximum=maximum, body=json.dumps(body))


def json_value(text: str) -> Any:
    """`true`, `12`, `null` as JSON reads them; all else is text."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)  # `NaN` and 1e999 are no JSON, whatever Python reads
    except ValueError:
        return text
    return value


def _numbers(method: Method, given: Sequence[str], budgets: Sequence[int]) -> tuple[int, ...]:
    if not given:
        unit = {"steps": STEP_TOKENS, "wait": 0}.get(method, 1)
        fitting = tuple(n for n in METHOD_DEFAULTS[method] if n * unit <= budgets[-1])
        if not fitting:
            raise InputError(
                f"the largest budget, {budgets[-1]}, is below every default setting of {method}; "
                "give --settings"
            )
        return fitting
    numbers = []
    for entry in given:
        number = _number(entry)
        if number is None or (number < 1 and method in ("tokens", "steps")):
            raise InputError(f"setting {entry!r} of {method} is not a whole number above 0")
        numbers.append(number)
    if method == "wait" and max(numbers) < 1:
        raise InputError("--control wait needs a setting of at least 1; without one give --control force")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"--settings names a setting twice: {','.join(given)}")
    return tuple(sorted(numbers))


def _efforts(given: Sequence[str], budgets: Sequence[int]) -> tuple[int, ...]:
    numbers = _numbers("effort", given, budgets)
    for number in numbers:
        if next_power_of_two(number) != number:
            raise InputError(
                f"reasoning_effort {number} is no power of two; the next one is {next_power_of_two(number)}"
            )
    return numbers


def _number(entry: str) -> int | None:
    return int(entry) if re.fullmatch(r"[0-9]{1,9}", entry) else None


def _with_placeholder(text: str, flag: str) -> str:
    if SETTING_PLACEHOLDER not in text:
        raise InputError(f"{flag} has no {SETTING_PLACEHOLDER} in it: put it where the setting belongs")
    return text
