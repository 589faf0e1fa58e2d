"""Answers as texts: the same spelling, the same words."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def spelling(text: str) -> str:
    """The text without what never matters: spaces, braces around one character, multiplication dots."""
    text = re.sub(r"\\frac\s?(\d)\s?(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"([_^])\s?\{\s?(\w)\s?\}", r"\1\2", text)
    text = re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])", "\\1\x00", text)
    text = re.sub(r"(?<=\d)(,?)\s+(?=\d)", "\\1\x00", text)
    return re.sub(r"\s", "", text).replace("\x00", " ").rstrip(".")


def words(text: str) -> str | None:
    r"""The words of `\text{east}` or `Navin` in lower case; None where the text is not words alone."""
    plain = re.sub(r"\\text\s?\{([^{}]*)\}", r" \1 ", text)
    if not re.fullmatch(r"[a-zA-Z\s'().,-]+", plain):
        return None
    if "\\text" not in text and not re.search(r"[a-zA-Z]{3}", plain):
        return None
    return plain_word(text)


def plain_word(text: str) -> str:
    """Letters and digits in lower case, without an article."""
    plain = re.sub(r"\\text\s?\{([^{}]*)\}", r" \1 ", text).lower()
    found = re.findall(r"[a-z0-9]+", plain)
    return " ".join(found[1:] if found[:1] in (["the"], ["a"], ["an"]) and len(found) > 1 else found)
