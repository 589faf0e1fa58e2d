"""Boxes in text: where they open, where they close, and in linear time for any text."""

import time

import pytest

from reghar.boxed import Box, closing_brace, find_boxes, last_box, opens_box


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("42}", 2),
        ("42", None),
        ("}", 0),
        (r"\frac{1}{2}} and {more}", 11),
        (r"\{1\}}", 5),
        (r"1\\}", 3),
        ("{{}", None),
        ("\\", None),
        ("\n}", 1),
    ],
)
def test_closing_brace(text: str, end: int | None) -> None:
    assert closing_brace(text) == end


def test_closing_brace_starts_at_any_depth() -> None:
    assert closing_brace("a}b}c", depth=2) == 3
    assert closing_brace("}a}", start=1) == 2


def test_boxes_are_outermost_and_in_order() -> None:
    text = r"\boxed{1} and \fbox {\boxed{2}}, \boxed{3"
    assert list(find_boxes(text)) == [
        Box(0, "1", closed=True),
        Box(14, r"\boxed{2}", closed=True),
        Box(33, "3", closed=False),
    ]
    last = last_box(text)
    assert last is not None
    assert not last.closed


def test_text_without_a_box_has_none() -> None:
    assert last_box(r"\boxed 42, boxed{42}") is None


@pytest.mark.parametrize(
    ("text", "opened"),
    [(r"\[ \boxed{", True), (r"\boxed{x} ", False), ("Final Answer:", False), (r"\boxed{\frac{", True)],
)
def test_opens_box(text: str, opened: bool) -> None:
    assert opens_box(text) is opened


@pytest.mark.parametrize("unit", ["{", "}", "\\", r"\boxed{", r"\boxed{}", r"\boxed{1", " "])
def test_time_is_linear_in_the_text(unit: str) -> None:
    text = unit * (2**20 // len(unit))
    start = time.process_time()
    last_box(text)
    closing_brace(text)
    assert time.process_time() - start < 5.0
