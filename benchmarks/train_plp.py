"""Does a reward do what it says? Fine-tunes demo:verbose with PLP, and measures it before and after.

    python benchmarks/train_plp.py --out FOLDER [--minutes 10] [--alpha 4] [--cold-start 800] [--samples 2]

`demo:verbose` checks every step of a ladder, which costs 10 of its 17 tokens a step and changes no
answer: a length reward on right responses should teach it to leave the checks out. As it stands it
cannot learn that: its logits put a check some 13 ahead of anything else, eight samples of a prompt are
eight equal responses, and a reward that sees no difference prefers nothing (`--cold-start 0` shows it).
So a cold start comes first: some steps of supervised training on responses in which none, all or a part of
the checks are left out. It is measured as well: what remains between it and the end is PLP's doing.

Trained with TRL's RLOO, in which rewards keep their scale, on ladders of all lengths, none of them the
task's. With `--longest 5` training is several times as fast and every check goes, but the model then
fails on longer ladders: shorter, not better, and REG says so.
`reghar run` measures every model on the task `ladder`; differences are paired by problem. `--minutes` are
minutes of `--threads` processors, so that a busy machine trains as much. A cold start and runs that
`--out` holds already are not made again. Needs trl; run it from the repository's root:
`PYTHONPATH=. python benchmarks/train_plp.py`.
"""

import argparse
import random
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from reghar import demo
from reghar.demo.ladder import Ladder, draw, task_ladders, unseen
from reghar.rewards.trl import AnswerRule, length_reward
from tools.train_demo.__main__ import BATCH_TOKENS, train
from tools.train_demo.examples import Writer, batches
from tools.train_demo.prompts import INSTRUCTION
from tools.train_demo.reasoning import Piece, verbose

GROUP, GROUPS = 8, 8
"""Responses to one prompt, prompts in one batch."""


def some_checks(ladder: Ladder, generator: random.Random) -> list[Piece]:
    """As verbose, a share of the checks left out: none, all or any share between, response by response.

    One share for all of them would never show the model a long ladder without a check; led there by a
    reward it would fail.
    """
    left_out = generator.random()
    pieces = verbose(ladder, generator)
    return [one for one in pieces if not one.text.startswith("Check") or generator.random() >= left_out]


def cold_start(model: Any, tokenizer: Any, steps: int, seed: int) -> None:
    """Supervised training on ladders of all lengths, whole and cut off, as the model was made."""
    writer = Writer("verbose", tokenizer, seed)
    writer._reason = some_checks
    ladders = unseen(seed + 1, frozenset(task_ladders()))
    train(model, batches(writer, ladders, BATCH_TOKENS, seed, pool=256), steps)


def prompts(seed: int, count: int, longest: int) -> list[dict[str, Any]]:
    """Prompts and golds of random ladders of 2 to `longest` steps, none of them the task's."""
    generator, forbidden = random.Random(seed), frozenset(task_ladders())
    drawn = iter(lambda: draw(generator, generator.randint(2, longest)), None)
    return [
        {
            "prompt": [{"role": "user", "content": f"{ladder.problem}\n\n{INSTRUCTION}"}],
            "gold": str(ladder.answer),
        }
        for ladder in islice((one for one in drawn if one not in forbidden), count)
    ]


def fine_tune(model: Any, tokenizer: Any, arguments: argparse.Namespace) -> int:
    """PLP until the time is up; prints what the trainer logs and returns its steps."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    started = time.process_time()

    class TimeLimit(TrainerCallback):
        def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
            spent = time.process_time() - started
            control.should_training_stop = spent > 60 * arguments.minutes * arguments.threads

        def on_log(self, _args: Any, state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
            shown = ("reward", "plp/correct", "completions/mean_length", "frac_reward_zero_std")
            if "reward" in (logs or {}):
                line = "  ".join(f"{name} {float(logs[name]):.3f}" for name in shown)
                print(f"step {state.global_step:4d}  {line}", flush=True)

    trainer = RLOOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=length_reward(
            "plp", tokenizer, answers=AnswerRule(kind="integer"), alpha=arguments.alpha
        ),
        train_dataset=Dataset.from_list(prompts(arguments.seed, 20_000, arguments.longest)),
        callbacks=[TimeLimit()],
        args=RLOOConfig(
            output_dir=str(arguments.out / "trainer"),
            per_device_train_batch_size=GROUP * GROUPS,
            num_generations=GROUP,
            max_completion_length=17 * arguments.longest + 24,
            temperature=arguments.temperature,
            learning_rate=arguments.rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=10,
            beta=0.0,
            max_steps=100_000,
            logging_steps=5,
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            seed=arguments.seed,
        ),
    )
    trainer.train()
    return int(trainer.state.global_step)


def measure(name: str, model: str, arguments: argparse.Namespace) -> Path:
    """`reghar run` of a model on the whole task, its main job; the run's folder."""
    out: Path = arguments.out / name
    command = [sys.executable, "-m", "reghar", "run", "--model", model, "--tasks", "ladder"]
    command += ["--budgets", ",".join(map(str, range(0, 513, 32))), "--max-tokens", "1024"]
    command += ["--samples", str(arguments.samples), "--frontier", arguments.frontier]
    command += ["--out", str(out), "--resume"]
    subprocess.run(command, check=True)
    return out


def main() -> None:
    """Trains, measures, prints the paired differences."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the models and the runs")
    parser.add_argument("--minutes", type=float, default=10, help="of PLP, on --threads processors")
    parser.add_argument("--alpha", type=float, default=4)
    parser.add_argument("--longest", type=int, default=24, help="steps of the longest ladder in training")
    parser.add_argument("--cold-start", type=int, default=800, metavar="STEPS")
    parser.add_argument("--temperature", type=float, default=0.6, help="of PLP; the models' own is 0.6")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--samples", type=int, default=2, help="a problem, in the evaluation")
    parser.add_argument("--frontier", default="ladder", help="a name or a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(demo.path("verbose"))
    model = AutoModelForCausalLM.from_pretrained(demo.path("verbose"))
    sampling = model.generation_config
    folders = {"before": "demo:verbose"}

    def save(name: str) -> None:
        model.generation_config = sampling
        folders[name] = str(arguments.out / f"model-{name}")
        model.save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])

    if arguments.cold_start:
        made = arguments.out / "model-cold-start"
        if made.is_dir():
            model = AutoModelForCausalLM.from_pretrained(made)
        else:
            cold_start(model, tokenizer, arguments.cold_start, arguments.seed)
        save("cold-start")
    steps = fine_tune(model, tokenizer, arguments)
    save("plp")
    runs = {name: measure(name, folder, arguments) for name, folder in folders.items()}
    print(f"{steps} steps of PLP, alpha {arguments.alpha:g}", flush=True)
    for baseline in list(runs)[:-1]:
        compared = [f"{name}={runs[name]}" for name in list(runs)[list(runs).index(baseline) :]]
        subprocess.run([sys.executable, "-m", "reghar", "compare", *compared], check=True)


if __name__ == "__main__":
    main()
