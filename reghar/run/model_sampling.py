"""`--sampling model`: numbers for what no flag says, from the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reghar.errors import InputError
from reghar.prompting.generation_config import recommended_sampling
from reghar.prompting.scripted import SCRIPTED_MODEL


def with_model_sampling(given: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields of `RunSettings`, with those of sampling that were not given as the model has them.

    As they are where `sampling` is not `model`. Raises `InputError` for a model that does not say.
    """
    if given.get("sampling") != "model":
        return dict(given)
    model = given["model"]
    if given.get("engine") in ("chat", "scripted") or model == SCRIPTED_MODEL:
        what = "a chat server's model" if given.get("engine") == "chat" else "the scripted model"
        raise InputError(
            f"{what} has no generation_config.json here: leave out --sampling model, and give --temperature "
            "and the like"
        )
    return {**recommended_sampling(model, given.get("revision")), **given}
