"""How many samples per problem: one number, or one per task."""

from __future__ import annotations

import re

from reghar.errors import InputError

DEFAULT_SAMPLES = 32
FIRST_SAMPLES = 4
"""Per problem in the first round with `--until-width`: fewer tell too little of their own spread."""
MOST_SAMPLES = 1_000_000


def parse_samples(text: str, tasks: tuple[str, ...]) -> dict[str, int]:
    """Samples by task from `32` or `aime24=32,math500=4`; a task not named there gets the default, 32."""
    if "=" not in text:
        return dict.fromkeys(tasks, _positive(text, "--samples"))
    samples = dict.fromkeys(tasks, DEFAULT_SAMPLES)
    for entry in text.split(","):
        name, _, number = entry.partition("=")
        name = name.strip().removeprefix("reghar_")
        if name not in samples:
            raise InputError(f"--samples names task {name!r}, which is not run; run are {', '.join(tasks)}")
        samples[name] = _positive(number, f"--samples {name}")
    return samples


def _positive(text: str, flag: str) -> int:
    if not re.fullmatch(r"\s*\d+\s*", text) or int(text) < 1:
        raise InputError(f"{flag} must be a whole number of at least 1, not {text.strip()!r}")
    if int(text) > MOST_SAMPLES:
        raise InputError(f"{flag} must be at most {MOST_SAMPLES}, not {text.strip()}")
    return int(text)
