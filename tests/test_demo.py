r"""The embedded task and models: the ladder's gold, the tokenizer's losslessness, what the models know."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reghar import demo
from reghar.demo import ladder
from reghar.demo.ladder import LONGEST, SHORTEST, Ladder, task_ladders
from reghar.errors import InputError
from reghar.prompting.probes import PRESETS
from tools.train_demo import prompts, tokenizer
from tools.train_demo.evaluate import evaluate
from tools.train_demo.examples import Writer
from tools.train_demo.reasoning import REASONERS, last_step_token, value_reached

LADDERS = task_ladders()


@pytest.fixture(scope="module")
def words() -> Any:
    return tokenizer.build()


# --- the task


def gold_by_hand(problem: str) -> int:
    """The answer worked out from the question's text alone."""
    start = re.search(r"from (\d), counting modulo 10", problem)
    assert start
    operations = re.findall(r"\([a-x]\) ([+-])(\d)[,.]\n", problem)
    return sum((int(start[1]), *(int(sign + operand) for sign, operand in operations))) % 10


def test_gold_answers_follow_from_the_text() -> None:
    assert [int(row["answer"]) for row in ladder.rows()] == [
        gold_by_hand(str(row["problem"])) for row in ladder.rows()
    ]


def test_200_distinct_problems_graded_from_2_to_24_steps() -> None:
    rows = ladder.rows()
    assert len(rows) == len({row["problem"] for row in rows}) == len({row["id"] for row in rows}) == 200
    by_steps = Counter(row["steps"] for row in rows)
    assert set(by_steps) == set(range(SHORTEST, LONGEST + 1))
    assert max(by_steps.values()) - min(by_steps.values()) <= 1


def test_no_step_leaves_the_value_as_it_was() -> None:
    assert all(step.after(value) != value for item in LADDERS for step in item.steps for value in range(10))


def test_training_never_sees_a_test_problem() -> None:
    short = [item for item in LADDERS if len(item.steps) == SHORTEST]
    drawn = list(islice(ladder.unseen(0, frozenset(short)), 100_000))
    assert not set(drawn) & set(short)
    # Without the exclusion the same stream would hold some: the check above can fail.
    assert set(islice(ladder.unseen(0, frozenset()), 100_000)) & set(short)


# --- the tokenizer


@given(text=st.text(alphabet=[chr(code) for code in range(32, 127)] + ["\n"], max_size=80))
def test_ascii_survives_encoding_and_decoding(words: Any, text: str) -> None:
    assert words.decode(words.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *(text.replace("{close_thinking}", "</think>") for text in PRESETS.values()),
        *prompts.CONTROL,
        *prompts.WAITS,
        prompts.INSTRUCTION,
        LADDERS[-1].problem,
        "</think>\n\nThe answer is \\boxed{7}.",
    ],
)
def test_what_a_harness_writes_is_in_the_vocabulary(words: Any, text: str) -> None:
    ids = words.encode(text, add_special_tokens=False)
    assert words.unk_token_id not in ids
    assert words.decode(ids) == text


def test_a_digit_is_a_token_and_braces_stay(words: Any) -> None:
    ids = words.encode("\\boxed{7}")
    assert [words.decode([token]) for token in ids] == ["\\boxed{", "7", "}"]


def test_the_template_opens_the_turn_once_and_adds_nothing(words: Any) -> None:
    text = words.apply_chat_template(
        [{"role": "user", "content": "Q"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
    assert words.encode(text) == words.encode(text, add_special_tokens=False)


# --- the texts


@pytest.mark.parametrize("name", REASONERS)
@pytest.mark.parametrize("item", LADDERS[::37])
def test_pieces_are_whole_tokens_and_their_values_are_those_written(
    words: Any, name: str, item: Ladder
) -> None:
    pieces = REASONERS[name](item, Random(1))
    whole = words.encode("".join(piece.text for piece in pieces))
    assert whole == [token for piece in pieces for token in words.encode(piece.text)]
    written: list[str] = []
    for piece in pieces:
        written += [words.decode([token]) for token in words.encode(piece.text)]
        assert value_reached(written, item) == piece.value
    assert value_reached([], item) == item.start


def test_lengths_and_the_last_step(words: Any) -> None:
    for item in LADDERS:
        short, long = (
            [
                words.decode([t])
                for t in words.encode("".join(p.text for p in REASONERS[name](item, Random(0))))
            ]
            for name in ("terse", "verbose")
        )
        steps = len(item.steps)
        assert len(short) == 7 * steps + 12
        assert len(long) == 17 * steps + 12
        done = last_step_token(short, item)
        assert done == 7 * steps + 1
        assert short[done - 1] == str(item.answer)
        assert last_step_token(short[: done - 1], item) is None


# --- the models


def test_an_unknown_name_is_one_clear_line() -> None:
    with pytest.raises(
        InputError, match=r"no demo model 'tense'; there are demo:terse, demo:verbose, demo:wanderer"
    ):
        demo.path("tense")


@pytest.mark.parametrize("name", demo.MODELS)
def test_models_are_small_and_hold_the_tokenizer_that_the_code_builds(words: Any, name: str) -> None:
    from transformers import AutoTokenizer

    folder = demo.path(name)
    assert (folder / "model.safetensors").stat().st_size < 4_000_000
    stored = AutoTokenizer.from_pretrained(folder)
    assert stored.get_vocab() == words.get_vocab()
    assert stored.chat_template == words.chat_template
    assert stored.eos_token_id == words.eos_token_id
    text = f"{LADDERS[5].problem}{PRESETS['reo-rl']}"
    assert stored.encode(text) == words.encode(text)
    assert stored.decode(stored.encode(text)) == text


@pytest.mark.parametrize(
    ("name", "accuracy", "tokens"),
    [("terse", 0.9, (85, 120)), ("verbose", 0.9, (220, 270)), ("wanderer", 0.4, (90, 400))],
)
def test_models_reason_and_answer_with_the_value_they_have_reached(
    name: str, accuracy: float, tokens: tuple[float, float]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(demo.path(name))
    writer = Writer(name, AutoTokenizer.from_pretrained(demo.path(name)), 0)
    ladders = ladder.graded(91, 46, apart_from=frozenset(LADDERS))
    figures = evaluate(model, writer, ladders, 560)
    # The wanderer is right about six times in ten: it loses three answers and never ends on one.
    assert figures.accuracy >= accuracy
    assert (figures.accuracy < 0.8) == (name == "wanderer")
    assert tokens[0] <= figures.tokens <= tokens[1]
    assert figures.probe_reached >= 0.9
    # Chance is 1 in 10; about 20 cuts come before the last step.
    assert figures.probe_ahead <= 0.3
    assert (figures.finished == 1.0) == (name != "wanderer")
