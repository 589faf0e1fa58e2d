"""Examples before every question: where they come from, how they are shown, what the protocol says."""

import json
import re
from pathlib import Path

import pytest
from test_schedule import TOKENIZER

from reghar import demo
from reghar.cli import main
from reghar.errors import InputError
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.tokenizer import PretrainedTokenizer
from reghar.run.checks import check_settings
from reghar.run.planning import make_plan
from reghar.run.settings import RunSettings
from reghar.store import load_run
from reghar.tasks import load_task
from reghar.tasks.few_shot import examples_digest, load_examples

SHOWN = {"t": (("1 + 1?", "It is \\boxed{2}."), ("2 + 2?", "It is \\boxed{4}."))}


def test_they_are_turns_of_a_chat_and_only_their_tasks() -> None:
    prompt = PromptFormat(tokenizer=TOKENIZER, system="Be brief.", suffix="Think.", examples=SHOWN)
    assert prompt.render("6 x 7?", "t") == (
        "system: Be brief.\nuser: 1 + 1?\nassistant: It is \\boxed{2}.\nuser: 2 + 2?\n"
        "assistant: It is \\boxed{4}.\nuser: 6 x 7?\n\nThink.\nassistant: "
    )
    bare = "system: Be brief.\nuser: 6 x 7?\n\nThink.\nassistant: "
    assert prompt.render("6 x 7?", "another") == prompt.render("6 x 7?") == bare
    assert prompt.encode("6 x 7?", "t") == TOKENIZER.encode_text(prompt.render("6 x 7?", "t"))


def test_without_a_template_they_are_plain_text() -> None:
    from transformers import AutoTokenizer

    pretrained = AutoTokenizer.from_pretrained(str(demo.path("terse")))
    pretrained.chat_template = None
    prompt = PromptFormat(tokenizer=PretrainedTokenizer(pretrained), examples=SHOWN)
    text = "1 + 1?\n\nIt is \\boxed{2}.\n\n2 + 2?\n\nIt is \\boxed{4}.\n\n6 x 7?\n\n"
    assert prompt.render("6 x 7?", "t").endswith(text)


def test_gsm8k_has_its_eight_with_the_answer_in_the_box() -> None:
    task = load_task("gsm8k")
    examples = load_examples(task, 8)
    assert [re.findall(r"\\boxed\{(\d+)\}", answer) for _, answer in examples] == [
        [number] for number in ("6", "5", "39", "8", "9", "29", "33", "8")
    ]
    assert all(question.endswith("put your final answer within \\boxed{}.") for question, _ in examples)
    assert load_examples(task, 2) == examples[:2]
    assert load_examples(task, 0) == ()
    with pytest.raises(InputError, match="gsm8k has 8 few-shot examples, not 9: lower --few-shot"):
        load_examples(task, 9)
    with pytest.raises(InputError, match="aime24 has no few-shot examples"):
        load_examples(load_task("aime24"), 1)


OWN = """
task: own
test_split: test
doc_to_text: "Q: {{problem}}"
dataset_path: json
dataset_kwargs: {data_files: {test: test.jsonl, train: train.jsonl}}
metadata: {answer: {kind: integer}, fields: {problem: question}}
"""


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ("samples: [{question: 1?, answer: 2}]", ("Q: 1?", "2")),
        ('samples: [{problem: 1?, why: "so: 2"}]\n  doc_to_target: "{{why}}"', ("Q: 1?", "so: 2")),
        ("samples: !function mine.some", ("Q: made?", "3")),
        ("split: train", ("Q: train?", "5")),
        ('split: train\n  doc_to_text: "{{question}} (an example)"', ("train? (an example)", "5")),
    ],
)
def test_a_tasks_own_are_read_in_lm_evals_form(config: str, shown: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"{OWN}fewshot_config:\n  {config}\n")
    (tmp_path / "mine.py").write_text("def some():\n    return [{'question': 'made?', 'answer': 3}]\n")
    (tmp_path / "train.jsonl").write_text('{"question": "train?", "answer": 5}\n')
    (tmp_path / "test.jsonl").write_text('{"question": "test?", "answer": 7}\n')
    assert load_examples(load_task("own", [str(tmp_path)]), 1) == (shown,)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("fewshot_config: 3", "fewshot_config is '3': give a mapping"),
        ("fewshot_config: {samples: 3}", "fewshot_config.samples"),
        ("fewshot_config: {samples: [{answer: 2}]}", "few-shot example 1 has no 'problem'"),
        ("fewshot_config: {samples: [{problem: 1?}]}", "few-shot example 1 has no 'answer'"),
    ],
)
def test_what_is_none_is_said_in_one_line(config: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"{OWN}{config}\n")
    with pytest.raises(InputError, match=re.escape(why)) as error:
        load_examples(load_task("own", [str(tmp_path)]), 1)
    assert "\n" not in str(error.value)


def test_a_run_shows_them_and_its_protocol_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gsm8k.jsonl").write_text('{"id": "a", "problem": "6 x 7?", "answer": "42"}\n')
    settings = RunSettings(
        model="scripted", engine="scripted", tasks=("gsm8k",), data_dir=str(tmp_path), few_shot=2,
        budgets="0,64", max_tokens=200, frontier="none", samples="1",
    )  # fmt: skip
    plan, bare = make_plan(settings), make_plan(RunSettings(**{**vars(settings), "few_shot": 0}))
    examples = load_examples(load_task("gsm8k"), 2)
    shown = sum(len(f"user: {question}\nassistant: {answer}\n".encode()) for question, answer in examples)
    assert plan.longest_prompt == bare.longest_prompt + shown, "the context has to hold them"
    told = plan.protocol.tasks["gsm8k"]
    assert (told.few_shot, told.few_shot_sha256) == (2, examples_digest(examples))
    assert "few_shot" not in json.dumps(bare.protocol.as_dict()), "runs without any have the digest of before"

    command = ["run", "--engine", "scripted", "--tasks", "gsm8k", "--data-dir", str(tmp_path)]
    command += ["--budgets", "0,64", "--max-tokens", "200", "--samples", "1", "--frontier", "none"]
    command += ["--out", str(tmp_path / "run")]
    assert main([*command, "--few-shot", "2"]) == 0
    run = load_run(tmp_path / "run")
    assert set(run.traces["prompt_tokens"]) == {plan.longest_prompt}
    assert main([*command, "--few-shot", "2", "--resume"]) == 0
    capsys.readouterr()
    assert main([*command, "--few-shot", "3", "--resume"]) == 2
    assert "few_shot: 2 != 3" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "other"), "--few-shot", "9"]) == 2
    assert "has 8 few-shot examples, not 9" in capsys.readouterr().err


def test_chat_servers_have_no_place_for_them() -> None:
    settings = RunSettings(model="m", tasks=("t",), engine="chat", base_url="http://h", few_shot=1)
    with pytest.raises(InputError, match="--few-shot is not for --engine chat"):
        check_settings(settings)
