"""The callback in transformers' own trainer, against a server that goes away in the middle."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.loopback import Loopback, serving
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from reghar import demo
from reghar.callbacks import ReasoningEfficiency
from reghar.errors import InputError
from reghar.report.schema import Report

SMALL = {"samples": "2", "limit": 3, "max_tokens": 256, "frontier": "none"}


class Leaves(TrainerCallback):  # type: ignore[misc]
    """Ends the server before the second step."""

    def __init__(self, server: Loopback) -> None:
        self.server = server

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.global_step == 1:
            self.server.die()


def trained(folder: Path, steps: int, callbacks: list[TrainerCallback]) -> Trainer:
    """A few steps of the smallest model there is."""
    row = {"input_ids": torch.arange(1, 9), "labels": torch.arange(1, 9)}
    trainer = Trainer(
        AutoModelForCausalLM.from_pretrained(demo.path("terse")),
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=1,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=[row] * 4,
        callbacks=callbacks,
    )
    trainer.train()
    return trainer


def test_training_goes_on_without_its_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    synced: list[int] = []
    with serving() as server, caplog.at_level(logging.INFO, logger="reghar.callbacks"):
        callback = ReasoningEfficiency(
            "ladder",
            [0, 64, 256],
            base_url=server.url,
            every=1,
            model="scripted",
            sync=lambda: synced.append(len(server.bodies)),
            patience=0.5,
            **SMALL,
        )
        (tmp_path / "reghar" / "step-1").mkdir(parents=True)  # of an earlier training
        trainer = trained(tmp_path, 3, [callback, Leaves(server)])
    assert trainer.state.global_step == 3
    assert list(callback.reports) == [1]
    report = Report.read(tmp_path / "reghar" / "step-1-2")
    assert report == callback.reports[1]
    assert report.tasks["ladder"].curve.budgets == (0, 64, 256)
    assert report.tasks["ladder"].samples == 2
    found = report.tasks["ladder"].measure("mean_length")
    (logged,) = [entry for entry in trainer.state.log_history if "reghar/ladder/mean_length" in entry]
    assert found is not None
    assert (logged["step"], logged["reghar/ladder/mean_length"]) == (1, found.value)
    assert synced[0] == 0 < synced[1]
    assert len(synced) == 3
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    (warning,) = [message for message in warned if "evaluated" in message]
    assert "step 2 was not evaluated" in warning
    assert server.url in warning
    assert any("step 1: " in record.getMessage() for record in caplog.records)


def test_it_evaluates_when_it_is_time_on_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = ReasoningEfficiency("ladder", base_url="http://127.0.0.1:1", every=2, model="scripted")
    evaluated: list[int] = []
    monkeypatch.setattr(callback, "_evaluate", lambda _, state: evaluated.append(state.global_step))
    trained(tmp_path, 5, [callback])
    assert evaluated == [2, 4]

    class Second:
        global_step, is_world_process_zero = 6, False

    callback.on_step_end(TrainingArguments(output_dir=str(tmp_path), use_cpu=True), Second(), None)
    assert evaluated == [2, 4]


def test_the_model_in_training_names_the_tokenizer(tmp_path: Path) -> None:
    callback = ReasoningEfficiency("ladder", base_url="http://127.0.0.1:1", every=9, top_p=0.5, stop=("-x",))
    trained(tmp_path, 1, [callback])
    assert callback.model == str(demo.path("terse"))
    assert {"--top-p=0.5", "--stop=-x", "--engine=openai", f"--model={callback.model}"} <= set(
        callback._words()
    )
    nameless = ReasoningEfficiency("ladder", base_url="http://127.0.0.1:1", every=9)
    with pytest.raises(InputError, match="has no name"):
        nameless.on_train_begin(None, None, None, model=torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tasks": "laddder"}, "did you mean ladder"),
        ({"budgets": "expo:3"}, "budget 'expo:3'"),
        ({"every": 0}, "at least 1 step"),
        ({"temprature": 1}, "no setting 'temprature'"),
        ({"top_p": 2.0}, "--top-p must be"),
        ({"project": "P"}, "belongs to track"),
        ({"track": "tensorboard"}, "none of trackio, wandb, mlflow"),
    ],
)
def test_bad_input_is_said_before_training(given: dict[str, Any], says: str) -> None:
    settings = {"tasks": "ladder", "base_url": "http://127.0.0.1:1", "every": 1, **given}
    with pytest.raises(InputError, match=says):
        ReasoningEfficiency(**settings)
