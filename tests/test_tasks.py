"""Tasks: reading YAML files, finding tasks by name."""

from pathlib import Path

import pytest

from reghar.errors import InputError
from reghar.paths import data_dir
from reghar.tasks import AnswerFormat, list_tasks, load_task
from reghar.tasks.task import PREFIX

NAMES = {"aime24", "aime25", "amc23", "math500", "minerva_math", "gpqa_diamond", "gsm8k", "olympiadbench"}

HUB = {  # name: (data set, configuration, split)
    "aime24": ("Maxwell-Jia/AIME_2024", None, "train"),
    "aime25": ("math-ai/aime25", None, "test"),
    "amc23": ("math-ai/amc23", None, "test"),
    "math500": ("HuggingFaceH4/MATH-500", None, "test"),
    "minerva_math": ("math-ai/minervamath", None, "test"),
    "gpqa_diamond": ("Idavidrein/gpqa", "gpqa_diamond", "train"),
    "gsm8k": ("openai/gsm8k", "main", "test"),
    "olympiadbench": ("Hothan/OlympiadBench", "OE_TO_maths_en_COMP", "train"),
}


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_eight_tasks_are_there() -> None:
    assert {task.name for task in list_tasks()} >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_task_says_where_its_data_is(name: str) -> None:
    dataset = load_task(name).dataset
    assert (dataset.path, dataset.name, dataset.split) == HUB[name]
    assert dataset.revision is None or len(dataset.revision) == 40


def test_kinds_of_answers() -> None:
    kinds = {name: load_task(name).answer.kind for name in NAMES}
    assert {name for name in NAMES if kinds[name] == "integer"} == {"aime24", "aime25", "amc23", "gsm8k"}
    assert {name for name in NAMES if kinds[name] == "choice"} == {"gpqa_diamond"}


def test_instruction_of_the_mathematics_tasks_is_letter_for_letter() -> None:
    instruction = r"Please reason step by step, and put your final answer within \boxed{}."
    for name in NAMES - {"gpqa_diamond"}:
        assert load_task(name).prompt == "{{problem}}\n\n" + instruction


def test_name_with_and_without_prefix() -> None:
    assert load_task("aime24") == load_task(PREFIX + "aime24")


@pytest.mark.parametrize(
    ("name", "nearest"), [("aime23", "aime2"), ("gsm8", "gsm8k"), ("reghar_math50", "math500")]
)
def test_unknown_task_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputError, match=nearest) as error:
        load_task(name)
    assert "\n" not in str(error.value)


def test_unknown_task_unlike_any_lists_all() -> None:
    with pytest.raises(InputError, match=r"there are .*aime24.*olympiadbench"):
        load_task("zzzzzzzz")


def test_a_users_task_needs_no_metadata(tmp_path: Path) -> None:
    write(tmp_path, 'task: mine\ndoc_to_text: "{{problem}}"\ndoc_to_target: "{{answer}}"\n')
    task = load_task("mine", [tmp_path])
    assert task.answer == AnswerFormat(kind="math")
    assert task.version == "1"
    assert "mine" in {found.name for found in list_tasks([tmp_path])}


def test_a_users_task_goes_before_ours(tmp_path: Path) -> None:
    path = write(tmp_path, "task: reghar_aime24\nmetadata: {version: 7}\n")
    task = load_task("aime24", [str(tmp_path)])
    assert (task.version, task.path) == ("7", path)


def test_include_path_may_be_nested_a_file_or_several(tmp_path: Path) -> None:
    (tmp_path / "one" / "deep").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    write(tmp_path / "one" / "deep", "task: first\n")
    file = write(tmp_path / "two", "task: second\n")
    assert load_task("first", [f"{tmp_path / 'one'}:{file}"]).name == "first"
    assert load_task("second", [tmp_path / "one", file]).name == "second"


def test_groups_and_templates_are_no_tasks(tmp_path: Path) -> None:
    write(tmp_path, "group: many\ntask: [one, two]\n", "group.yaml")
    write(tmp_path, "output_type: generate_until\n", "template.yaml")
    assert {task.name for task in list_tasks([tmp_path])} == {task.name for task in list_tasks()}


def test_tasks_that_generate_nothing_are_not_listed(tmp_path: Path) -> None:
    write(tmp_path, "task: mine\noutput_type: multiple_choice\n")
    assert "mine" not in {task.name for task in list_tasks([tmp_path])}


def test_include_merges_and_own_keys_win(tmp_path: Path) -> None:
    write(tmp_path, "doc_to_text: theirs\ntest_split: train\n", "_base")
    write(tmp_path, "include: _base\ntask: mine\ndoc_to_text: ours\n")
    task = load_task("mine", [tmp_path])
    assert (task.prompt, task.dataset.split) == ("ours", "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [unclosed\n", r"not valid YAML.*line 2"),
        ("task: a\ntask b\n", r"not valid YAML"),
        ("- a list\n", r"no mapping"),
        ("", r"no mapping"),
        ("include: mine.yaml\ntask: mine\n", r"includes itself"),
        ("include: nowhere\ntask: mine\n", r"nowhere cannot be read"),
        ("task: !function [a]\n", r"!function needs module.name"),
        ("task: mine\noutput_type: multiple_choice\n", r"multiple_choice"),
        ("task: mine\nmetadata: {answer: {kind: word}}\n", r"metadata\.answer\.kind.*word"),
        ("task: mine\nmetadata: {answer: {tolerence: 0.1}}\n", r"metadata\.answer\.tolerence"),
        ("task: mine\nmetadata: {answer: {tolerance: 0.1}}\n", r"tolerance_reason"),
        ("task: mine\nmetadata: {answer: {tolerance: -1, tolerance_reason: x}}\n", r"tolerance.*-1"),
        ("task: mine\nmetadata: {answer: {fallback: guess}}\n", r"metadata\.answer\.fallback.*guess"),
        ("task: mine\nmetadata: text\n", r"metadata"),
        ("task: mine\nmetadata: {fields: {probelm: q}}\n", r"metadata\.fields\.probelm"),
        ("task: mine\nmetadata: {fields: {problem: [a, b]}}\n", r"metadata\.fields\.problem"),
        ("task: mine\ndoc_to_text: 3\n", r"doc_to_text is 3"),
        ("task: mine\ndataset_path: 3\n", r"dataset_path is 3"),
        ("task: mine\ndataset_kwargs: text\n", r"dataset_kwargs is 'text'"),
        ("task: mine\ncustom_dataset: text\n", r"custom_dataset is 'text'"),
    ],
)
def test_a_broken_task_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        load_task("mine", [tmp_path])
    assert "\n" not in str(error.value)
    assert "mine.yaml" in str(error.value) or "nowhere" in str(error.value)


@pytest.mark.parametrize("name", ["../escape", "a/b", "a b", "a,b", ".hidden"])
def test_a_name_that_is_no_file_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"task: {name!r}\n")
    with pytest.raises(InputError, match="names no file"):
        load_task(name, [tmp_path])


def test_a_task_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"task: mine\ndescription: \xff\n")
    with pytest.raises(InputError, match="not UTF-8"):
        list_tasks([tmp_path])


def test_include_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--include-path"):
        load_task("aime24", [tmp_path / "nowhere"])


def test_listing_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')\n")
    write(tmp_path, "task: mine\ncustom_dataset: !function evil.rows\n")
    task = load_task("mine", [tmp_path])
    assert task.dataset.function is not None
    assert task.dataset.function.name == "evil.rows"


def test_tasks_lie_where_lm_eval_is_pointed() -> None:
    assert load_task("aime24").path.parent == data_dir("tasks")
