"""Does a reward do what it says? Fine-tunes demo:verbose with PLP for minutes, and measures it before and after.

    python benchmarks/train_plp.py --out FOLDER [--minutes 10] [--alpha 4] [--samples 4]

`demo:verbose` checks every step of a ladder, which costs 10 of its 17 tokens a step and changes no
answer: a length reward on right responses should teach it to leave the checks out. TRL's RLOO trainer
(rewards keep their scale) samples short ladders, none of them the task's; then `reghar run` measures both
models on the task `ladder`, and their differences are paired by problem. Needs trl; two cores are enough.

At the task's temperature the model is all but certain of every token, so a group holds eight equal
responses and the reward has nothing to prefer. It is trained at `--temperature`, where it now and then
leaves out a check, and evaluated at the task's own.
"""

import argparse
import json
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from reghar import demo
from reghar.demo.ladder import draw, task_ladders
from reghar.rewards.trl import AnswerRule, length_reward

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
LONGEST = 8
"""Steps of the longest ladder in training: 150 tokens of `demo:verbose`."""
GROUP, GROUPS = 16, 8
"""Responses to one prompt, prompts in one batch."""


def ladders(seed: int, count: int) -> list[dict[str, Any]]:
    """Prompts and golds of short random ladders, none of them the task's."""
    import random

    generator, forbidden = random.Random(seed), frozenset(task_ladders())
    drawn = (draw(generator, generator.randint(2, LONGEST)) for _ in iter(int, 1))
    return [
        {
            "prompt": [{"role": "user", "content": f"{ladder.problem}\n\n{INSTRUCTION}"}],
            "gold": str(ladder.answer),
        }
        for ladder in islice((one for one in drawn if one not in forbidden), count)
    ]


def fine_tune(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains until the time is up, saves the model into `out`, returns the trainer's log."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    class TimeLimit(TrainerCallback):
        started = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = time.monotonic() - self.started > 60 * arguments.minutes

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            shown = ("reward", "plp/correct", "completions/mean_length", "entropy")
            if "reward" in (logs or {}):
                line = "  ".join(f"{name} {float(logs[name]):.3f}" for name in shown)
                print(f"step {state.global_step:4d}  {line}", flush=True)

    torch.set_num_threads(arguments.threads)
    tokenizer = AutoTokenizer.from_pretrained(demo.path("verbose"))
    model = AutoModelForCausalLM.from_pretrained(demo.path("verbose"))
    sampled = model.generation_config
    reward = length_reward("plp", tokenizer, answers=AnswerRule(kind="integer"), alpha=arguments.alpha)
    trainer = RLOOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(ladders(arguments.seed, 20_000)),
        callbacks=[TimeLimit()],
        args=RLOOConfig(
            output_dir=str(out / "trainer"),
            per_device_train_batch_size=GROUP * GROUPS,
            num_generations=GROUP,
            max_completion_length=17 * LONGEST + 24,
            temperature=arguments.temperature,
            learning_rate=arguments.rate,
            lr_scheduler_type="constant",
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
    model.generation_config = sampled
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    return {"steps": trainer.state.global_step, "log": trainer.state.log_history}
