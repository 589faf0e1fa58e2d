"""Multiple choice: the letter that an answer names, or the option whose text it is."""

from __future__ import annotations

import re

from reghar.grading.singles import spelling
from reghar.grading.text import clean, without_preamble

LETTERS = "ABCDEFGHIJ"

_LETTER = re.compile(
    r"(?:(?:option|choice|answer)\s?:?\s?)?[(\[]?\s?([A-Ja-j])\s?(?:[)\].:]|$)\s?(.*)",
    re.DOTALL | re.IGNORECASE,
)


def read_choice(answer: str, choices: tuple[str, ...]) -> str | None:
    """The letter that an answer stands for; None where it names none, or more than one.

    A letter alone, in brackets or with a dot (`C`, `(C)`, `\\textbf{(C)}`, `option C`), may be followed
    by its option's text. Without a letter, the text must be that of exactly one option. Where letter and
    text name different options, it is none.
    """
    text = re.sub(r"\\text\s?\{([^{}]*)\}", r" \1 ", without_preamble(clean(answer))).strip(" {}*")
    match = _LETTER.fullmatch(text)
    if match is None or (match[2] and _named(answer, choices)):
        return _named(answer, choices)
    letter, rest = match[1].upper(), match[2].strip(" :.-)")
    if choices and letter not in LETTERS[: len(choices)]:
        return None
    if not rest:
        return letter
    named = _named(rest, choices)
    if named is not None:
        return letter if named == letter else None
    return None if _OTHER_LETTER.search(rest) else letter


_OTHER_LETTER = re.compile(r"(?:^|[\s,(/])(?:or|and|[A-J])(?:[\s,.)/]|$)")


def _named(text: str, choices: tuple[str, ...]) -> str | None:
    """The only option with this text: to the letter, or else but for case, spaces, articles and stops."""
    for key in (_exactly, _loosely):
        wanted = key(text)
        named = [letter for letter, choice in zip(LETTERS, choices, strict=False) if key(choice) == wanted]
        if wanted and named:
            return named[0] if len(named) == 1 else None
    return None


def _exactly(text: str) -> str:
    return spelling(clean(text))


def _loosely(text: str) -> str:
    return re.sub(
        r"\b(?:the|an?)\b|[\s.,;:?!*]", "", re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", clean(text)).lower()
    )
