"""The hub's part of a run, through `datasets`, `transformers` and `huggingface_hub` themselves, against a
stand-in of the hub on loopback."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.hub_api import TOKEN, Hub, serving
from helpers.hub_data import ANSWERS, MODEL, QUESTIONS, make_hub

OPEN_TASKS = ("aime24", "aime25", "amc23", "math500", "minerva_math", "gsm8k", "olympiadbench")
DRIVER = """
import contextlib, io, json, sys
from reghar.cli import main
from reghar.errors import RegharError
from reghar.tasks import load_problems, load_task

for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if words[0] == "problems":
            code = [[p.id, p.question, list(p.gold)] for p in load_problems(load_task(words[1]))]
        else:
            code = main(words)
    print(json.dumps([code, err.getvalue()]))
"""
"""Several commands in one process, because importing the hub's clients takes longer than what they do."""


Said = tuple[Any, str]


def ask(endpoint: str, home: Path, commands: Sequence[Sequence[str]], **environment: str) -> list[Said]:
    """(exit code or problems, what was said) of each command, with a cache of its own at `home`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", **environment}
    command = [sys.executable, "-c", DRIVER, json.dumps(commands)]
    done = subprocess.run(
        command, env={**clean, **settings}, cwd=home.parent, capture_output=True, text=True, check=True
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def dry_run(*words: str) -> list[str]:
    """A run of which everything but the engine's part is done."""
    return ["run", "--budgets", "0,64", "--max-tokens", "512", "--samples", "1", "--dry-run", *words]


def write_task(folder: Path, name: str, dataset: str, revision: str | None = None) -> list[str]:
    """The flags for a task of the user's on the hub."""
    pinned = f"dataset_kwargs: {{revision: '{revision}'}}\n" if revision else ""
    (folder / f"{name}.yaml").write_text(f"task: {name}\ndataset_path: {dataset}\n{pinned}")
    return ["--tasks", name, "--include-path", str(folder)]


@contextmanager
def silent_hub() -> Iterator[tuple[str, list[Any]]]:
    """An address at which nobody speaks, and the connections that were made to it."""
    connections: list[Any] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connections.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", connections
        server.shutdown()


@pytest.fixture(scope="module")
def hub() -> Hub:
    return make_hub()


@pytest.fixture(scope="module")
def endpoint(hub: Hub) -> Iterator[str]:
    with serving(hub) as url:
        yield url


@pytest.fixture(scope="module")
def filled(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Any, str]]]:
    """A cache that holds the model and every open data set; and the problems that were read."""
    home = tmp_path_factory.mktemp("filled") / "home"
    everything = dry_run("--model", MODEL, "--tasks", "aime24")
    return home, ask(endpoint, home, [everything, *(["problems", name] for name in OPEN_TASKS)])


def test_every_task_reads_its_data_set_at_the_pinned_revision(
    filled: tuple[Path, list[tuple[Any, str]]],
) -> None:
    (code, said), *read = filled[1]
    assert (code, said) == (0, "")
    for name, (problems, _) in zip(OPEN_TASKS, read, strict=True):
        # The newest commit of every data set asks "Wrong is ...".
        assert all(question in p[1] for question, p in zip(QUESTIONS, problems, strict=True)), name
        golds = [p[2] for p in problems]
        if name == "olympiadbench":
            assert golds == [["$7$"], ["11"], ["9", "-9"]]
        else:
            assert golds == [[str(answer)] for answer in ANSWERS], name
    ids = {name: read[OPEN_TASKS.index(name)][0][0][0] for name in ("aime24", "math500", "gsm8k")}
    assert ids == {"aime24": "2024-I-1", "math500": "test/prealgebra/0.json", "gsm8k": "0"}


def test_code_tasks_read_theirs_at_the_pinned_revision(endpoint: str, tmp_path: Path) -> None:
    wanted = {
        "humaneval": ["HumanEval/0", "HumanEval/1", "HumanEval/2"],
        "livecodebench": ["abc001_a", "9001"],
    }
    read = ask(endpoint, tmp_path / "home", [["problems", name] for name in wanted])
    for (name, ids), (problems, said) in zip(wanted.items(), read, strict=True):
        assert said == ""
        assert [identity for identity, _, _ in problems] == ids, name
        assert all(json.loads(gold) for _, _, [gold] in problems)


def test_a_gated_data_set_needs_a_token(endpoint: str, tmp_path: Path) -> None:
    gated = dry_run("--model", "demo:terse", "--tasks", "gpqa_diamond")
    ((code, said),) = ask(endpoint, tmp_path / "home", [gated])
    assert code == 2
    assert said.startswith("reghar: error: task gpqa_diamond: the data set Idavidrein/gpqa, configuration")
    assert "it is gated: accept its terms on the hub, then set HF_TOKEN" in said
    assert said.count("\n") == 1
    (problems, _), (code, said) = ask(
        endpoint, tmp_path / "home", [["problems", "gpqa_diamond"], gated], HF_TOKEN=TOKEN
    )
    assert code == 0
    for answer, (_, question, (letter,)) in zip(ANSWERS, problems, strict=True):
        assert f"\n{letter}. {answer}\n" in f"{question}\n"


def test_names_that_do_not_exist(hub: Hub, endpoint: str, tmp_path: Path) -> None:
    seen = len(hub.requests)
    mine = write_task(tmp_path, "mine", "nobody/nothing")
    lost = write_task(tmp_path, "lost", "math-ai/aime25", "0" * 40)
    commands = [
        dry_run("--model", "demo-lab/none", "--tasks", "aime24"),
        dry_run("--model", MODEL, "--revision", "0" * 40, "--tasks", "aime24"),
    ]
    (model, revision) = ask(endpoint, tmp_path / "home", commands)
    assert model[0] == revision[0] == 2
    assert "model 'demo-lab/none' is no folder and cannot be read from the hub: the hub has none" in model[1]
    assert "it has no such revision" in revision[1]
    # Said before any data set is fetched.
    assert not [request for request in hub.requests[seen:] if "/datasets/" in request]
    data, commit = ask(
        endpoint, tmp_path / "home", [dry_run("--model", "demo:terse", *flags) for flags in (mine, lost)]
    )
    assert data[0] == commit[0] == 2
    assert "the data set nobody/nothing, split test could not be loaded: the hub has none of" in data[1]
    assert "it has no such revision" in commit[1]
    assert all(said.count("\n") == 1 for _, said in (model, revision, data, commit))


def test_without_a_network_the_cache_is_read(
    hub: Hub, filled: tuple[Path, list[tuple[Any, str]]], tmp_path: Path
) -> None:
    aime25 = hub.find("datasets", "math-ai/aime25")
    assert aime25 is not None
    newer = write_task(tmp_path, "newer", aime25.name, aime25.main)
    commands = [
        dry_run("--model", MODEL, "--tasks", "aime24,gsm8k"),
        dry_run("--model", "demo:terse", "--tasks", "gpqa_diamond"),
        # `datasets` alone would take whatever revision it has.
        dry_run("--model", "demo:terse", *newer),
    ]
    with silent_hub() as (url, connections):
        cached, missing, other = ask(url, filled[0], commands)
    assert cached == (0, "")
    assert len(connections) == 1, "asked once, not again and again"
    assert missing[0] == other[0] == 2
    assert f"it is not in the cache, and the hub ({url}) does not answer: check the network" in missing[1]
    assert f"the cache holds revision {next(iter(aime25.commits))} of " in other[1]
    assert f"not {aime25.main}: check the network" in other[1]


def test_without_a_network_and_a_cache(tmp_path: Path) -> None:
    commands = [
        dry_run("--model", MODEL, "--tasks", "aime24"),
        dry_run("--model", "demo:terse", "--tasks", "aime24"),
    ]
    with silent_hub() as (url, connections):
        model, data = ask(url, tmp_path / "home", commands)
        offline, _ = ask(url, tmp_path / "home", commands, HF_HUB_OFFLINE="1")
    assert len(connections) == 1
    assert model[0] == data[0] == offline[0] == 2
    assert f"model {MODEL!r} is no folder and cannot be read from the hub: it is not in the cache" in model[1]
    assert "task aime24: the data set Maxwell-Jia/AIME_2024, split train could not be loaded: it" in data[1]
    assert "HF_HUB_OFFLINE is set: unset it" in offline[1]
    assert all(said.count("\n") == 1 for _, said in (model, data, offline))


def test_a_download_that_breaks_off(tmp_path: Path) -> None:
    torn = make_hub()
    torn.broken |= {"test.jsonl", "tokenizer.json"}
    commands = [
        dry_run("--model", "demo:terse", "--tasks", "aime25"),
        dry_run("--model", MODEL, "--tasks", "aime24"),
    ]
    with serving(torn) as url:
        data, model = ask(url, tmp_path / "home", commands)
    assert data[0] == model[0] == 2
    assert "the data set math-ai/aime25, split test could not be loaded: the download broke off" in data[1]
    assert "the download broke off" in model[1]
    # What came of it is no part of a later run.
    with serving(make_hub()) as url:
        (problems, _), (code, _) = ask(url, tmp_path / "home", [["problems", "aime25"], commands[1]])
    assert (len(problems), code) == (3, 0)


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_a_run_of_a_hub_model_on_a_hub_data_set(endpoint: str, hub: Hub, tmp_path: Path) -> None:
    words = ["run", "--model", MODEL, "--tasks", "aime24", "--budgets", "0,64", "--max-tokens", "128"]
    words += ["--samples", "1", "--frontier", "none", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "reghar", *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    repository = hub.find("models", MODEL)
    assert repository is not None
    assert manifest["revision"] == repository.main
    assert manifest["sessions"][0]["engine"]["arguments"]["revision"] == repository.main
    assert json.loads((tmp_path / "run" / "report.json").read_text())["complete"]
