"""What `reghar run` without `--tasks` runs on a demo model: the whole curve in about a minute."""

MODEL = "demo:verbose"
TASK = "ladder"

SAMPLES = "2"
MAX_TOKENS = 1024
STEP, LARGEST = 32, 704
"""The longest ladders need some 600 tokens of `demo:verbose`."""

BUDGETS = ",".join(str(budget) for budget in range(0, LARGEST + 1, STEP))
FRONTIER = "ladder"
