"""Rewards and advantages for training, from verdicts of the same grader that evaluates.

length           rewards of whole responses: plp, length_group_norm, length_harmonizing, token_budget
forced_answers   rewards of forced answers at budgets: reo_rl, q_spec, and REO-RL's advantages by segment
advantages       rloo, grpo
catalogue        a reward by name, with its settings
of_run           what a reward would prefer among the traces of a stored run
trl              the same rewards as TRL's trainers call them

Pure functions over one group (the k responses to one prompt) and numpy alone, but for the last two.
"""

from reghar.rewards.advantages import grpo, rloo
from reghar.rewards.forced_answers import q_spec, reo_rl, reo_rl_coefficients, segment_advantages
from reghar.rewards.length import length_group_norm, length_harmonizing, plp, token_budget

__all__ = [
    "grpo",
    "length_group_norm",
    "length_harmonizing",
    "plp",
    "q_spec",
    "reo_rl",
    "reo_rl_coefficients",
    "rloo",
    "segment_advantages",
    "token_budget",
]
