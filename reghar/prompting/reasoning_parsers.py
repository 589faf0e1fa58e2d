"""Thinking delimiters by the name of the server's reasoning parser (`vllm serve --reasoning-parser`)."""

from __future__ import annotations

from typing import Any

from reghar.errors import InputError
from reghar.prompting.thinking import FAMILIES

_THINK, _S1, _MAGISTRAL, _SEED, _HARMONY, _GEMMA, _MINIMAX_M3, _COHERE, _KIMI_VL, _GRANITE = FAMILIES

_OF_THINK = (
    "deepseek_r1 deepseek_v3 ernie45 glm45 hunyuan_a13b kimi_k2 mimo minimax_m2 nemotron_v3 olmo3 qwen3 step3"
)
PARSERS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_OF_THINK.split(), _THINK),
    "mistral": _MAGISTRAL,
    "seed_oss": _SEED,
    "openai_gptoss": _HARMONY,
    "gemma4": _GEMMA,
    "minimax_m3": _MINIMAX_M3,
    "cohere_command": _COHERE,
    "granite": _GRANITE,
}
"""Those that need no vLLM to be told."""


def parser_delimiters(name: str, tokenizer: Any) -> tuple[str, str]:
    """What a reasoning parser takes as the ends of the thinking. Raises `InputError`.

    `tokenizer` is the `transformers` tokenizer of the model, for parsers that only vLLM knows.
    """
    if name in PARSERS:
        return PARSERS[name]
    try:
        from vllm.reasoning import ReasoningParserManager

        parser = ReasoningParserManager.get_reasoning_parser(name)(tokenizer)
        ends = parser.reasoning_start_str, parser.reasoning_end_str
    except Exception as error:  # whatever a parser raises for a model that is not its own
        raise InputError(
            f"--reasoning-parser {name!r} cannot be had: {error or type(error).__name__}; known without vLLM "
            f"are {', '.join(sorted(PARSERS))}; or give --thinking-delimiters"
        ) from error
    if not all(ends):
        raise InputError(
            f"--reasoning-parser {name!r} states no delimiters of its own; give --thinking-delimiters"
        )
    return str(ends[0]), str(ends[1])
