"""Trains one of the demo's models: `python -m tools.train_demo NAME [--seed N] [--output FOLDER]`.

A Llama of half a million parameters learns short ladders first, then ladders of all lengths, and what
to answer when it is cut off. `terse` starts from nothing; the others start from `terse`, which can do
the sums already. Minutes on two cores; prints what it has learned.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from reghar.demo import MODELS
from reghar.demo.ladder import graded, rungs, task_ladders, unseen
from tools.train_demo import tokenizer
from tools.train_demo.evaluate import evaluate
from tools.train_demo.examples import Example, Writer, batches

LESSONS = {"terse": (700, 1300), "verbose": (300, 1100), "wanderer": (100, 1200)}
"""Optimizer steps spent on short ladders, and then on ladders of all lengths."""

BATCH_TOKENS = 4096

HELD_OUT_SEED, HELD_OUT = 77, 230
"""Problems that are neither the task's nor seen in training: ten of each length."""

PEAK_RATE, LAST_RATE = 2e-3, 5e-5
MOST_TOKENS = 640
"""Longest response in the evaluation."""


def model_for(vocabulary: Any) -> Any:
    """An untrained `LlamaForCausalLM` for this tokenizer; heads of 32 are the smallest that vLLM takes."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokens = {
        "bos_token_id": None,
        "eos_token_id": vocabulary.eos_token_id,
        "pad_token_id": vocabulary.pad_token_id,
    }
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=-(-len(vocabulary) // 64) * 64,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            initializer_range=0.05,
            **tokens,
        )
    )
    model.generation_config = GenerationConfig(do_sample=True, temperature=0.6, top_p=0.95, **tokens)
    return model


def train(model: Any, data: Iterator[list[Example]], steps: int, peak: float = PEAK_RATE) -> None:
    """Trains for `steps` optimizer steps, the rate `peak` at first and then falling; writes the loss."""
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01)
    started = time.perf_counter()
    for step in range(1, steps + 1):
        decay = min(1.0, (steps - step) / (0.6 * steps))
        for group in optimizer.param_groups:
            group["lr"] = min(1.0, step / 30) * (LAST_RATE + (peak - LAST_RATE) * decay)
        ids, weights = _padded(next(data))
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        losses = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (losses * weights[:, 1:].flatten()).sum() / weights[:, 1:].sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps:
            _say(f"step {step:5d}  loss {loss.item():.4f}  {time.perf_counter() - started:6.1f} s")


def _padded(examples: list[Example]) -> tuple[Any, Any]:
    import torch

    longest = max(len(example.ids) for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    weights = torch.zeros(len(examples), longest)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    return ids, weights


def _report(model: Any, writer: Writer, held_out: tuple[Any, ...]) -> None:
    for greedy in (False, True):
        figures = evaluate(model, writer, held_out, MOST_TOKENS, greedy=greedy)
        _say(
            f"{'greedy     ' if greedy else 'temp. 0.6  '}"
            f"accuracy {figures.accuracy:.3f}  tokens {figures.tokens:.1f}  finished {figures.finished:.3f}  "
            f"probe: value reached {figures.probe_reached:.3f}, "
            f"right before the last step {figures.probe_ahead:.3f}"
        )
        _say("  accuracy by steps: " + "  ".join(f"{n}:{a:.2f}" for n, a in figures.by_length.items()))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Trains, evaluates on held-out problems and saves one model."""
    import torch

    parser = argparse.ArgumentParser(description="Train one of the demo's models.")
    parser.add_argument("name", choices=list(MODELS))
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the training data")
    parser.add_argument("--output", type=Path, help="folder to write (default: the model's own)")
    parser.add_argument("--start", type=Path, help="folder of the terse model to start from")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()

    started = time.perf_counter()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    vocabulary = tokenizer.build()
    model = model_for(vocabulary)
    if arguments.name != "terse":
        model.load_state_dict(type(model).from_pretrained(arguments.start or MODELS["terse"]).state_dict())
    held_out = graded(HELD_OUT_SEED, HELD_OUT, apart_from=frozenset(task_ladders()))
    forbidden = frozenset((*task_ladders(), *held_out))
    writer = Writer(arguments.name, vocabulary, arguments.seed)
    _say(f"{arguments.name}: {sum(p.numel() for p in model.parameters())} parameters, seed {arguments.seed}")
    short, long = LESSONS[arguments.name]
    data = chain(
        islice(batches(writer, rungs(arguments.seed), BATCH_TOKENS, arguments.seed), short),
        batches(writer, unseen(arguments.seed, forbidden), BATCH_TOKENS, arguments.seed),
    )
    train(model, data, short + long)
    _say(f"trained in {time.perf_counter() - started:.0f} s")
    folder = arguments.output or MODELS[arguments.name]
    model.eval()
    model.save_pretrained(folder)
    vocabulary.save_pretrained(folder)
    _report(model, writer, held_out)
    _say(f"written to {folder} after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
