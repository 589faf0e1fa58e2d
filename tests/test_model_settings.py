"""What is taken from the model's own files, or put in their place: its sampling, its chat template."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.loopback import serving

from reghar import demo
from reghar.cli import main
from reghar.errors import InputError
from reghar.prompting.generation_config import NEUTRAL, recommended_sampling
from reghar.run.checks import check_settings
from reghar.run.model_sampling import with_model_sampling
from reghar.run.settings import RunSettings
from reghar.store import load_run

QWEN = {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}


def model_with(folder: Path, content: object) -> str:
    """A copy of an embedded model that recommends this sampling; None for no file."""
    shutil.copytree(demo.path("terse"), folder)
    file = folder / "generation_config.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (QWEN, {name: value for name, value in QWEN.items() if name != "do_sample"}),
        ({"temperature": 1, "eos_token_id": 3}, {}),
        ({"top_k": -1, "min_p": 0.1, "presence_penalty": 1.5}, {"min_p": 0.1, "presence_penalty": 1.5}),
        ({"do_sample": False}, {"temperature": 0.0}),
        ({"do_sample": False, "temperature": 0.3, "top_p": None}, {"temperature": 0.3}),
    ],
)
def test_the_models_numbers_are_taken_and_the_rest_is_off(
    content: dict[str, Any], found: dict[str, float], tmp_path: Path
) -> None:
    taken = recommended_sampling(model_with(tmp_path / "model", content))
    assert taken == {**NEUTRAL, **found}
    assert all(type(value) is type(NEUTRAL[name]) for name, value in taken.items()), (
        "1 and 1.0 are one digest"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "has no generation_config.json"),
        ({"eos_token_id": 3}, "says nothing of sampling"),
        ({"temperature": "hot"}, "temperature is 'hot', which cannot be"),
        ({"temperature": True}, "temperature is 'True'"),
        ({"top_k": 2.5}, "top_k is '2.5'"),
        ('{"temperature": NaN}', "temperature is 'nan'"),
        ('{"top_k": 1e999}', "top_k is 'inf'"),
        ("[1, 2]", "holds no JSON object"),
        ("{", "cannot be read"),
    ],
)
def test_a_model_that_does_not_say_is_refused_in_one_line(content: object, why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why) as error:
        recommended_sampling(model_with(tmp_path / "model", content))
    assert "\n" not in str(error.value)


def test_flags_win_even_where_they_say_the_default(tmp_path: Path) -> None:
    model = model_with(tmp_path / "model", QWEN)
    given = {"model": model, "tasks": ("t",), "sampling": "model", "temperature": 0.6, "top_p": 0.95}
    settings = RunSettings(**with_model_sampling(given))
    assert (settings.temperature, settings.top_p, settings.top_k) == (0.6, 0.95, 20)
    assert with_model_sampling({"model": model, "temperature": 0.1}) == {"model": model, "temperature": 0.1}
    for engine, name in (("chat", model), ("scripted", "scripted")):
        with pytest.raises(InputError, match=r"has no generation_config\.json here"):
            with_model_sampling({"model": name, "engine": engine, "sampling": "model"})


def test_what_the_model_says_is_checked_as_flags_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_with(tmp_path / "model", {"temperature": 7})
    command = ["run", "--model", model, "--tasks", "ladder", "--sampling", "model", "--dry-run"]
    assert main(command) == 2
    assert "--temperature must be from 0 to 2, not 7.0" in capsys.readouterr().err


TEMPLATE = "{% for m in messages %}## {{ m['role'] }}: {{ m['content'] }}\n{% endfor %}## assistant: "


def served_run(model: str, out: Path, *flags: str) -> list[str]:
    data = out.parent / "amc23.jsonl"
    data.write_text(json.dumps({"id": "a", "problem": "6 x 7?", "answer": "42"}) + "\n")
    command = ["run", "--engine", "openai", "--model", model, "--tasks", "amc23", "--samples", "1"]
    command += ["--budgets", "0,8", "--max-tokens", "64", "--frontier", "none"]
    return [*command, "--data-dir", str(data.parent), "--out", str(out), *flags]


@pytest.mark.parametrize("returns_ids", [True, False])
def test_both_reach_the_requests_and_the_protocol_and_are_resumed(returns_ids: bool, tmp_path: Path) -> None:
    model = model_with(tmp_path / "model", QWEN)
    template = tmp_path / "plain.jinja"
    template.write_text(TEMPLATE)
    command = served_run(
        model, tmp_path / "run", "--sampling", "model", "--top-p", "0.9", "--chat-template", str(template)
    )
    with serving(name="model", shift=0, returns_ids=False, takes_ids=returns_ids) as server:
        command += ["--base-url", server.url]
        assert main(command) == 0
        sent = server.bodies[0]
        assert main([*command, "--resume"]) == 0
        template.write_text(TEMPLATE.replace("##", "#"))
        assert main([*command, "--resume"]) == 2, "another template is another protocol"
    asked = {name: sent[name] for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")}
    assert asked == {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.0, "repetition_penalty": 1.05}
    run = load_run(tmp_path / "run")
    sampling = run.protocol.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.7, 0.9, 20)
    assert run.protocol.prompt.template.startswith("## user: {problem}")
    assert run.protocol.prompt.template.endswith("\n## assistant: ")
    if not returns_ids:
        assert sent["prompt"].startswith("## user: 6 x 7?")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "is not UTF-8"),
        (b"{% for m in %}", "is no template for these messages"),
        (b"{{ messages[0].content.nothing() }}", "is no template for these messages"),
        (b"Hello!", "shows no question"),
        (b"", "shows no question"),
    ],
)
def test_a_template_that_cannot_be_one_is_refused_in_one_line(
    content: bytes | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "template.jinja"
    if content is not None:
        file.write_bytes(content)
    command = ["run", "--model", "demo:terse", "--dry-run", "--chat-template", str(file)]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert why in error
    assert "--chat-template" in error
    assert error.count("\n") == 1


def test_who_has_no_template_to_replace(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--engine", "scripted", "--tasks", "ladder", "--chat-template", "x", "--dry-run"]
    assert main(command) == 2
    assert "has no template to replace" in capsys.readouterr().err
    settings = RunSettings(model="m", tasks=("t",), engine="chat", base_url="http://h", chat_template="x")
    with pytest.raises(InputError, match="leave out --chat-template"):
        check_settings(settings)
