"""How engines are told to serve a thinking budget: the lines to paste, where they are documented."""

from __future__ import annotations

import json
import shlex

from reghar.prompting.probes import CLOSE_THINKING
from reghar.store import StoredRun

_VLLM = "https://docs.vllm.ai/en/stable/features/reasoning_outputs/"
_SGLANG = "https://docs.sglang.io/docs/advanced_features/thinking_budget"
_LLAMA_CPP = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"


def lines_to_paste(run: StoredRun, budget: int | None) -> list[dict[str, str | None]]:
    """`engine`, `server` (its command), `request` (fields of the body, or None) and `documented` (where) of
    every engine that can do what the run measured.

    Empty where no budget is recommended, it does not count thinking tokens, or the model has no thinking
    block. What stands after the delimiter is part of vLLM's text; llama.cpp and SGLang write nothing
    there, so they are named only for wrap-ups with nothing but blanks after it, and SGLang, which has
    no text before it either, only for the delimiter alone.
    """
    delimiters = run.protocol.prompt.thinking
    if budget is None or run.protocol.budget_counts != "thinking" or delimiters is None:
        return []
    opening, closing = delimiters
    wrap_up = run.manifest.settings.get("wrap_up") is not None
    text = run.protocol.probe.text.replace(CLOSE_THINKING, closing) if wrap_up else closing
    model = shlex.quote(run.name)
    config = json.dumps({"reasoning_start_str": opening, "reasoning_end_str": text}, ensure_ascii=False)
    lines: list[dict[str, str | None]] = [
        {
            "engine": "vLLM",
            "server": f"vllm serve {model} --reasoning-config {shlex.quote(config)}",
            "request": json.dumps({"thinking_token_budget": budget}),
            "documented": _VLLM,
        }
    ]
    before, _, after = text.partition(closing)
    if not after.strip():
        message = f" --reasoning-budget-message {shlex.quote(before)}" if before else ""
        lines.append(
            {
                "engine": "llama.cpp",
                "server": f"llama-server -m MODEL.gguf --jinja --reasoning-budget {budget}{message}",
                "request": None,
                "documented": _LLAMA_CPP,
            }
        )
        if not before:
            lines.append(
                {
                    "engine": "SGLang",
                    "server": f"sglang serve --model-path {model} --reasoning-parser NAME "
                    "--enable-strict-thinking",
                    "request": json.dumps({"custom_params": {"thinking_budget": budget}}),
                    "documented": _SGLANG,
                }
            )
    return lines
