from pathlib import Path

import pytest

from reghar.errors import InputError
from reghar.prompting.probes import PRESETS, make_probe
from reghar.prompting.scripted import ByteTokenizer
from reghar.prompting.thinking import find_delimiters

THINK = find_delimiters(ByteTokenizer())


def test_default_is_the_papers_text_letter_for_letter(published: Path) -> None:
    quoted = (published / "interface_strings.md").read_text()
    flat = " ".join(make_probe(None, None, None).text.split())
    assert f"`{flat}`" in quoted
    assert make_probe(None, None, None).text == PRESETS["reo-rl"]
    assert PRESETS["reo-rl"].startswith("\n\nOh, ")
    assert "**:\n\n\\[ \\boxed{" in PRESETS["reo-rl"]


def test_thinking_is_closed_once_and_only_where_open() -> None:
    probe = make_probe("s1", None, None)
    assert probe.render(THINK, thinking_open=True) == "</think>\n\nFinal Answer: \\boxed{"
    assert probe.render(THINK, thinking_open=False) == "\n\nFinal Answer: \\boxed{"
    assert probe.render(None, thinking_open=False) == "\n\nFinal Answer: \\boxed{"


def test_an_answer_ends_with_the_brace_that_closes_the_box() -> None:
    end = make_probe("s1", None, None).answer_end
    assert end("42} \\]", last=False) == 3
    assert end("\\frac{1}{2}} and {more}", last=False) == 12
    assert end("\\{1, 2\\}} x", last=False) == 9
    assert end("never {closed}", last=True) is None


def test_a_program_ends_with_the_line_that_closes_the_block() -> None:
    end = make_probe("code", None, None).answer_end
    assert end("x = 1\n```\nmore", last=False) == len("x = 1\n```")
    assert end("x = 1\n```", last=False) is None, "it may go on as ```python"
    assert end("x = 1\n```", last=True) == len("x = 1\n```")
    assert end("s = '``` '\n  ````  \r\n", last=False) == len("s = '``` '\n  ````  \r")
    assert end("s = 1\n```python\n~~~\n", last=True) is None


@pytest.mark.parametrize(
    ("name", "boxed", "tokens"), [("reo-rl", True, 64), ("summary", False, 1024), ("code", False, 2048)]
)
def test_answer_room(name: str, boxed: bool, tokens: int) -> None:
    probe = make_probe(name, None, None)
    assert (probe.opens_box, probe.max_answer_tokens) == (boxed, tokens)
    assert make_probe(name, None, 7).max_answer_tokens == 7


def test_own_text() -> None:
    probe = make_probe(None, "So {close_thinking} it is \\boxed{", None)
    assert probe.name == "custom"
    assert probe.render(THINK, thinking_open=True) == "So </think> it is \\boxed{"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope", None, None), "unknown probe preset 'nope'; known: reo-rl, final-answer, s1, summary"),
        (("s1", "text", None), "exclude each other"),
        ((None, "", None), "empty"),
        ((None, None, 0), "at least 1, not 0"),
    ],
)
def test_bad_input(arguments: tuple[str | None, str | None, int | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_probe(*arguments)
