"""`--adapters`: fine-tunes of one base, a run for each in one engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers.loopback import serving
from helpers.lora import write_adapter
from helpers.stored_tables import assert_same, tables, wait_for_part

from reghar.cli import main
from reghar.compare.sides import load_sides, require_comparable
from reghar.errors import InputError
from reghar.prompting.adapters import read_adapters
from reghar.run.adapters import engine_arguments
from reghar.run.planning import make_plans
from reghar.run.settings import RunSettings
from reghar.store import load_run

FLAGS = (
    "--model",
    "demo:terse",
    "--limit",
    "6",
    "--samples",
    "1",
    "--temperature",
    "0",
    "--frontier",
    "none",
)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "mine", "terse", scale=0.0)


def settings(*entries: str) -> RunSettings:
    return RunSettings(
        model="demo:terse", tasks=("ladder",), limit=2, max_tokens=64, budgets="0,32", adapters=entries
    )


def test_each_has_a_plan_of_the_same_protocol(adapter: Path) -> None:
    base, mine = make_plans(settings("base", f"mine={adapter}"))
    assert base.protocol.digest == mine.protocol.digest
    assert base.adapter is None
    assert mine.adapter is not None
    assert (mine.adapter.name, mine.adapter.rank, mine.adapter.base) == ("mine", 4, "demo:terse")
    assert mine.settings.adapters == (f"mine={adapter}",), "what `reghar probe` needs of the stored run"


def test_the_engine_is_told_of_all_of_them(tmp_path: Path) -> None:
    write_adapter(tmp_path / "a", "terse", scale=0.0, rank=4)
    write_adapter(tmp_path / "b", "terse", scale=0.0, rank=20)
    found = read_adapters((f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}"), "vllm")
    assert engine_arguments([each for each in found if each]) == {
        "enable_lora": True,
        "max_loras": 2,
        "max_lora_rank": 32,
    }
    assert engine_arguments([]) == {}


def test_another_base_is_told(adapter: Path) -> None:
    (plan,) = make_plans(settings(f"mine={adapter}"))
    assert plan.notes == ()
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "x/Other"}))
    (plan,) = make_plans(settings(f"mine={adapter}"))
    assert any("was trained from x/Other" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("entries", "engine", "message"),
    [
        (("mine",), "vllm", "takes NAME=PATH, or base"),
        (("mine=",), "vllm", "takes NAME=PATH, or base"),
        (("../x={adapter}",), "vllm", "a name is of letters"),
        (("base={adapter}",), "vllm", "a name is of letters"),
        (("..={adapter}",), "vllm", "a name is of letters"),
        (("a={adapter}", "a={adapter}"), "vllm", "names 'a' twice"),
        (("base", "base"), "vllm", "names 'base' twice"),
        (("a=/nowhere",), "vllm", "has no adapter_config.json"),
        (("a={adapter}",), "openai", "a server knows its adapters by name; give a,"),
        (("a={adapter}",), "scripted", "takes no LoRA adapters"),
        (("a={adapter}",), "chat", "takes no LoRA adapters"),
    ],
)
def test_what_cannot_be_is_one_line(
    entries: tuple[str, ...], engine: str, message: str, adapter: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_adapters(tuple(entry.format(adapter=adapter) for entry in entries), engine)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "not of a LoRA adapter"),
        ('{"peft_type": "IA3", "r": 4}', "not of a LoRA adapter"),
        ('{"r": 4096}', r"its rank \(r\) is 4096; vLLM takes 1 to 512"),
        ('{"r": "x"}', r"its rank \(r\) is x"),
        ("{}", r"its rank \(r\) is None"),
    ],
)
def test_a_broken_configuration_is_one_line(config: str, message: str, adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text(config)
    with pytest.raises(InputError, match=message):
        read_adapters((f"a={adapter}",), "vllm")


def test_without_weights_there_is_no_adapter(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no adapter_model\.safetensors"):
        read_adapters((f"a={adapter}",), "vllm")


def served(folder: Path, *, samples: int) -> list[str]:
    """The command of a run at a server that is still to be named, on one problem."""
    data = {"id": "a", "problem": "6 x 7?", "answer": "42"}
    (folder / "amc23.jsonl").write_text(json.dumps(data) + "\n")
    return [
        *("run", "--engine", "openai", "--model", "scripted", "--tasks", "amc23", "--samples", str(samples)),
        *("--budgets", "0,64", "--max-tokens", "200", "--frontier", "none", "--data-dir", str(folder)),
    ]


def test_a_server_is_asked_by_the_adapters_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*served(tmp_path, samples=2), "--out", str(tmp_path / "out")]
    with serving(adapters=("mine",)) as server:
        command += ["--base-url", f"{server.url}/v1"]
        assert main([*command, "--adapters", "base,other"]) == 3
        assert "has no adapter 'other'; start it with --enable-lora" in capsys.readouterr().err
        shutil.rmtree(tmp_path / "out")
        server.bodies.clear()
        assert main([*command, "--adapters", "base,mine"]) == 0
        asked = [body["model"] for body in server.bodies]
    assert set(asked) == {"scripted", "mine"}
    assert asked.count("scripted") == asked.count("mine"), "probes too"
    runs = [load_run(tmp_path / "out" / name) for name in ("base", "mine")]
    assert [run.name for run in runs] == ["scripted", "scripted+mine"]
    assert [run.manifest.end is not None for run in runs] == [True, True]
    with serving(adapters=("mine",)) as server:  # nothing is left to do
        again = [*command[:-1], f"{server.url}/v1", "--adapters", "base,mine", "--resume"]
        assert main(again) == 0
        assert server.bodies == []


def test_killed_in_the_second_run_each_folder_goes_on_for_itself(tmp_path: Path) -> None:
    samples = 24
    flags = [*served(tmp_path, samples=samples), "--adapters", "base,mine"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with serving(adapters=("mine",), pause=0.03) as server:
        words = [*flags, "--base-url", f"{server.url}/v1", "--out", str(killed), "--concurrency", "2"]
        environment = {**os.environ, "REGHAR_FLUSH_SECONDS": "0.1"}
        command = [sys.executable, "-m", "reghar", *words]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for_part(process, killed / "mine", 120)
        finally:
            process.kill()
            process.communicate()
    before = {path: path.read_bytes() for path in killed.rglob("part-*.parquet")}
    stored = len(pd.read_parquet(killed / "mine" / "traces"))
    assert 0 < stored < samples, "the kill came in the middle"
    with serving(adapters=("mine",)) as server:
        flags += ["--base-url", f"{server.url}/v1"]
        assert main([*flags, "--out", str(killed), "--resume"]) == 0
        assert {body["model"] for body in server.bodies} == {"mine"}, "the base was done"
        traces = [body for body in server.bodies if body["max_tokens"] == 200]
        assert len(traces) == samples - stored
        assert main([*flags, "--out", str(whole)]) == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    for name in ("base", "mine"):
        assert_same(killed / name, tables(whole / name))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the base, of an adapter that changes nothing, and of one that changes much."""
    folder = tmp_path_factory.mktemp("adapters")
    same = write_adapter(folder / "same.adapter", "terse", scale=0.0)
    other = write_adapter(folder / "other.adapter", "terse", scale=0.05)
    command = [sys.executable, "-m", "reghar", "run", *FLAGS, "--out", str(folder)]
    command += ["--adapters", f"base,same={same},other={other}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_one_engine_runs_the_base_and_its_adapters(folders: Path) -> None:
    texts = {
        name: load_run(folders / name).traces.set_index("problem")["text"]
        for name in ("base", "same", "other")
    }
    assert (texts["base"] == texts["same"]).mean() >= 0.8, "an adapter of zeros is the base, near-ties aside"
    assert (texts["base"] != texts["other"]).mean() >= 0.5
    starts = {load_run(folders / name).manifest.sessions[0].start for name in texts}
    assert len(starts) == 1, "the engine was loaded once"


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_runs_of_adapters_are_compared_and_not_mixed_up(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = load_sides([str(folders / name) for name in ("base", "same", "other")])
    assert [side.label for side in sides] == ["demo:terse", "demo:terse+same", "demo:terse+other"]
    assert require_comparable(sides, sides[0], ()) == []
    folder = folders / "same.adapter"
    write_adapter(folders / "changed.adapter", "terse", scale=0.1)
    shutil.copy(folders / "changed.adapter" / "adapter_model.safetensors", folder)
    command = ["run", *FLAGS, "--out", str(folders), "--adapters", f"same={folder}", "--resume"]
    assert main(command) == 2
    assert "adapter:" in capsys.readouterr().err
