r"""What a harness may write around a ladder: instruction, requests for brevity, probes, forced waits.

The demo's models are trained to understand these (or not to mind them). Strings that papers expect
are quoted letter for letter.
"""

from __future__ import annotations

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""As the R1 and Qwen families expect it."""

BOX = "\n\nFinal Answer: \\boxed{"

PROBES = {
    "reo-rl": "\n\nOh, I suddenly got the answer to the whole problem. **Final Answer**:\n\n\\[ \\boxed{",
    "final-answer": BOX,
}
"""Probes that open a box wherever the response stands (REG, appendix E, after Dynasor)."""

CONTROL = (
    "Think for up to 0123456789 tokens.",
    "Think for up to 0123456789 steps.",
    "Answer after a short amount of thinking. Do not spend excessive time double-checking your work.",
    "Answer after a long amount of thinking. If you feel like you are finished early, spend the extra"
    " time trying to double-check your work until you are absolutely sure that you have the correct answer.",
)
"""s1's requests in the prompt: the demo's models have not learned to obey, only not to mind."""

WAITS = ("Wait", "Hmm", "Alternatively")
"""What budget forcing appends where the model would have ended its thinking (s1)."""

TEXTS = (
    INSTRUCTION,
    *PROBES.values(),
    *CONTROL,
    *WAITS,
    "**Final Answer:** Final Answer:\n",
    "Wait, still 0.\n",
)

CLOSINGS = ("</think>", "\n</think>", "</think>\n\n", "\n</think>\n\n")
"""How thinking that is still open may be closed from outside."""
