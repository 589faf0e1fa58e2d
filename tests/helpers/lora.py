"""LoRA adapters of an embedded model, as PEFT saves them, with weights of no training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reghar import demo


def write_adapter(folder: Path, model: str, *, scale: float, rank: int = 4) -> Path:
    """An adapter of `demo:MODEL`, of queries and values; `scale` 0 leaves the model as it is."""
    from safetensors.numpy import save_file

    config = json.loads((demo.path(model) / "config.json").read_text())
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    widths = {"q_proj": config["num_attention_heads"], "v_proj": config["num_key_value_heads"]}
    draw = np.random.default_rng(7)
    weights = {}
    for layer in range(layers):
        for name, heads in widths.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{place}.lora_A.weight"] = draw.normal(size=(rank, hidden)).astype(np.float32)
            shape = heads * config["head_dim"], rank
            weights[f"{place}.lora_B.weight"] = (scale * draw.normal(size=shape)).astype(np.float32)
    folder.mkdir(parents=True)
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": f"demo:{model}",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted(widths),
        "bias": "none",
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder
