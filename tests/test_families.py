"""Chat templates of published families, in their documented form: where thinking begins and ends in tokens,
of whole responses and of every one cut short."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from jinja2 import Environment

from reghar.prompting.scripted import ByteTokenizer
from reghar.prompting.thinking import Block, BlockFinder, find_block, find_delimiters, opened_by_prompt

THOUGHT, ANSWER = "6 x 7: 40 + 2", "\n\nIt is 42."


@dataclass(frozen=True, kw_only=True)
class Family:
    """How one family writes a turn; `before` ends where its thinking begins."""

    name: str
    user: str
    """Around `{question}`."""
    assistant: str
    """What the template ends with, for the model to go on."""
    open: str
    close: str
    model_writes: str = ""
    """Before its thinking, where the template does not open it."""


CHATML = "<|im_start|>user\n{question}<|im_end|>\n"
FAMILIES = [
    Family(
        name="DeepSeek-R1",
        user="<\uff5cUser\uff5c>{question}",
        assistant="<\uff5cAssistant\uff5c><think>\n",
        open="<think>",
        close="</think>",
    ),
    Family(
        name="Qwen3",
        user=CHATML,
        assistant="<|im_start|>assistant\n",
        open="<think>",
        close="</think>",
        model_writes="<think>",
    ),
    Family(
        name="GLM",
        user="[gMASK]<sop><|user|>\n{question}",
        assistant="<|assistant|>",
        open="<think>",
        close="</think>",
        model_writes="\n<think>",
    ),
    Family(
        name="Kimi K2",
        user="<|im_user|>user<|im_middle|>{question}<|im_end|>",
        assistant="<|im_assistant|>assistant<|im_middle|>",
        open="<think>",
        close="</think>",
        model_writes="<think>",
    ),
    Family(
        name="MiniMax M2",
        user="]~b]user\n{question}[e~[\n",
        assistant="]~b]ai\n<think>\n",
        open="<think>",
        close="</think>",
    ),
    Family(
        name="Nemotron",
        user="<SPECIAL_11>User\n{question}\n",
        assistant="<SPECIAL_11>Assistant\n<think>\n",
        open="<think>",
        close="</think>",
    ),
    Family(
        name="Hunyuan",
        user="<|startoftext|>{question}",
        assistant="<|extra_0|>",
        open="<think>",
        close="</think>",
        model_writes="<think>",
    ),
    Family(
        name="Granite 3.2",
        user="<|start_of_role|>user<|end_of_role|>{question}<|end_of_text|>\n",
        assistant="<|start_of_role|>assistant<|end_of_role|>",
        open="Here is my thought process:",
        close="Here is my response:",
        model_writes="Here is my thought process:",
    ),
    Family(
        name="s1",
        user=CHATML,
        assistant="<|im_start|>assistant\n",
        open="<|im_start|>think",
        close="<|im_start|>answer",
        model_writes="<|im_start|>think",
    ),
    Family(
        name="Magistral",
        user="[INST]{question}",
        assistant="[/INST]",
        open="[THINK]",
        close="[/THINK]",
        model_writes="[THINK]",
    ),
    Family(
        name="Seed-OSS",
        user="<seed:bos>user\n{question}<seed:eos>",
        assistant="<seed:bos>assistant\n",
        open="<seed:think>",
        close="</seed:think>",
        model_writes="<seed:think>",
    ),
    Family(
        name="gpt-oss",
        user="<|start|>user<|message|>{question}<|end|>",
        assistant="<|start|>assistant",
        open="<|channel|>analysis<|message|>",
        close="<|end|><|start|>assistant<|channel|>final<|message|>",
        model_writes="<|channel|>analysis<|message|>",
    ),
    Family(
        name="Gemma",
        user="<|turn>user\n{question}<turn|>\n",
        assistant="<|turn>model\n",
        open="<|channel>thought",
        close="<channel|>",
        model_writes="<|channel>thought",
    ),
]


class Templated(ByteTokenizer):
    """Knows the delimiters from its template alone, as most tokenizers do; `<think>` is one token, all
    others are several."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        user = family.user.replace("{question}", "{{ message.content }}")
        spoken = f"{family.open}{{{{ message.thinking }}}}{family.close}{{{{ message.content }}}}"
        self.template = (
            "{% for message in messages %}{% if message.role == 'user' %}"
            f"{user}{{% else %}}{spoken}{{% endif %}}{{% endfor %}}{family.assistant}"
        )

    def is_known(self, text: str) -> bool:
        return text in self.template

    def prompt(self, question: str) -> str:
        environment = Environment(keep_trailing_newline=True)  # noqa: S701 - text for a model, no HTML
        messages = [{"role": "user", "content": question}]
        return environment.from_string(self.template).render(messages=messages)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_thinking_begins_and_ends_where_the_family_writes_it(family: Family) -> None:
    tokenizer = Templated(family)
    delimiters = find_delimiters(tokenizer)
    assert delimiters is not None
    assert (delimiters.open, delimiters.close) == (family.open, family.close)
    prompt = tokenizer.encode_text(tokenizer.prompt("6 x 7?"))
    opened = opened_by_prompt(prompt, delimiters)
    assert opened is (family.model_writes == "")

    start = len(tokenizer.encode_text(family.model_writes))
    end = start + len(tokenizer.encode_text(THOUGHT))
    after = end + len(tokenizer.encode_text(family.close))
    ids = tokenizer.encode_text(f"{family.model_writes}{THOUGHT}{family.close}{ANSWER}")
    assert find_block(ids, delimiters, opened=opened) == Block(start, end, after)
    growing = BlockFinder(delimiters, opened=opened)
    for cut in range(len(ids) + 1):
        block = find_block(ids[:cut], delimiters, opened=opened)
        assert growing.find(ids[:cut]) == block
        if cut >= after:
            assert block == Block(start, end, after)
        elif cut >= start:
            assert block == Block(start, None, cut), (
                "cut in the middle it is open, whatever of the end stands"
            )
        else:
            assert block.start is None


def test_a_template_that_closes_an_empty_block_opens_none() -> None:
    """Qwen3's with `enable_thinking=false`."""
    tokenizer = Templated(FAMILIES[1])
    delimiters = find_delimiters(tokenizer)
    prompt = tokenizer.prompt("6 x 7?") + "<think>\n\n</think>\n\n"
    assert not opened_by_prompt(tokenizer.encode_text(prompt), delimiters)
