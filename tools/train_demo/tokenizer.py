r"""The word-level tokenizer of the demo's models: a word, a digit or a sign is one token.

Lossless: tokens keep their spaces, and a word that is not in the vocabulary is spelled in known
words and letters. Only characters beyond ASCII become `<unk>`.
"""

from __future__ import annotations

from typing import Any

from reghar.demo.ladder import LABELS, MODULUS
from tools.train_demo import prompts
from tools.train_demo.reasoning import AGAIN, END_THINK, THINK

PAD, UNKNOWN, TURN, END = "<|pad|>", "<unk>", "<|im_start|>", "<|im_end|>"

WORDS = r" [-+=][0-9]|\([a-x]\)|\*\*|\\[A-Za-z]+\{?| (?:[-+=]|->) | ?[A-Za-z]+|10|[0-9]|\n+|[:,.] |[\s\S]"
"""What is one word: an operation such as ` +4`, a step's label, a command with its brace, a digit, ...

The modulus is a word as well, so that before the first step the last digit is the start.
"""

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""As Qwen's: no token before the first turn, and the model itself opens its thinking block."""


def build() -> Any:
    """The tokenizer, ready to be saved: a `transformers.PreTrainedTokenizerFast`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    texts = (
        *prompts.TEXTS,
        AGAIN,
        "system\nuser\nassistant\n",
        "Climb the ladder from 0, counting modulo 10:\n(a) +1,\n(b) -1.\nWhere do you stand?",
        "(a) +1, 1 -> 2\n(b) -1. 2\nCheck: 2 -1 =1. Keep 2\n\n\nThe answer is \\boxed{2}.",
        *(f" {sign}{operand}" for sign in "+-" for operand in range(1, MODULUS)),
        *(f" ={value}" for value in range(MODULUS)),
        *(f"({label})" for label in LABELS),
    )
    words = {word for text in texts for word, _ in split.pre_tokenize_str(text)}
    letters = {chr(code) for code in range(32, 127)} | {"\n", "\t", "\r"}
    vocabulary = [PAD, UNKNOWN, TURN, END, THINK, END_THINK, *sorted(words | letters)]
    tokenizer = Tokenizer(
        # WordPiece without a prefix: the whole word where it is known, else the longest known pieces.
        models.WordPiece(
            {word: number for number, word in enumerate(vocabulary)},
            unk_token=UNKNOWN,
            continuing_subword_prefix="",
        )
    )
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (PAD, UNKNOWN, TURN, END)])
    tokenizer.add_tokens([AddedToken(token, special=False) for token in (THINK, END_THINK)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
