"""`action.yml`: the shell lines of its steps, run as GitHub runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.stored_runs import worse_copy, write_data, write_run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return loaded


def perform(action: dict[str, Any], name: str, inputs: dict[str, str], where: Path) -> int:
    """Runs one step: bash as GitHub starts it, `inputs` put where the step's `env` asks for them."""
    (step,) = (step for step in action["runs"]["steps"] if step["name"] == name)
    values = {f"inputs.{key}": entry.get("default", "") for key, entry in action["inputs"].items()}
    values |= {f"inputs.{key}": value for key, value in inputs.items()} | {"github.action_path": str(ROOT)}
    env = {key: values[text.removeprefix("${{ ").removesuffix(" }}")] for key, text in step["env"].items()}
    assert "${{" not in step["run"], "inputs reach the shell through the environment alone"
    script = where / "step.sh"
    script.write_text(step["run"])
    files = {"GITHUB_STEP_SUMMARY": str(where / "summary.md"), "GITHUB_OUTPUT": str(where / "output")}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return subprocess.run(command, cwd=where, env=os.environ | env | files, check=False).returncode


@pytest.mark.timeout(900)
def test_run_check_and_summary(action: dict[str, Any], tmp_path: Path) -> None:
    data = write_data(tmp_path / "data of ours")
    first = write_run(tmp_path / "first", data, seed=1)
    worse = worse_copy(first, tmp_path / "worse", share=0.4)
    inputs = {
        "python": sys.executable,
        "out": str(tmp_path / "new run"),
        "run": f"--engine scripted --tasks amc23,aime24 --data-dir '{data}' --samples 8 --seed 2\n"
        "--budgets 0,64,128,256,512 --max-tokens 700 --frontier none",
        "check": f"--baseline {first} --measure reg --tolerance 60",
    }
    assert perform(action, "Run", inputs, tmp_path) == 0
    assert perform(action, "Check", inputs, tmp_path) == 0
    assert perform(action, "Summary", inputs, tmp_path) == 0
    summary = (tmp_path / "summary.md").read_text()
    assert "| not worse |" in summary
    assert "xychart-beta" in summary
    assert (tmp_path / "output").read_text() == "verdict=passed\n"
    assert (tmp_path / "new run" / "check.xml").is_file()

    # Nothing is tolerated: two seeds of one model cannot be told to be exactly equal.
    strict = inputs | {"check": f"--baseline {first} --measure reg"}
    assert perform(action, "Check", strict, tmp_path) == 4
    assert (tmp_path / "output").read_text().endswith("verdict=undecided\n")
    assert perform(action, "Check", strict | {"check": f"{strict['check']} --undecided pass"}, tmp_path) == 0

    # Half of the flags would be another check.
    assert perform(action, "Check", inputs | {"check": "--baseline don't"}, tmp_path) == 2
    assert perform(action, "Check", inputs | {"out": str(worse)}, tmp_path) == 1
    assert perform(action, "Summary", inputs | {"out": str(worse)}, tmp_path) == 0
    assert "WORSE" in (tmp_path / "summary.md").read_text()
    # Without gates anywhere there is nothing to check against; nothing in an input is executed.
    assert perform(action, "Check", inputs | {"check": ""}, tmp_path) == 2
    assert (
        perform(action, "Check", inputs | {"check": "--baseline $(touch hurt) ; touch hurt"}, tmp_path) == 2
    )
    assert not (tmp_path / "hurt").exists()
    assert (tmp_path / "output").read_text().splitlines()[-3:] == ["verdict=worse", *["verdict=refused"] * 2]


def documented(language: str) -> str:
    """The first block of that language in the page on CI."""
    page = (ROOT / "docs" / "ci.md").read_text()
    return page.partition(f"```{language}\n")[2].partition("```")[0]


def documented_inputs() -> dict[str, str]:
    """What the documented workflow gives the action."""
    workflow = yaml.safe_load(documented("yaml"))
    (step,) = (
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").partition("@")[0].endswith("/reghar")
    )
    given: dict[str, str] = step["with"]
    return given


def test_the_documented_workflow_uses_inputs_that_exist(action: dict[str, Any]) -> None:
    assert set(documented_inputs()) <= set(action["inputs"])


def test_words_of_an_input_reach_the_command_as_they_are(action: dict[str, Any], tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\nprintf "<%s>" "$@" > words\n')
    python.chmod(0o755)
    inputs = {"python": str(python), "out": "o", "run": '--a \'\' "b c"\n --d ""', "check": '--e ""'}
    assert perform(action, "Run", inputs, tmp_path) == 0
    assert (tmp_path / "words").read_text() == "<-m><reghar><run><--a><><b c><--d><><--out><o>"
    assert perform(action, "Check", inputs, tmp_path) == 0
    assert (tmp_path / "words").read_text().startswith("<-m><reghar><check><o><--e><><--junit>")


def test_the_engine_is_installed_as_make_installs_it(action: dict[str, Any]) -> None:
    (install,) = (step["run"] for step in action["runs"]["steps"] if step["name"] == "Install")
    mine = re.findall(r"^ +pip (.*)$", install.partition("else")[0], re.MULTILINE)
    recipe = (ROOT / "Makefile").read_text().partition("$(READY): ")[2].partition("touch")[0]
    others = re.findall(r"pip install --quiet --disable-pip-version-check (.*)$", recipe, re.MULTILINE)
    assert [re.sub(r'"?\$ACTION(/requirements.txt)?"', r"HERE\1", line) for line in mine] == [
        line.replace("-e .", "HERE").replace("-r requirements.txt", "-r HERE/requirements.txt")
        for line in others
    ]
    assert re.search(r"^datasets==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


@pytest.mark.timeout(900)
def test_the_documented_example_from_installation_to_verdict(
    action: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a clean folder with a fresh environment: the wheel and what it depends on, from the index.

    The engine is the scripted one: that of `install: cpu` is gigabytes, and `make` has just installed it by
    the same lines.
    """
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("PIP_CONSTRAINT", str(ROOT / "requirements.txt"))
    wheels, where = tmp_path / "wheels", tmp_path / "clean"
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*build, "--wheel-dir", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("reghar-*.whl")
    subprocess.run([sys.executable, "-m", "venv", where / "venv"], check=True)
    write_data(where / "data")
    (where / "reghar.toml").write_text(documented("toml"))
    given = documented_inputs()
    assert "--model ./model" in given["run"]
    inputs = given | {
        "python": str(where / "venv" / "bin" / "python"),
        "install": f"{wheel}[hub]",
        "run": given["run"].replace("--model ./model", "--engine scripted --data-dir data"),
    }
    baseline = {"out": "results/reference/run", "run": f"{inputs['run']} --seed 1"}
    assert perform(action, "Install", inputs, where) == 0
    assert perform(action, "Run", inputs | baseline, where) == 0
    for step in ("Run", "Check", "Summary", "Page"):
        assert perform(action, step, inputs, where) == 0, step
    assert (where / "output").read_text() == "verdict=passed\n"
    summary = (where / "summary.md").read_text()
    assert all(gate in summary for gate in ("| reg on average |", "| accuracy\\@1024 on amc23 (%) |"))
    (upload,) = (step["with"]["path"] for step in action["runs"]["steps"] if step["name"] == "Pictures")
    patterns = upload.replace("${{ inputs.out }}", "results/ci").splitlines()
    kept = {path.name for pattern in patterns for path in where.glob(pattern)}
    assert kept >= {"report.md", "report.json", "curves.png", "page.html", "check.md", "check.xml"}
