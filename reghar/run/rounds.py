"""Samples in rounds: a run that may add samples until its interval is narrow enough.

`run.json` always plans the round at hand. Its protocol is written anew, with more samples, before a round
begins, so that a run that stopped in the middle of a round is an incomplete run with that many samples.
"""

from __future__ import annotations

from collections.abc import Callable

from reghar.errors import InputError
from reghar.protocol import Protocol
from reghar.run.pending import PendingJobs
from reghar.run.plan import Plan
from reghar.run.provenance import new_manifest
from reghar.run.samples import FIRST_SAMPLES
from reghar.run.scoring import PartScorer
from reghar.store import StoredRun, load_run
from reghar.store.folder import RunFolder

NextRound = Callable[[StoredRun], dict[str, int]]
"""From a run whose round is complete to the samples that each task should have: at least what it has."""


class Rounds:
    """What is left of the round at hand, and the rounds after it."""

    def __init__(
        self, folder: RunFolder, plan: Plan, scorer: PartScorer, next_round: NextRound | None
    ) -> None:
        """`next_round` is None where the plan is the whole run."""
        self.plan = plan
        self.pending = PendingJobs(folder, plan)
        self.totals = {name: plan.traces_of(name) for name in plan.tasks}
        """Traces by task; grows in place with every round."""
        self._folder = folder
        self._scorer = scorer
        self._next_round = next_round

    def advance(self) -> bool:
        """After a complete round: plans the next one and returns True, or False where it was the last."""
        if self._next_round is None:
            return False
        self._scorer.wait()
        samples = self._next_round(load_run(self._folder.path))
        if samples == self.plan.samples:
            return False
        self.plan = self.plan.with_samples(samples)
        manifest = self._folder.manifest or new_manifest(self.plan)
        self._folder.write_manifest(
            manifest.with_fields(protocol=self.plan.protocol, digest=self.plan.protocol.digest, end=None)
        )
        self.pending = PendingJobs(self._folder, self.plan)
        self.totals.update((name, self.plan.traces_of(name)) for name in self.plan.tasks)
        return True


def resumed_round(plan: Plan, stored: Protocol, was_in_rounds: bool) -> Plan:
    """The plan with as many samples as the stored run has come to, where both go in rounds.

    Raises InputError where the stored run holds more samples than the plan allows, or only one of the two
    goes in rounds.
    """
    if (plan.settings.until_width is not None) != was_in_rounds:
        first, second = ("with", "without") if was_in_rounds else ("without", "with")
        raise InputError(
            f"the stored run was started {first} --until-width and cannot go on {second} it; "
            "give the flags it was started with, or another --out"
        )
    if not was_in_rounds or stored.tasks.keys() != plan.tasks.keys():
        return plan  # other differences are said where protocols are compared
    samples = {name: task.samples for name, task in stored.tasks.items()}
    for name, most in plan.most_samples.items():
        if not FIRST_SAMPLES <= samples[name] <= most:
            raise InputError(
                f"the stored run has {samples[name]} samples per problem of {name}, more than the {most} "
                f"that --samples allows; give at least --samples {samples[name]}"
            )
    return plan.with_samples(samples)
