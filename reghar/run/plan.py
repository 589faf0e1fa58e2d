"""The plan of a run: everything that can be checked and counted before an engine loads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from reghar.budgets import parse_budgets
from reghar.engines.version import require_version
from reghar.errors import InputError
from reghar.frontiers.choose import choose_frontier
from reghar.grading.version import grader_version
from reghar.prompting.control import make_settings
from reghar.prompting.probes import NO_PROBE, Probe, make_probe
from reghar.prompting.prompts import PLACEHOLDER, PROMPT_DATE, PromptFormat
from reghar.prompting.reasoning_parsers import parser_delimiters
from reghar.prompting.scripted import SCRIPTED_MODEL, scripted_model
from reghar.prompting.thinking import Delimiters, find_delimiters, opened_by_prompt
from reghar.prompting.tokenizer import Model, load_model
from reghar.protocol import (
    PLAIN,
    ControlProtocol,
    ProbeProtocol,
    PromptProtocol,
    Protocol,
    SamplingProtocol,
    Setting,
    TaskProtocol,
    Tokens,
    Unclosed,
)
from reghar.run.checks import check_settings
from reghar.run.samples import FIRST_SAMPLES, parse_samples
from reghar.run.settings import DEFAULT_MAX_TOKENS, RunSettings
from reghar.tasks import Problem, Task, load_problems, load_task, problems_digest


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
        return _cuts(self.protocol.budgets, self.control, self.delimiters)[-1]

    @property
    def _answer_room(self) -> int:
        return probe_room(self.probe, self.model, self.delimiters)


def make_plan(settings: RunSettings) -> Plan:
    """Checks the settings against tasks, data and model. Raises `InputError`; loads no engine."""
    check_settings(settings)
    plan = _chat_plan(settings) if settings.engine == "chat" else _token_plan(settings)
    return plan if settings.until_width is None else _first_round(plan)


def _first_round(plan: Plan) -> Plan:
    for name, most in plan.most_samples.items():
        if most < FIRST_SAMPLES:
            raise InputError(
                f"--until-width begins with {FIRST_SAMPLES} samples a problem: --samples must be at least "
                f"{FIRST_SAMPLES}, not {most} ({name})"
            )
    return plan.with_samples(dict.fromkeys(plan.tasks, FIRST_SAMPLES))


def _token_plan(settings: RunSettings) -> Plan:
    """The plan of a run with an engine that shows its tokens."""
    if settings.control == "body":
        raise InputError("--control body sets fields of a chat server's requests: give --engine chat")
    probe = make_probe(settings.probe, settings.probe_text, settings.max_answer_tokens)
    budgets = parse_budgets(settings.budgets, settings.max_tokens)
    tasks = _load_tasks(settings)
    samples = parse_samples(settings.samples, tuple(tasks))
    # The model first: a name that does not exist is said before any data set is fetched.
    model, tokens, served_notes = _ask_servers(settings, _load_model(settings))
    problems = {name: load_problems(task, settings.data_dir, settings.limit) for name, task in tasks.items()}
    prompt = PromptFormat(
        tokenizer=model.tokenizer,
        system=settings.system_prompt,
        arguments=settings.chat_template_arguments,
        today=PROMPT_DATE if settings.date is None else date.fromisoformat(settings.date),
    )
    if settings.date is not None and not prompt.tells_date:
        raise InputError("--date has no effect: the model's chat template tells no date; leave it out")
    delimiters = find_delimiters(model.tokenizer, _thinking(settings, model))
    control = _control(settings, budgets, delimiters)
    prompts = [prompt.with_setting(setting) for setting in (PLAIN, *control) if setting.after is None]
    longest = max(
        len(each.encode(p.question)) for each in prompts for several in problems.values() for p in several
    )
    cuts = _cuts(budgets, control, delimiters)
    room = probe_room(probe, model, delimiters)
    at_end = room if forces_at_the_end(settings, control) else 0
    max_tokens, notes = _fit_context(settings, model, longest, cuts, room, at_end)
    notes += served_notes
    if prompt.is_plain:
        notes.append("the model has no chat template: questions are asked as plain text, without one")
    protocol = Protocol(
        tasks={
            name: _task_protocol(task, problems[name], samples[name], settings)
            for name, task in tasks.items()
        },
        budgets=budgets,
        budget_counts=settings.budget_counts,
        sampling=SamplingProtocol(
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            min_p=settings.min_p,
            presence_penalty=settings.presence_penalty,
            frequency_penalty=settings.frequency_penalty,
            repetition_penalty=settings.repetition_penalty,
            stop=settings.stop,
            max_tokens=max_tokens,
        ),
        probe=ProbeProtocol(
            name=probe.name,
            text=probe.text,
            temperature=settings.temperature
            if settings.probe_temperature is None
            else settings.probe_temperature,
            max_answer_tokens=probe.max_answer_tokens,
        ),
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
        control=_control_protocol(settings, control),
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


def _chat_plan(settings: RunSettings) -> Plan:
    """The plan of a run with a chat server: no tokenizer, no probe, and one budget, the most tokens."""
    max_tokens = DEFAULT_MAX_TOKENS if settings.max_tokens is None else settings.max_tokens
    tasks = _load_tasks(settings)
    samples = parse_samples(settings.samples, tuple(tasks))
    problems = {name: load_problems(task, settings.data_dir, settings.limit) for name, task in tasks.items()}
    # Where a bound of a prompt's tokens is needed, bytes stand for them: a token is at least a byte.
    model = replace(scripted_model(), name=settings.model, path=settings.model, context_length=None)
    prompt = PromptFormat(tokenizer=model.tokenizer, system=settings.system_prompt)
    control = _control(settings, (max_tokens,), None)
    protocol = Protocol(
        tasks={
            name: _task_protocol(task, problems[name], samples[name], settings)
            for name, task in tasks.items()
        },
        budgets=(max_tokens,),
        budget_counts="response",
        sampling=SamplingProtocol(
            temperature=settings.temperature, top_p=settings.top_p, top_k=0, min_p=0.0, max_tokens=max_tokens
        ),
        probe=ProbeProtocol(
            name=NO_PROBE.name, text=NO_PROBE.text, temperature=settings.temperature, max_answer_tokens=0
        ),
        prompt=PromptProtocol(
            template=PLACEHOLDER, system=settings.system_prompt, arguments=settings.body, thinking=None
        ),
        tokens="reported",
        grader=grader_version(),
        control=_control_protocol(settings, control),
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
        notes=("lengths are tokens as the server reports them; there are no budgets, and so no REG",),
    )


def _thinking(settings: RunSettings, model: Model) -> tuple[str, str] | None:
    """The delimiters that the user named; None to look for them."""
    if settings.reasoning_parser is None:
        return settings.thinking
    if settings.thinking is not None:
        raise InputError("--reasoning-parser and --thinking-delimiters exclude each other; give one of them")
    return parser_delimiters(settings.reasoning_parser, getattr(model.tokenizer, "pretrained", None))


def _control(
    settings: RunSettings, budgets: tuple[int, ...], delimiters: Delimiters | None
) -> tuple[Setting, ...]:
    control = make_settings(
        settings.control,
        settings.control_settings,
        budgets=budgets,
        wait_strings=settings.wait_strings,
        user=settings.control_user,
        system=settings.control_system,
    )
    if delimiters is None and any(setting.after is not None and not setting.appended for setting in control):
        raise InputError(
            "--wait-string none bars the delimiter that ends the thinking, and the model has none; "
            "give --thinking-delimiters, or a string"
        )
    return control


def _control_protocol(settings: RunSettings, control: tuple[Setting, ...]) -> ControlProtocol:
    """The method, and each setting with all that it asks; of `force` the budgets that were named."""
    named = not control and settings.control_settings
    budgets = tuple(sorted(int(entry) for entry in settings.control_settings)) if named else None
    return ControlProtocol(method=settings.control, settings=control, budgets=budgets)


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


def _cuts(
    budgets: tuple[int, ...], control: tuple[Setting, ...], delimiters: Delimiters | None
) -> tuple[int, ...]:
    """Budgets of the run and of its settings, in response tokens at most, increasing."""
    # Thinking tokens are counted from inside the block, whose opening stands within the first few.
    before = 8 + len(delimiters.open_ids) if delimiters is not None else 0
    asked = {budget + before for setting in control for budget in setting.budgets}
    return tuple(sorted({*budgets, *asked}))


def forces_at_the_end(settings: RunSettings, control: tuple[Setting, ...]) -> bool:
    """Whether an answer may be forced after all `max_tokens`: budgets of thinking tokens may never cut a
    response that has little thinking and no end."""
    return settings.budget_counts == "thinking" or any(setting.budgets for setting in control)


def probe_room(probe: Probe, model: Model, delimiters: Delimiters | None) -> int:
    """Most tokens that a probe and its answer add to a cut trace."""
    text = probe.render(delimiters, thinking_open=True)
    return len(model.tokenizer.encode_text(text)) + probe.max_answer_tokens


def _load_tasks(settings: RunSettings) -> dict[str, Task]:
    tasks = [load_task(name, settings.include_paths) for name in settings.tasks]
    return {task.name: task for task in tasks}


def _load_model(settings: RunSettings) -> Model:
    if settings.engine == "scripted":
        return scripted_model()
    if settings.model != SCRIPTED_MODEL:
        if settings.engine == "vllm":
            require_version()
        trusted = settings.engine_arguments.get("trust_remote_code") is True
        return load_model(settings.model, settings.revision, trust_remote_code=trusted)
    if settings.engine == "vllm":
        raise InputError("model 'scripted' has no weights: give --engine scripted")
    return scripted_model()


def _ask_servers(settings: RunSettings, model: Model) -> tuple[Model, Tokens, list[str]]:
    """With the engine `openai`: the model with the servers' context, how tokens travel, and notes."""
    if settings.engine != "openai":
        return model, "ids", []
    from reghar.engines.preflight import base_urls, inspect_server

    if settings.base_url is None:
        raise InputError("--engine openai needs --base-url, such as http://localhost:8000")
    servers = [
        inspect_server(url, model, settings.api_key_env, served_name=settings.served_model_name)
        for url in base_urls(settings.base_url)
    ]
    lengths = [n for n in (model.context_length, *(s.context_length for s in servers)) if n is not None]
    notes = [
        f"the server at {server.url} {' and '.join(server.lacks)}: its text is tokenized again, "
        "so that cuts are not exactly where the model's tokens end; the protocol says tokens: text"
        for server in servers
        if server.lacks
    ]
    tokens: Tokens = "text" if notes else "ids"
    notes += [
        f"the server at {server.url} takes no top_k, min_p and repetition_penalty: its own defaults hold"
        for server in servers
        if not server.takes_sampling
    ]
    return replace(model, context_length=min(lengths, default=None)), tokens, notes


def _fit_context(
    settings: RunSettings,
    model: Model,
    longest_prompt: int,
    budgets: tuple[int, ...],
    room: int,
    at_end: int,
) -> tuple[int, list[str]]:
    """The most tokens a trace may have, and notes. Raises `InputError`, naming the number to change.

    `room` is what a probe and its answer need after a budget, `at_end` what they need after the longest
    trace.
    """
    asked = DEFAULT_MAX_TOKENS if settings.max_tokens is None else settings.max_tokens
    if budgets[-1] > asked:
        raise InputError(
            f"largest budget {budgets[-1]} exceeds --max-tokens {asked}; raise it or cut the budgets"
        )
    context = _context(settings, model)
    if context is None:
        return asked, []
    needed = longest_prompt + budgets[-1] + room
    if needed > context:
        raise InputError(
            f"context too short: prompt {longest_prompt} + largest budget {budgets[-1]} "
            f"+ probe and answer {room} = {needed} tokens, but the context holds {context}; "
            f"lower the largest budget to {max(0, context - longest_prompt - room)}"
            " or raise --engine-arg max_model_len"
        )
    allowed = context - longest_prompt - at_end
    if allowed >= asked:
        return asked, []
    return allowed, [f"max_tokens is {allowed}, not {asked}: the context holds {context} tokens"]


def _context(settings: RunSettings, model: Model) -> int | None:
    """Tokens of prompt and response together; None where nothing is known."""
    asked = settings.engine_arguments.get("max_model_len")
    if asked is None:
        return model.context_length
    if not isinstance(asked, int) or asked < 1:
        raise InputError(f"--engine-arg max_model_len must be a number of tokens from 1 on, not {asked!r}")
    return asked


def _task_protocol(task: Task, problems: list[Problem], samples: int, settings: RunSettings) -> TaskProtocol:
    from reghar.grading import DEFAULT_TOLERANCE

    whole = problems if settings.limit is None else load_problems(task, settings.data_dir)
    return TaskProtocol(
        version=task.version,
        kind=task.answer.kind,
        tolerance=DEFAULT_TOLERANCE if task.answer.tolerance is None else task.answer.tolerance,
        fallback=task.answer.fallback,
        problem_ids=tuple(problem.id for problem in problems),
        problems_sha256=problems_digest(problems),
        of_problems=len(whole),
        samples=samples,
    )


def output_folder(plan: Plan) -> Path:
    """Where a run goes by default: found again by `--resume` with the same flags."""
    model = re.sub(r"[^\w.-]+", "-", plan.settings.model).strip("-.")[-60:] or "model"
    # In rounds the number of samples is not known beforehand: the first round's digest stands for all.
    rounds = "" if plan.settings.until_width is None else "-until-width"
    return Path("results") / f"{model}-{plan.protocol.digest[:8]}-seed{plan.settings.seed}{rounds}"
