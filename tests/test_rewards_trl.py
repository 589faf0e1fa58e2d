"""Rewards for TRL: what the trainer hands over is graded as a run is, and TRL's own trainers take them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.needs import missing
from transformers import AutoTokenizer

from reghar import demo, rewards
from reghar.demo.ladder import graded
from reghar.engines.scripted import ScriptedEngine
from reghar.errors import InputError
from reghar.generation.jobs import Job
from reghar.generation.response import Response
from reghar.grading import GraderPool, natural_segment
from reghar.prompting.scripted import ByteTokenizer, scripted_model
from reghar.prompting.thinking import find_delimiters
from reghar.prompting.tokenizer import PretrainedTokenizer
from reghar.rewards.trl import AnswerRule, completions, forced_reward, length_reward
from reghar.tasks import Problem

HOSTILE = json.loads((Path(__file__).parent / "cases" / "hostile.json").read_text(encoding="utf-8"))
INTEGER = AnswerRule(kind="integer")
QUESTION = [{"role": "user", "content": "6 x 7?"}]
RIGHT, WRONG = "<think>\n6</think>\n\n\\boxed{42}", "<think>\n6</think>\n\n\\boxed{41}"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(demo.path("terse"))


def call(
    reward: Any, tokenizer: Any, texts: Sequence[str], prompts: Sequence[Any] | None = None, **columns: Any
) -> list[float]:
    """As the trainer calls it: every text ends with the end-of-sequence token."""
    ids = [[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id] for text in texts]
    prompts = [QUESTION] * len(texts) if prompts is None else list(prompts)
    spoken = [
        text if isinstance(prompts[0], str) else [{"role": "assistant", "content": text}] for text in texts
    ]
    given = {"gold": ["42"] * len(texts), "trainer_state": None, **columns}
    result: list[float] = reward(prompts=prompts, completions=spoken, completion_ids=ids, **given)
    return result


@pytest.mark.parametrize("prompt", ["Question: 6 x 7?\n", QUESTION])
def test_strings_and_messages(prompt: Any, tokenizer: Any) -> None:
    reward = length_reward("plp", tokenizer, answers=INTEGER, alpha=4)
    assert reward.__name__ == "plp"
    values = call(reward, tokenizer, [RIGHT, WRONG], [prompt, prompt])
    length = len(tokenizer.encode(RIGHT, add_special_tokens=False))
    assert values == [pytest.approx(1 + 4 / length**0.5), 0]


def test_only_a_trailing_end_token_is_no_token(tokenizer: Any) -> None:
    reward = length_reward("token_budget", tokenizer, answers=INTEGER, limit=9)
    ids = tokenizer.encode("\\boxed{42}", add_special_tokens=False)
    given = {"prompts": [QUESTION] * 2, "completions": ["", ""], "gold": ["42"] * 2}
    padded = [*ids, *tokenizer.encode(" " * (9 - len(ids)), add_special_tokens=False)]
    assert len(padded) == 9
    full = [[*padded, tokenizer.eos_token_id], [*padded, padded[-1]]]
    assert reward(completion_ids=full, **given) == [1, 0]
    assert reward(completion_ids=[[tokenizer.eos_token_id], [0]], **given) == [0, 0]
    for ends in (padded[-1], [padded[-1]]):
        other = length_reward("token_budget", tokenizer, answers=INTEGER, eos_token_ids=ends, limit=9)
        assert other(completion_ids=full, **given) == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        "\\boxed{1} then <think>\\boxed{42}",
        "<think>\n\\boxed{42}",
        "<think>\n\\boxed{42}</think> nothing",
        "<think>a</think>\\boxed{42",
        "no box",
        "\\boxed{41} \\boxed{42}",
    ],
)
def test_the_graded_text_is_that_of_a_run(text: str, tokenizer: Any) -> None:
    reader = completions.CompletionReader(tokenizer)
    ids = tokenizer.encode(text, add_special_tokens=False)
    ours = PretrainedTokenizer(tokenizer)
    problem = Problem(task="t", id="1", question="", gold=("42",), choices=())
    response = Response(
        job=Job(problem=problem, sample=0, budgets=()),
        prompt_ids=[],
        ids=ids,
        seed=0,
        tokenizer=ours,
        delimiters=find_delimiters(ours),
        budget_counts="response",
    )
    own = response.own_answer(finished=True).text
    expected = natural_segment(own)
    (read,) = reader.read([QUESTION], [text], [[*ids, tokenizer.eos_token_id]])
    assert reader.segment(read, INTEGER) == expected


def test_thinking_that_the_prompt_opened_and_nothing_closed(tokenizer: Any) -> None:
    prompts = ["6 x 7?<think>\n"] * 2
    texts = ["It is \\boxed{42}", "</think>\\boxed{42}"]
    for unclosed, expected in (("grade", [1, 1]), ("no_answer", [0, 1])):
        rule = AnswerRule(kind="integer", unclosed=unclosed)
        assert (
            call(length_reward("plp", tokenizer, answers=rule, alpha=0), tokenizer, texts, prompts)
            == expected
        )
    reward = length_reward("plp", tokenizer, answers=INTEGER, alpha=0)
    cut = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    assert reward(prompts, texts, cut, gold=["42"] * 2) == [0, 1]


def test_whatever_is_not_correct_is_counted(tokenizer: Any) -> None:
    metrics: dict[str, float] = {}
    table: dict[str, list[Any]] = {}
    reward = length_reward("plp", tokenizer, answers=INTEGER, alpha=4)
    texts = [RIGHT, WRONG, "no box", "\\boxed{4"]
    call(reward, tokenizer, texts, log_metric=metrics.__setitem__, log_extra=table.__setitem__)
    assert metrics.pop("plp/correct") == metrics.pop("plp/incorrect") == 0.25
    assert metrics.pop("plp/no_answer") == metrics.pop("plp/unterminated") == 0.25
    assert set(metrics.values()) == {0}
    assert table["plp_outcome"] == ["correct", "incorrect", "no_answer", "unterminated"]
    assert table["plp_length"] == [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


def test_a_group_split_over_two_processes(tokenizer: Any) -> None:
    """Each sees its own rows alone; gathered, the rewards are those of the whole groups."""
    texts = [RIGHT + " " * spaces for spaces in (0, 10, 40, 5, 20, 7)] + [WRONG] * 2
    keys = [0, 0, 0, 1, 1, 1, 1, 0]
    halves = (slice(0, 5), slice(5, 8))
    barrier, shelves, found = threading.Barrier(2), [[], []], [[], []]

    def process(rank: int) -> None:
        def gather(rows: list[Any]) -> list[Any]:
            shelves[rank] = rows
            barrier.wait()
            return [*shelves[0], *shelves[1]]

        reward = length_reward("length_group_norm", tokenizer, answers=INTEGER, gather=gather, alpha=0.4)
        half = halves[rank]
        found[rank] = call(reward, tokenizer, texts[half], problem_id=keys[half])

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lengths = np.array([len(tokenizer.encode(text, add_special_tokens=False)) for text in texts])
    expected = np.zeros(8)
    for key in (0, 1):
        rows = [i for i in range(8) if keys[i] == key]
        expected[rows] = rewards.length_group_norm(lengths[rows], [i < 6 for i in rows], alpha=0.4)
    assert [*found[0], *found[1]] == pytest.approx(expected)


def test_a_group_of_one_is_refused(tokenizer: Any) -> None:
    reward = length_reward("length_group_norm", tokenizer, answers=INTEGER, alpha=0.4)
    with pytest.raises(InputError, match="num_generations"):
        call(reward, tokenizer, [RIGHT, RIGHT, RIGHT], problem_id=[1, 1, 2])


def test_the_reference_model_comes_as_columns(tokenizer: Any) -> None:
    reward = length_reward("length_harmonizing", tokenizer, answers=INTEGER, gamma=2)
    length = len(tokenizer.encode(RIGHT, add_special_tokens=False))
    other = [{"role": "user", "content": "7 x 6?"}]
    given = {"ref_length": [2 * length, 3 * length], "ref_accuracy": [0.5, 1.0]}
    assert call(reward, tokenizer, [RIGHT, RIGHT], [QUESTION, other], **given) == [2.0, 2.0]
    assert np.isfinite(call(reward, tokenizer, ["", ""], **given)).all()
    with pytest.raises(InputError, match="ref_length, ref_accuracy"):
        call(reward, tokenizer, [RIGHT])


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("plq", {}, "unknown reward 'plq'"),
        ("plp", {}, "plp needs alpha"),
        ("plp", {"alpha": 4, "beta": 1}, "plp takes no beta"),
        ("plp", {"alpha": -4}, "alpha is -4"),
        ("length_harmonizing", {}, "needs gamma"),
    ],
)
def test_bad_settings_are_refused_before_the_training(
    name: str, settings: dict[str, float], says: str, tokenizer: Any
) -> None:
    with pytest.raises(InputError, match=says):
        length_reward(name, tokenizer, **settings)


def test_bad_data_sets(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="'algebra'"):
        AnswerRule(kind="algebra")
    reward = length_reward("plp", tokenizer, answers=AnswerRule(column="solution"), alpha=4)
    with pytest.raises(InputError, match="no column 'solution'"):
        call(reward, tokenizer, [RIGHT])
    with pytest.raises(InputError, match="holds None"):
        call(reward, tokenizer, [RIGHT], solution=[None])
    with pytest.raises(InputError, match="1 prompts, 2 completions"):
        reward([QUESTION], ["", ""], [[1], [1]], solution=["1"])


@pytest.fixture
def quick_graders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with GraderPool(workers=2, time_limit_s=0.5) as pool:
        monkeypatch.setattr(completions, "shared_pool", lambda: pool)
        yield


@pytest.mark.usefixtures("quick_graders")
def test_hostile_completions_get_finite_rewards(tokenizer: Any) -> None:
    texts = [
        str(case["text"])
        if "text" in case
        else f"{case['before']}{case['unit'] * case['times']}{case['after']}"
        for case in HOSTILE
    ]
    texts = [text.encode("utf-8", "replace").decode() for text in texts]  # token ids spell no lone surrogate
    texts = [part for text in texts for part in (text[:20_000], f"\\boxed{{{text[:4_000]}}}")]
    values = call(length_reward("plp", tokenizer, alpha=4), tokenizer, [*texts, RIGHT])
    assert np.isfinite(values).all()
    assert values[-1] > 1


class Bytes:
    """The scripted engine's tokenizer behind the calls of a `transformers` one."""

    eos_token_id, bos_token_id, chat_template = 0, None, None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [] if add_special_tokens else ByteTokenizer().encode_text(text)

    def decode(self, ids: list[int], **_: Any) -> str:
        return ByteTokenizer().decode(ids)

    def get_vocab(self) -> dict[str, int]:
        return {"<think>": 1, "</think>": 2}


def test_reo_rl_asks_for_the_answer_at_every_budget() -> None:
    found = "<think>\nstep 1. found it: 42. step 2. step 3.</think>\n\nThe answer is \\boxed{42}."
    texts = [found, found.replace("found it: 42. ", "").replace("{42}", "{41}")]
    budgets, l_max = [12, 40], 200
    engine = ScriptedEngine()
    reward = forced_reward(
        "reo_rl", Bytes(), scripted_model(), engine, budgets=budgets, l_max=l_max, answers=INTEGER
    )
    values = call(reward, Bytes(), texts, ["assistant: "] * 2)
    # The word stands between the budgets; the response ends before l_max with its own answer.
    assert values[0] == rewards.reo_rl([[0, 1, 1]], budgets=budgets, l_max=l_max)[0]
    assert values[1] == 0
    assert len(engine.prompts) == 4
    sent = ByteTokenizer().decode(engine.prompts[-1])
    assert sent.startswith("assistant: <think>\n")
    assert sent.endswith("\\boxed{")


def test_q_spec_takes_its_budget_from_the_data_set() -> None:
    text = "<think>\nfound it: 42. step 2.</think>\n\nThe answer is \\boxed{42}."
    reward = forced_reward("q_spec", Bytes(), scripted_model(), ScriptedEngine(), l_max=200, answers=INTEGER)
    values = call(reward, Bytes(), [text, text], ["assistant: "] * 2, minimal_budget=[4, 30])
    assert values == [98, 185]
    with pytest.raises(InputError, match="minimal_budget"):
        call(reward, Bytes(), [text], ["assistant: "])


@pytest.mark.filterwarnings(
    # TRL names the versions of vLLM that it can drive; no vLLM is driven here.
    "ignore:TRL currently supports vLLM:UserWarning",
    "ignore::DeprecationWarning:torch",
)
@pytest.mark.parametrize("method", ["GRPO", "RLOO"])
def test_two_steps_of_a_trainer(method: str, tmp_path: Path, tokenizer: Any) -> None:
    try:
        import trl
    except ImportError:
        missing("needs trl")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM

    ladders = graded(seed=3, count=4)
    data = [
        {"prompt": [{"role": "user", "content": one.problem}], "gold": str(one.answer)} for one in ladders
    ]
    settings = getattr(trl, f"{method}Config")(
        output_dir=str(tmp_path),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=64,
        temperature=1.6,
        learning_rate=1e-3,
        max_steps=2,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        seed=1,
        **({"scale_rewards": "none"} if method == "GRPO" else {}),
    )
    model = AutoModelForCausalLM.from_pretrained(demo.path("terse"))
    before = model.model.norm.weight.detach().clone()
    reward = length_reward("plp", tokenizer, answers=INTEGER, alpha=4)
    given: list[float] = []

    def plp(**arguments: Any) -> list[float]:
        given.extend(reward(**arguments))
        return given[-len(arguments["prompts"]) :]

    trainer = getattr(trl, f"{method}Trainer")(
        model=model,
        processing_class=tokenizer,
        reward_funcs=plp,
        args=settings,
        train_dataset=Dataset.from_list(data),
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logged) == 2
    assert len(given) == 16
    assert np.isfinite(given).all()
    assert [entry["reward"] for entry in logged] == pytest.approx([np.mean(given[:8]), np.mean(given[8:])])
    right = np.mean([entry["plp/correct"] for entry in logged])
    assert right == np.mean(np.array(given) >= 1) > 0
    assert not np.array_equal(before.numpy(), model.model.norm.weight.detach().numpy())
