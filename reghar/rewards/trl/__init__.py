"""Rewards as TRL's trainers call them: `f(prompts, completions, completion_ids, **columns) -> list[float]`.

    from reghar.rewards.trl import AnswerRule, length_reward
    reward = length_reward("plp", tokenizer, alpha=4, answers=AnswerRule(column="answer", kind="integer"))
    GRPOTrainer(..., reward_funcs=reward, args=GRPOConfig(..., scale_rewards="none"))

completions     what the trainer hands over, graded as the harness grades a run
whole           rewards of whole responses: plp, length_group_norm, length_harmonizing, token_budget
forced          reo_rl, q_spec: forced answers by a second generation on any engine

TRL itself is not imported here.
"""

from reghar.rewards.trl.completions import AnswerRule
from reghar.rewards.trl.forced import ForcedReward, forced_reward
from reghar.rewards.trl.whole import LengthReward, length_reward

__all__ = ["AnswerRule", "ForcedReward", "LengthReward", "forced_reward", "length_reward"]
