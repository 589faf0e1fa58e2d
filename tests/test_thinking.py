import sys
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from reghar.errors import InputError
from reghar.prompting.reasoning_parsers import parser_delimiters
from reghar.prompting.scripted import ByteTokenizer
from reghar.prompting.thinking import (
    FAMILIES,
    Block,
    BlockFinder,
    find_block,
    find_delimiters,
    find_sequence,
    opened_by_prompt,
)

TOKENIZER = ByteTokenizer()
THINK = find_delimiters(TOKENIZER)


def ids(text: str) -> list[int]:
    return TOKENIZER.encode_text(text)


def test_find_sequence_skips_false_starts() -> None:
    assert find_sequence([1, 1, 2, 1, 2, 3], [1, 2, 3]) == 3
    assert find_sequence([1, 2], [1, 2, 3]) is None
    assert find_sequence([1, 2, 1, 2], [1, 2], 1) == 2
    assert find_sequence([1, 2], []) is None


def test_block_of_a_finished_response() -> None:
    block = find_block(ids("<think>ab</think>c"), THINK, opened=False)
    assert block == Block(1, 3, 4)
    assert not block.is_open


def test_block_that_the_prompt_opened() -> None:
    assert find_block(ids("ab</think>c"), THINK, opened=True) == Block(0, 2, 3)


def test_open_block_and_no_block() -> None:
    assert find_block(ids("<think>ab"), THINK, opened=False) == Block(1, None, 3)
    assert find_block(ids("ab"), THINK, opened=False) == Block(None, None, 0)
    assert find_block(ids("ab"), None, opened=True) == Block(None, None, 0)


def test_a_delimiter_quoted_in_an_answer_opens_nothing() -> None:
    response = ids("the answer mentions the tag " + "<think> again")
    assert find_block(response, THINK, opened=False).start is None


def test_is_open_at_each_cut() -> None:
    block = find_block(ids("<think>ab</think>c"), THINK, opened=False)
    assert [block.is_open_at(cut) for cut in range(6)] == [False, True, True, True, False, False]


def test_growing_response_gives_the_same_block_as_the_whole() -> None:
    given = find_delimiters(TOKENIZER, ("[[", "]]"))
    response = ids("[[ab]c]d]]e")
    finder = BlockFinder(given, opened=False)
    for length in range(len(response) + 1):
        grown = finder.find(response[:length])
        assert grown == find_block(response[:length], given, opened=False)
    assert grown == Block(2, 8, 10)


def test_opened_by_prompt() -> None:
    assert opened_by_prompt(ids("user: x assistant: <think>\n"), THINK)
    assert not opened_by_prompt(ids("user: x assistant: <think>\n\n</think>\n"), THINK)
    assert not opened_by_prompt(ids("user: x"), THINK)
    assert not opened_by_prompt(ids("<think>"), None)


def test_families_are_found_in_order_and_can_be_given() -> None:
    assert THINK is not None
    assert (THINK.open, THINK.close) == ("<think>", "</think>")
    given = find_delimiters(TOKENIZER, ("<a>", "</a>"))
    assert given is not None
    assert given.close_ids == tuple(ids("</a>"))


class Pieces:
    """A vocabulary without the delimiters: `</think>` alone is other tokens than before a blank line."""

    PIECES = (">\n\n", ">\n", "</", "think", "<", ">", "\n", *"abcdefghijklmnopqrstuvwxyz .:[]|/")

    def encode_text(self, text: str) -> list[int]:
        found: list[int] = []
        while text:
            piece = next(p for p in self.PIECES if text.startswith(p))
            found.append(self.PIECES.index(piece))
            text = text[len(piece) :]
        return found

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.PIECES[i] for i in ids)

    def is_known(self, text: str) -> bool:
        return text in ("<think>", "</think>")


def test_a_delimiter_of_several_tokens_is_found_by_its_text() -> None:
    pieces = Pieces()
    delimiters = find_delimiters(pieces)
    assert delimiters is not None
    response = pieces.encode_text("<think>\nab</think>\n\nthe end")
    assert find_sequence(response, delimiters.close_ids) is None, "alone it is other tokens"
    block = find_block(response, delimiters, opened=False)
    assert pieces.decode(response[: block.start]) == "<think>\n"
    assert pieces.decode(response[block.start : block.end]) == "ab"
    assert pieces.decode(response[block.end : block.after]) == "</think>\n\n"
    finder = BlockFinder(delimiters, opened=False)
    for length in range(len(response) + 1):
        assert finder.find(response[:length]) == find_block(response[:length], delimiters, opened=False)


def test_a_prompt_that_opens_a_block_of_several_tokens() -> None:
    pieces = Pieces()
    delimiters = find_delimiters(pieces)
    assert opened_by_prompt(pieces.encode_text("user: x assistant: <think>\n"), delimiters)
    assert not opened_by_prompt(pieces.encode_text("user: x <think>\n</think>\n\n"), delimiters)
    block = find_block(pieces.encode_text("ab</think>\n\nthe end"), delimiters, opened=True)
    assert (block.start, block.end) == (0, 2)


@pytest.mark.parametrize(("opening", "closing"), FAMILIES)
def test_every_family_is_found_in_its_template_and_in_a_response(opening: str, closing: str) -> None:
    """Each template in its documented form: an earlier turn's thinking between the delimiters."""

    class Family(ByteTokenizer):
        def is_known(self, text: str) -> bool:
            return text in f"{{{{ '{opening}' + message.thinking + '{closing}' + message.content }}}}"

    family = Family()
    delimiters = find_delimiters(family)
    assert delimiters is not None
    assert (delimiters.open, delimiters.close) == (opening, closing)
    response = family.encode_text(f"{opening}\nso 6 x 7{closing}\n\nIt is 42.")
    block = find_block(response, delimiters, opened=False)
    assert family.decode(response[block.start : block.end]) == "\nso 6 x 7"
    assert family.decode(response[block.after :]) == "\n\nIt is 42."


def test_reasoning_parsers_by_the_servers_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parser_delimiters("mistral", None) == ("[THINK]", "[/THINK]")
    assert parser_delimiters("openai_gptoss", None)[0] == "<|channel|>analysis<|message|>"

    parsers = {
        "new": lambda _: SimpleNamespace(reasoning_start_str="<a>", reasoning_end_str="</a>"),
        "silent": lambda _: SimpleNamespace(reasoning_start_str=None, reasoning_end_str=None),
    }
    manager = SimpleNamespace(get_reasoning_parser=parsers.__getitem__)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "vllm.reasoning", SimpleNamespace(ReasoningParserManager=manager))
    assert parser_delimiters("new", None) == ("<a>", "</a>"), "asked of vLLM"
    with pytest.raises(InputError, match="states no delimiters"):
        parser_delimiters("silent", None)
    with pytest.raises(InputError, match="--reasoning-parser 'nobody'"):
        parser_delimiters("nobody", None)
