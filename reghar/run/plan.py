"""The plan of a run: everything that can be checked and counted before an engine loads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reghar.prompting.adapters import Adapter
from reghar.prompting.probes import Probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.thinking import Delimiters
from reghar.prompting.tokenizer import Model
from reghar.protocol import PLAIN, Protocol, Setting
from reghar.run.context import cuts, forces_at_the_end, probe_room
from reghar.run.samples import parse_samples
from reghar.run.settings import RunSettings
from reghar.tasks import Problem, Task


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked run."""

    settings: RunSettings
    model: Model
    tasks: dict[str, Task]
    problems: dict[str, list[Problem]]
    prompt: PromptFormat
    delimiters: Delimiters | None
    probe: Probe
    control: tuple[Setting, ...]
    """Settings of the control method beside the plain evaluation."""
    protocol: Protocol
    longest_prompt: int
    """Tokens."""
    notes: tuple[str, ...]
    """What a reader of the run has to know."""
    adapter: Adapter | None = None
    """The LoRA adapter that is measured; None for the model itself."""

    def pairs(self) -> Iterator[tuple[Problem, int]]:
        """Every (problem, sample), tasks, problems and samples interleaved so that the batch stays full."""
        samples = self.samples
        for sample in range(max(samples.values())):
            for name, problems in self.problems.items():
                if sample < samples[name]:
                    for problem in problems:
                        yield problem, sample

    def traces(self) -> Iterator[tuple[Problem, int, Setting]]:
        """Every (problem, sample, setting) whose trace begins anew, in that order."""
        settings = [PLAIN, *(setting for setting in self.control if setting.after is None)]
        for problem, sample in self.pairs():
            for setting in settings:
                yield problem, sample, setting

    def traces_of(self, task: str) -> int:
        """Traces of one task, continued ones included."""
        return len(self.problems[task]) * self.protocol.tasks[task].samples * (1 + len(self.control))

    @property
    def clusters(self) -> dict[str, tuple[str, ...]]:
        """The cluster of each problem, by task; only tasks that declare clusters."""
        return {
            name: tuple(str(problem.cluster) for problem in self.problems[name])
            for name, task in self.tasks.items()
            if task.cluster is not None
        }

    @property
    def samples(self) -> dict[str, int]:
        """Samples per problem, by task."""
        return {name: self.protocol.tasks[name].samples for name in self.tasks}

    @property
    def most_samples(self) -> dict[str, int]:
        """Samples per problem that the run may come to, by task: more than `samples` where they come in
        rounds."""
        return parse_samples(self.settings.samples, tuple(self.tasks))

    def with_samples(self, samples: Mapping[str, int]) -> Plan:
        """The same with other numbers of samples per problem, by task."""
        tasks = {name: replace(task, samples=samples[name]) for name, task in self.protocol.tasks.items()}
        return replace(self, protocol=replace(self.protocol, tasks=tasks))

    @property
    def context_needed(self) -> int:
        """Tokens that the longest request can take, prompt and response together."""
        most = self.protocol.sampling.max_tokens
        forced = self._largest_budget
        if forces_at_the_end(self.settings, self.control):
            forced = max(forced, most)
        return self.longest_prompt + max(most, forced + self._answer_room)

    @property
    def _largest_budget(self) -> int:
        """At which an answer is forced, tokens of the response."""
        return cuts(self.protocol.budgets, self.control, self.delimiters)[-1]

    @property
    def _answer_room(self) -> int:
        return probe_room(self.probe, self.model, self.delimiters)


def output_folder(plan: Plan) -> Path:
    """Where a run goes by default: found again by `--resume` with the same flags."""
    model = re.sub(r"[^\w.-]+", "-", plan.settings.model).strip("-.")[-60:] or "model"
    model = model if plan.adapter is None else f"{model}+{plan.adapter.name}"
    # In rounds the number of samples is not known beforehand: the first round's digest stands for all.
    rounds = "" if plan.settings.until_width is None else "-until-width"
    return Path("results") / f"{model}-{plan.protocol.digest[:8]}-seed{plan.settings.seed}{rounds}"
