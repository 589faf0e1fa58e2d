"""How a model's makers sample from it: its `generation_config.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reghar.errors import InputError, not_json
from reghar.prompting.tokenizer import locate_model

NEUTRAL: Mapping[str, float | int] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""What is read of the file, and the value of each that it leaves out: the one that changes nothing, as for
vLLM's server."""


def recommended_sampling(model: str, revision: str | None = None) -> dict[str, float | int]:
    """All of `NEUTRAL` as the model's file has it. Raises `InputError` where there is none, or none of them.

    Where the file says `do_sample: false` without a temperature, that is 0.
    """
    file = _find(model, revision)
    told = _read(file)
    found = {name: _number(file, name, value) for name in NEUTRAL if (value := told.get(name)) is not None}
    if told.get("do_sample") is False:
        found.setdefault("temperature", 0.0)
    if not found:
        raise InputError(
            f"the generation_config.json of model {model!r} says nothing of sampling: leave out --sampling "
            "model, and give --temperature and the like"
        )
    if found.get("top_k", 0) < 0:
        found["top_k"] = 0  # written for "all" by some
    return {**NEUTRAL, **found}


def _find(model: str, revision: str | None) -> Path:
    from transformers.utils import cached_file

    from reghar.hub import hub_errors, hub_reason, hub_silence

    path = locate_model(model)
    on_hub = not Path(path).is_dir()
    if on_hub:
        hub_silence()
    try:
        file = cached_file(
            path,
            "generation_config.json",
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
        )
    except hub_errors() as error:
        raise InputError(
            f"the generation_config.json of model {model!r} cannot be read: {hub_reason(error)}"
        ) from error
    if file is None:
        raise InputError(
            f"model {model!r} has no generation_config.json: leave out --sampling model, and give "
            "--temperature and the like"
        )
    return Path(file)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {not_json(error)}; restore it") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no JSON object; restore it")
    return content


def _number(file: Path, name: str, value: Any) -> float | int:
    kind = type(NEUTRAL[name])
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or kind(value) != value:
        flag = f"--{name.replace('_', '-')}"
        raise InputError(f"{file}: {name} is {str(value)[:60]!r}, which cannot be: mend it, or give {flag}")
    return kind(value)
