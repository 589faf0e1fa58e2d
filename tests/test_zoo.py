"""The embedded models on the real engine: what REG claims must come true here."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from reghar import demo
from reghar.cli import main
from reghar.demo.ladder import MODULUS, task_ladders
from reghar.frontiers.frontier import load_frontier
from reghar.measures.efficiency import efficiency_of
from reghar.measures.paired import difference
from reghar.measures.task import task_measures
from reghar.prompting.tokenizer import load_model
from reghar.store import load_run
from reghar.store.outcomes import TaskOutcomes
from tools.train_demo.reasoning import last_step_token, terse

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

BUDGETS = "0,48,96,160"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`reghar run` of both models, a process each, as a user starts it."""
    folder = tmp_path_factory.mktemp("zoo")
    for name in ("terse", "verbose"):
        command = [sys.executable, "-m", "reghar", "run", "--model", f"demo:{name}", "--seed", "11"]
        done = subprocess.run([*command, "--out", folder / name], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + (folder / name / "engine.log").read_text()[-3000:]
        assert "Traceback" not in done.stderr
    return {name: folder / name for name in ("terse", "verbose")}


def outcomes(path: Path) -> TaskOutcomes:
    return load_run(path).outcomes("ladder")


def test_the_one_that_thinks_more_briefly_has_the_smaller_gap(runs: dict[str, Path]) -> None:
    frontier = load_frontier("ladder").task("ladder")
    brief, wordy = (task_measures(outcomes(runs[name]), frontier) for name in ("terse", "verbose"))
    assert brief.measure("reg").value < wordy.measure("reg").value
    gap = difference("reg", [wordy], [brief])
    assert gap is not None
    assert gap.low > 0, f"the paired interval [{gap.low}, {gap.high}] excludes 0"


def test_both_are_equally_right_in_the_end(runs: dict[str, Path]) -> None:
    brief, wordy = (outcomes(runs[name]) for name in ("terse", "verbose"))
    assert len(brief.problems) >= 200
    accuracy = [float(one.correct[:, :, -1].mean()) for one in (brief, wordy)]
    assert min(accuracy) >= 0.9
    assert abs(accuracy[0] - accuracy[1]) <= 0.03
    assert wordy.length.mean() >= 2 * brief.length.mean()


def test_the_curve_climbs_gradually(runs: dict[str, Path]) -> None:
    for path in runs.values():
        steps = np.diff(outcomes(path).correct.mean(axis=(0, 1)))
        assert steps.max() < 0.35
        assert (steps > 0.03).sum() >= 4


def test_no_curve_is_above_the_frontier_that_it_built(runs: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "built.json"
    built_from = [str(runs["terse"]), str(runs["verbose"]), "--base-model", "demo"]
    assert main(["frontier", "build", *built_from, "-o", str(file)]) == 0
    built = load_frontier(str(file)).task("ladder")
    for path in runs.values():
        curve = outcomes(path).correct.mean(axis=(0, 1))
        assert (curve <= np.asarray(built.accuracy) + 1e-12).all()


def test_nobody_settles_before_terse_has_done_the_last_step_except_by_chance(runs: dict[str, Path]) -> None:
    """A cut-off model answers the value that it has reached, so knowing more would be a leak."""
    decode = load_model("demo:terse").tokenizer.decode
    encode = load_model("demo:terse").tokenizer.encode_text
    needed = []
    for ladder in task_ladders():
        ids = encode("".join(piece.text for piece in terse(ladder, Random(0))))
        needed.append(last_step_token([decode([i]) for i in ids], ladder))
    assert None not in needed
    assert min(needed) < 30
    assert max(needed) > 160
    for path in runs.values():
        settled = efficiency_of(outcomes(path)).settled
        early = (settled < np.array(needed)[:, None])[np.isfinite(settled)]
        assert len(early) > 300
        test = binomtest(int(early.sum()), len(early), 1 / MODULUS, alternative="greater")
        assert test.proportion_ci(0.95).low <= 1 / MODULUS, f"{early.mean():.1%} settled early"


def test_a_fresh_run_passes_the_gate_and_a_worse_model_does_not(runs: dict[str, Path]) -> None:
    baseline = Path(__file__).resolve().parents[1] / "results" / "reference" / "terse"
    gate = ["--baseline", str(baseline), "--tolerance", "20"]
    assert main(["check", str(runs["terse"]), *gate]) == 0
    assert main(["check", str(runs["verbose"]), *gate]) == 1


@pytest.fixture(scope="module")
def greedy() -> dict[str, Any]:
    script = Path(__file__).parent / "helpers" / "greedy_probes.py"
    done = subprocess.run(
        [sys.executable, script, "demo:verbose", BUDGETS], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def agreement(one: dict[str, str], other: dict[str, str]) -> float:
    assert one.keys() == other.keys()
    return float(np.mean([one[key] == other[key] for key in one]))


def test_probes_in_flight_and_after_the_end_agree(greedy: dict[str, Any]) -> None:
    assert len(greedy["in_flight"]) > 400
    assert agreement(greedy["in_flight"], greedy["after"]) >= 0.99


def test_probes_in_flight_find_their_trace_in_the_cache(greedy: dict[str, Any]) -> None:
    assert greedy["cached"] > 0.6
    for logprob, scored, tokens in greedy["scored"]:
        assert scored == tokens, "every token up to the brace, and none after it"
        assert logprob <= 0


def test_cutting_a_trace_agrees_with_generating_it_anew(greedy: dict[str, Any]) -> None:
    """The rest are near-ties: where the two traces part, the two tokens are almost equally likely."""
    assert agreement(greedy["in_flight"], greedy["anew"]) >= 0.95
    parted = {
        key: (greedy["traces"][key.split("@")[0]], again)
        for key, again in greedy["cut_traces"].items()
        if greedy["traces"][key.split("@")[0]][: len(again)] != again
    }
    for key, (trace, again) in parted.items():
        assert _logit_gap(key.split("@")[0], trace, again) < 1e-3, key


def _logit_gap(problem: str, trace: list[int], again: list[int]) -> float:
    """Difference of the two tokens' logits at the first place where two traces differ."""
    import torch
    from transformers import AutoModelForCausalLM

    from reghar.prompting.prompts import PromptFormat
    from reghar.tasks import load_problems, load_task

    place = next(i for i, (a, b) in enumerate(zip(trace, again, strict=False)) if a != b)
    model = AutoModelForCausalLM.from_pretrained(demo.path("verbose"), dtype=torch.float32)
    question = next(p.question for p in load_problems(load_task("ladder")) if p.id == problem)
    prompt = PromptFormat(tokenizer=load_model("demo:verbose").tokenizer).encode(question)
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + trace[:place]])).logits[0, -1]
    return float((logits[trace[place]] - logits[again[place]]).abs())


def test_a_run_says_where_it_ran_and_how_many_traces_were_in_flight(runs: dict[str, Path]) -> None:
    session = load_run(runs["terse"]).manifest.sessions[0]
    assert session.engine is not None
    environment = session.engine.environment
    assert environment is not None
    assert environment.dtype == "float32" or environment.gpus
    assert environment.attention_backend
    assert "VLLM_WORKER_MULTIPROC_METHOD" in environment.variables
    (tokens,) = session.engine.kv_caches or ()
    assert tokens is not None
    assert tokens > 512
    assert session.concurrency in (session.engine.batches or ())
