"""How a plan is made: the settings checked against tasks, data and model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from reghar.budgets import parse_budgets
from reghar.engines.repetition import parse_repetition_detection
from reghar.errors import InputError
from reghar.frontiers.choose import choose_frontier
from reghar.grading.version import grader_version
from reghar.prompting.adapters import read_adapters
from reghar.prompting.probes import Probe, make_probe
from reghar.prompting.prompts import PROMPT_DATE, PromptFormat
from reghar.prompting.reasoning_parsers import parser_delimiters
from reghar.prompting.thinking import Delimiters, find_delimiters, opened_by_prompt
from reghar.prompting.tokenizer import Model
from reghar.prompting.wrap_ups import make_wrap_up, require_closing
from reghar.protocol import (
    PLAIN,
    ProbeProtocol,
    PromptProtocol,
    Protocol,
    SamplingProtocol,
    Unclosed,
)
from reghar.run.adapters import with_adapters
from reghar.run.chat_plan import chat_plan
from reghar.run.checks import check_settings
from reghar.run.context import cuts, fit_context, forces_at_the_end, probe_room
from reghar.run.control import control_of, control_protocol
from reghar.run.model import ask_servers, model_of
from reghar.run.plan import Plan
from reghar.run.questions import (
    check_probe,
    default_probe,
    examples_of,
    problems_of,
    sandbox_notes,
    task_protocols,
    tasks_of,
)
from reghar.run.samples import FIRST_SAMPLES, parse_samples
from reghar.run.settings import RunSettings
from reghar.tasks import Problem, Task


def make_plan(settings: RunSettings) -> Plan:
    """Checks the settings against tasks, data and model. Raises `InputError`; loads no engine."""
    check_settings(settings)
    plan = chat_plan(settings) if settings.engine == "chat" else _token_plan(settings)
    return plan if settings.until_width is None else _first_round(plan)


def make_plans(settings: RunSettings) -> list[Plan]:
    """As `make_plan`: one plan, or with `adapters` one for each, equal but for what is measured."""
    if not settings.adapters:
        return [make_plan(settings)]
    adapters = read_adapters(settings.adapters, settings.engine)
    return with_adapters(make_plan(settings), adapters)


def _first_round(plan: Plan) -> Plan:
    for name, most in plan.most_samples.items():
        if most < FIRST_SAMPLES:
            raise InputError(
                f"--until-width begins with {FIRST_SAMPLES} samples per problem: --samples must be at least "
                f"{FIRST_SAMPLES}, not {most} ({name})"
            )
    return plan.with_samples(dict.fromkeys(plan.tasks, FIRST_SAMPLES))


def _token_plan(settings: RunSettings) -> Plan:
    """The plan of a run with an engine that shows its tokens."""
    if settings.control == "body":
        raise InputError("--control body sets fields of a chat server's requests: give --engine chat")
    parse_repetition_detection(settings.repetition_detection)
    budgets = parse_budgets(settings.budgets, settings.max_tokens)
    tasks = tasks_of(settings)
    probe = _probe(settings, tasks)
    samples = parse_samples(settings.samples, tuple(tasks))
    # The model first: a name that does not exist is said before any data set is fetched.
    model, tokens, served_notes = ask_servers(settings, model_of(settings))
    problems = problems_of(settings, tasks)
    prompt = replace(_prompt_format(settings, model), examples=examples_of(settings, tasks))
    delimiters = find_delimiters(model.tokenizer, _thinking(settings, model))
    if settings.wrap_up is not None:
        require_closing(probe, delimiters)
    control = control_of(settings, budgets, delimiters)
    prompts = [prompt.with_setting(setting) for setting in (PLAIN, *control) if setting.after is None]
    longest = max(
        len(each.encode(p.question, p.task))
        for each in prompts
        for several in problems.values()
        for p in several
    )
    room = probe_room(probe, model, delimiters)
    at_end = room if forces_at_the_end(settings, control) else 0
    forced_at = cuts(budgets, control, delimiters)
    max_tokens, notes = fit_context(settings, model, longest, forced_at, room, at_end)
    notes += [*served_notes, *sandbox_notes(settings, tasks)]
    if prompt.is_plain:
        notes.append("the model has no chat template: questions are asked as plain text, without one")
    protocol = Protocol(
        tasks=task_protocols(settings, tasks, problems, samples),
        budgets=budgets,
        budget_counts=settings.budget_counts,
        sampling=_sampling(settings, max_tokens),
        probe=_probe_protocol(settings, probe),
        prompt=PromptProtocol(
            template=prompt.template,
            system=settings.system_prompt,
            arguments=settings.chat_template_arguments,
            thinking=(delimiters.open, delimiters.close) if delimiters else None,
            date=prompt.today.isoformat() if prompt.tells_date else None,
        ),
        tokens=tokens,
        unclosed=_unclosed(settings, prompts, problems, delimiters),
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
        delimiters=delimiters,
        probe=probe,
        control=control,
        protocol=protocol,
        longest_prompt=longest,
        notes=tuple(notes),
    )


def _prompt_format(settings: RunSettings, model: Model) -> PromptFormat:
    prompt = PromptFormat(
        tokenizer=model.tokenizer,
        system=settings.system_prompt,
        arguments=settings.chat_template_arguments,
        today=PROMPT_DATE if settings.date is None else date.fromisoformat(settings.date),
    )
    if settings.date is not None and not prompt.tells_date:
        raise InputError("--date has no effect: the model's chat template tells no date; leave it out")
    return prompt


def _sampling(settings: RunSettings, max_tokens: int) -> SamplingProtocol:
    return SamplingProtocol(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        min_p=settings.min_p,
        presence_penalty=settings.presence_penalty,
        frequency_penalty=settings.frequency_penalty,
        repetition_penalty=settings.repetition_penalty,
        stop=settings.stop,
        repetition_detection=parse_repetition_detection(settings.repetition_detection),
        max_tokens=max_tokens,
    )


def _probe(settings: RunSettings, tasks: Mapping[str, Task]) -> Probe:
    """What is appended at a cut."""
    if settings.wrap_up is not None:
        return make_wrap_up(settings.wrap_up, settings.max_answer_tokens)
    probe = make_probe(settings.probe, settings.probe_text, settings.max_answer_tokens, default_probe(tasks))
    check_probe(probe, tasks)
    return probe


def _probe_protocol(settings: RunSettings, probe: Probe) -> ProbeProtocol:
    own = settings.probe_temperature
    return ProbeProtocol(
        name=probe.name,
        text=probe.text,
        temperature=settings.temperature if own is None else own,
        max_answer_tokens=probe.max_answer_tokens,
    )


def _thinking(settings: RunSettings, model: Model) -> tuple[str, str] | None:
    """The delimiters that the user named; None to look for them."""
    if settings.reasoning_parser is None:
        return settings.thinking
    if settings.thinking is not None:
        raise InputError("--reasoning-parser and --thinking-delimiters exclude each other; give one of them")
    return parser_delimiters(settings.reasoning_parser, getattr(model.tokenizer, "pretrained", None))


def _unclosed(
    settings: RunSettings,
    prompts: list[PromptFormat],
    problems: dict[str, list[Problem]],
    delimiters: Delimiters | None,
) -> Unclosed:
    """The rule where it can matter: where a template opens the thinking block for the model."""
    question = next(iter(problems.values()))[0].question
    opened = any(opened_by_prompt(prompt.encode(question), delimiters) for prompt in prompts)
    return settings.unclosed if opened else "no_answer"
