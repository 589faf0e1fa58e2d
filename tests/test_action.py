"""`action.yml`: the shell lines of its steps, run as GitHub runs them."""

from __future__ import annotations

import os
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
    values = {key: entry.get("default", "") for key, entry in action["inputs"].items()} | inputs
    env = {
        key: values[text.removeprefix("${{ inputs.").removesuffix(" }}")] for key, text in step["env"].items()
    }
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


def test_the_documented_workflow_uses_inputs_that_exist(action: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    workflow = yaml.safe_load(example)
    (step,) = (
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").partition("@")[0].endswith("/reghar")
    )
    assert set(step["with"]) <= set(action["inputs"])
