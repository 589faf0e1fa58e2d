"""What suits the demo models where a flag is not given: the whole curve in about a minute."""

from typing import Any

MODEL = "demo:verbose"

STEP, LARGEST = 32, 512
"""The longest ladders need some 420 tokens of `demo:verbose`."""

DEMO_DEFAULTS: dict[str, Any] = {
    "tasks": ("ladder",),
    "samples": "2",
    "budgets": ",".join(str(budget) for budget in range(0, LARGEST + 1, STEP)),
    "max_tokens": 1024,
    "frontier": "auto",
}
"""By the name of the setting."""
