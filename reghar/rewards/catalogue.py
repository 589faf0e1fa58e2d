"""A reward by its name, with its settings checked once: what the command line and the trainer share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from reghar.errors import InputError
from reghar.rewards.forced_answers import q_spec, reo_rl
from reghar.rewards.inputs import Array
from reghar.rewards.length import length_group_norm, length_harmonizing, plp, token_budget

Reward = Callable[..., Array]

WHOLE: Mapping[str, Reward] = {
    "plp": plp,
    "length_group_norm": length_group_norm,
    "length_harmonizing": length_harmonizing,
    "token_budget": token_budget,
}
"""Rewards of whole responses: called with lengths (k,) and correct (k,)."""

FORCED_REWARDS: Mapping[str, Reward] = {"reo_rl": reo_rl, "q_spec": q_spec}
"""Rewards of forced answers: called with rights (k, N + 1)."""

PER_PROBLEM: Mapping[str, tuple[str, ...]] = {
    "length_harmonizing": ("ref_length", "ref_accuracy"),
    "q_spec": ("minimal_budget",),
}
"""Arguments that differ from problem to problem: data, not settings."""

OVER_GROUPS = frozenset({"length_group_norm"})
"""Rewards of one response that depend on the others of its group."""


def reward_named(name: str, settings: Mapping[str, Any]) -> Reward:
    """The reward with its settings bound; `PER_PROBLEM` arguments are still to be given.

    Raises InputError for an unknown name, and a setting that is unknown, missing or out of range.
    """
    known = {**WHOLE, **FORCED_REWARDS}
    if name not in known:
        raise InputError(f"unknown reward {name!r}; there are {', '.join(known)}")
    takes = {
        parameter.name: parameter.default is inspect.Parameter.empty
        for parameter in inspect.signature(known[name]).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        and parameter.name not in PER_PROBLEM.get(name, ())
    }
    if unknown := sorted(set(settings) - set(takes)):
        raise InputError(f"{name} takes no {', '.join(unknown)}; it takes {', '.join(takes)}")
    if missing := [key for key, needed in takes.items() if needed and key not in settings]:
        raise InputError(f"{name} needs {', '.join(missing)}: give a value")
    reward: Reward = partial(known[name], **settings)
    _try(name, reward, settings)
    return reward


def _try(name: str, reward: Reward, settings: Mapping[str, Any]) -> None:
    """Settings out of range are refused now, and not in the middle of a training."""
    if name == "q_spec":
        reward([[0, 0]], minimal_budget=settings["l_max"] / 2)
    elif name in FORCED_REWARDS:
        reward([[0] * (len(settings["budgets"]) + 1)])
    else:
        reward([1], [1], **dict.fromkeys(PER_PROBLEM.get(name, ()), 1.0))
