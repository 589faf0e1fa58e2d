"""Multiple choice: the letter that an answer names, or the option whose text it is."""

from __future__ import annotations

import re

from reghar.grading.text import clean, without_preamble
from reghar.grading.words import plain_word

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
    named = [letter for letter, choice in zip(LETTERS, choices, strict=False) if _same(answer, choice)]
    if len(named) == 1:
        return named[0]
    match = _LETTER.fullmatch(text)
    if match is None:
        return None
    letter, rest = match[1].upper(), match[2].strip(" :.-)")
    if choices and letter not in LETTERS[: len(choices)]:
        return None
    if not rest:
        return letter
    if not choices:
        return None if _OTHER_LETTER.search(rest) else letter
    texts = [other for other, choice in zip(LETTERS, choices, strict=False) if _same(rest, choice)]
    if texts:
        return letter if letter in texts else None
    return None if _OTHER_LETTER.search(rest) else letter


_OTHER_LETTER = re.compile(r"(?:^|[\s,(/])(?:or|and|[A-J])(?:[\s,.)/]|$)")


def _same(text: str, choice: str) -> bool:
    """Equal but for case, spaces and punctuation."""
    left, right = plain_word(clean(text)), plain_word(clean(choice))
    return bool(left) and left == right and clean(text).count("-") == clean(choice).count("-")
