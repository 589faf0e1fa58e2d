"""The plan of a run with a chat server, which shows no tokens."""

from __future__ import annotations

from dataclasses import replace

from reghar.frontiers.choose import choose_frontier
from reghar.grading.version import grader_version
from reghar.prompting.probes import NO_PROBE
from reghar.prompting.prompts import QUESTION_PLACEHOLDER, PromptFormat
from reghar.prompting.scripted import scripted_model
from reghar.protocol import ProbeProtocol, PromptProtocol, Protocol, SamplingProtocol
from reghar.run.control import control_of, control_protocol
from reghar.run.plan import Plan
from reghar.run.questions import problems_of, sandbox_notes, task_protocols, tasks_of
from reghar.run.samples import parse_samples
from reghar.run.settings import DEFAULT_MAX_TOKENS, RunSettings


def chat_plan(settings: RunSettings) -> Plan:
    """The plan of a run with a chat server: no tokenizer, no probe, and one budget, the most tokens."""
    max_tokens = DEFAULT_MAX_TOKENS if settings.max_tokens is None else settings.max_tokens
    tasks = tasks_of(settings)
    samples = parse_samples(settings.samples, tuple(tasks))
    problems = problems_of(settings, tasks)
    # Where a bound of a prompt's tokens is needed, bytes stand for them: a token is at least a byte.
    model = replace(scripted_model(), name=settings.model, path=settings.model, context_length=None)
    prompt = PromptFormat(tokenizer=model.tokenizer, system=settings.system_prompt)
    control = control_of(settings, (max_tokens,), None)
    protocol = Protocol(
        tasks=task_protocols(settings, tasks, problems, samples),
        budgets=(max_tokens,),
        budget_counts="response",
        sampling=SamplingProtocol(
            temperature=settings.temperature, top_p=settings.top_p, top_k=0, min_p=0.0, max_tokens=max_tokens
        ),
        probe=ProbeProtocol(
            name=NO_PROBE.name, text=NO_PROBE.text, temperature=settings.temperature, max_answer_tokens=0
        ),
        prompt=PromptProtocol(
            template=QUESTION_PLACEHOLDER,
            system=settings.system_prompt,
            arguments=settings.body,
            thinking=None,
        ),
        tokens="reported",
        grader=grader_version(),
        control=control_protocol(settings, control),
    )
    choose_frontier(settings.frontier, model=settings.model, protocol=protocol)
    return Plan(
        settings=settings,
        model=model,
        tasks=tasks,
        problems=problems,
        prompt=prompt,
        delimiters=None,
        probe=NO_PROBE,
        control=control,
        protocol=protocol,
        longest_prompt=max(len(prompt.encode(p.question)) for each in problems.values() for p in each),
        notes=(
            "lengths are tokens as the server reports them; there are no budgets, and so no REG",
            *sandbox_notes(settings, tasks),
        ),
    )
