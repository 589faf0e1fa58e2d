"""What a user asks of a run: a field a flag of `reghar run`, stored in `run.json`."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from reghar.errors import InputError
from reghar.protocol import BudgetCounts, Unclosed
from reghar.store.manifest import Manifest

DEFAULT_MAX_TOKENS = 32_768
DEFAULT_SAMPLES = 32
FIRST_SAMPLES = 4
"""Per problem in the first round with `until_width`: fewer tell too little of their own spread."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """All that `reghar run` was told, before anything of it is looked up."""

    model: str
    revision: str | None = None
    tasks: tuple[str, ...]
    include_paths: tuple[str, ...] = ()
    data_dir: str | None = None
    limit: int | None = None
    """Only the first problems of each task."""
    samples: str = str(DEFAULT_SAMPLES)
    """A number, or `task=number,...`; with `until_width` the most."""
    until_width: float | None = None
    """Add samples in rounds until the interval of every task's final accuracy is narrower, percentage
    points; None for all samples at once."""
    budgets: str = "reg"
    """See `reghar.budgets.parse_budgets`."""
    budget_counts: BudgetCounts = "response"
    max_tokens: int | None = None
    """Most tokens a trace; None for 32,768, or what the context allows."""
    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    """Texts that end a response."""
    seed: int = 0
    probe: str | None = None
    probe_text: str | None = None
    probe_temperature: float | None = None
    max_answer_tokens: int | None = None
    system_prompt: str | None = None
    chat_template_arguments: dict[str, Any] = field(default_factory=dict)
    date: str | None = None
    """The day that a chat template may tell, as YYYY-MM-DD; None for a fixed one."""
    thinking: tuple[str, str] | None = None
    """Delimiters of the thinking block; None finds them."""
    reasoning_parser: str | None = None
    """Name of the server's parser, whose delimiters are taken."""
    control: str = "force"
    """Method of test-time control; see `reghar.prompting.control`."""
    control_settings: tuple[str, ...] = ()
    """Its settings as the user wrote them; empty for the defaults."""
    wait_strings: tuple[str, ...] = ()
    """What `wait` appends in the place of an ignored end of thinking; empty for `Wait` alone."""
    control_user: str | None = None
    """Text of `template` after the question, with `{setting}`."""
    control_system: str | None = None
    """Text of `effort` or `template` in the system prompt, with `{setting}`."""
    unclosed: Unclosed = "grade"
    """See `reghar.protocol.Unclosed`; without effect where no prompt opens a thinking block."""
    frontier: str = "auto"
    interval: Literal["problems", "samples"] = "problems"
    engine: str = "vllm"
    engine_arguments: dict[str, Any] = field(default_factory=dict)
    concurrency: int = 64
    """Traces in flight at a time; with `ray`, on each replica."""
    body: dict[str, Any] = field(default_factory=dict)
    """Fields of every request to a chat server; None removes one of ours."""
    price_in: float | None = None
    """Of a million prompt tokens, in any currency; for the engine `chat`."""
    price_out: float | None = None
    """Of a million response tokens."""
    max_cost: float | None = None
    """Most that the run may cost, all its sessions together; None for no cap."""
    served_model_name: str | None = None
    """What the servers call the model, where that is not its own name."""
    base_url: str | None = None
    """Of the servers, comma-separated; for the engine `openai`."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the servers' key; the key itself is never kept."""
    request_timeout: float = 600.0
    """Longest silence of a server in the middle of a request, in seconds."""
    patience: float = 120.0
    """Seconds without an answer from any server after which the run ends."""
    replicas: int = 1
    """Engines that Ray places."""
    address: str | None = None
    """Of a Ray cluster; None starts one on this machine."""


MOST_SAMPLES = 1_000_000
MOST_TEMPERATURE = 2.0
"""What vLLM and the OpenAI API take."""
SEEDS = 2**32
"""How many there are: what vLLM takes."""


def check_settings(settings: RunSettings) -> None:
    """Raises `InputError` for the first setting that cannot be."""
    try:
        json.dumps(asdict(settings), ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"a flag holds text that is not UTF-8: {error.object[:80]!a}") from error
    checks: list[tuple[bool, str]] = [
        (
            "hf_token" in settings.engine_arguments,
            "--engine-arg hf_token would be stored with the run; export HF_TOKEN instead",
        ),
        (
            not 0 <= settings.seed < SEEDS,
            f"--seed must be a whole number from 0 to {SEEDS - 1}, not {settings.seed}",
        ),
        (not settings.tasks, "--tasks is empty; see `reghar tasks list`"),
        (
            not 0 <= settings.temperature <= MOST_TEMPERATURE,
            f"--temperature must be from 0 to {MOST_TEMPERATURE:g}, not {settings.temperature}",
        ),
        (not 0 < settings.top_p <= 1, f"--top-p must be in (0, 1], not {settings.top_p}"),
        (settings.top_k < 0, f"--top-k must be at least 0, not {settings.top_k}"),
        (not 0 <= settings.min_p <= 1, f"--min-p must be in [0, 1], not {settings.min_p}"),
        (
            settings.probe_temperature is not None
            and not 0 <= settings.probe_temperature <= MOST_TEMPERATURE,
            f"--probe-temperature must be from 0 to {MOST_TEMPERATURE:g}, not {settings.probe_temperature}",
        ),
        *(
            (
                not -2 <= value <= 2,
                f"--{name}-penalty must be from -2 to 2, not {value}",
            )
            for name, value in (
                ("presence", settings.presence_penalty),
                ("frequency", settings.frequency_penalty),
            )
        ),
        (
            not 0 < settings.repetition_penalty <= 2,
            f"--repetition-penalty must be above 0 and at most 2, not {settings.repetition_penalty}",
        ),
        ("" in settings.stop, "--stop is empty; give the text that ends a response"),
        (
            settings.date is not None and not _is_date(settings.date),
            f"--date must be a day such as 2026-01-31, not {settings.date!r}",
        ),
        (settings.concurrency < 1, f"--concurrency must be at least 1, not {settings.concurrency}"),
        (settings.replicas < 1, f"--replicas must be at least 1, not {settings.replicas}"),
        (
            not 0 < settings.request_timeout < math.inf,
            f"--request-timeout must be above 0 seconds, not {settings.request_timeout}",
        ),
        (
            not 0 <= settings.patience < math.inf,
            f"--patience must be at least 0 seconds, not {settings.patience}",
        ),
        (
            settings.limit is not None and settings.limit < 1,
            f"--limit must be at least 1, not {settings.limit}",
        ),
        (
            settings.max_tokens is not None and settings.max_tokens < 1,
            f"--max-tokens must be at least 1, not {settings.max_tokens}",
        ),
        (
            settings.until_width is not None and not 0 < settings.until_width < 100,
            f"--until-width must be above 0 and below 100 percentage points, not {settings.until_width}",
        ),
        (
            len(set(settings.tasks)) < len(settings.tasks),
            f"--tasks names a task twice: {','.join(settings.tasks)}",
        ),
    ]
    checks += _chat_checks(settings) if settings.engine == "chat" else _other_checks(settings)
    for wrong, message in checks:
        if wrong:
            raise InputError(message)


def _chat_checks(settings: RunSettings) -> list[tuple[bool, str]]:
    """What a server that shows no tokens cannot do."""
    probes = (settings.probe, settings.probe_text, settings.probe_temperature, settings.max_answer_tokens)
    prices = (settings.price_in, settings.price_out)
    return [
        (settings.base_url is None, "--engine chat needs --base-url, such as https://api.example.com/v1"),
        (
            settings.budgets != "reg" or settings.budget_counts != "response",
            "a chat server's replies cannot be cut, so there are no budgets: leave out --budgets; lengths "
            "end at --max-tokens",
        ),
        (
            any(p is not None for p in probes),
            "a chat server's replies cannot be cut, so no answer can be forced: leave out the probe",
        ),
        (
            settings.control not in ("force", "body"),
            f"--control {settings.control} forces answers, which a chat server cannot: give --control body "
            "--settings reasoning_effort=low,...",
        ),
        (
            settings.control == "force" and bool(settings.control_settings),
            "--settings needs --control body with --engine chat, such as reasoning_effort=low",
        ),
        (
            settings.control == "body" and not settings.control_settings,
            "--control body needs --settings, such as reasoning_effort=low,reasoning_effort=high",
        ),
        (
            bool(settings.top_k or settings.min_p),
            "the chat API has no top_k and min_p; where the server takes them, give --body top_k=20",
        ),
        (
            bool(settings.stop),
            "a chat server ends its own replies: give --body 'stop=[\"TEXT\"]', not --stop",
        ),
        (
            bool(settings.chat_template_arguments) or settings.thinking is not None,
            "a chat server renders its own template: leave out --chat-template-arg and "
            "--thinking-delimiters, or give fields of the request with --body",
        ),
        (
            any(p is not None and not 0 <= p < math.inf for p in (*prices, settings.max_cost)),
            "--price-in, --price-out and --max-cost must be numbers of at least 0",
        ),
        (
            any(key.lower() in _SECRET for key in settings.body),
            "--body would be stored with the key in it: export the key and name it with --api-key-env",
        ),
        (
            settings.max_cost is not None and None in prices,
            "--max-cost needs --price-in and --price-out, per million tokens",
        ),
    ]


_SECRET = ("api_key", "apikey", "authorization", "key", "token")
"""Fields of a body that hold a key."""


def _other_checks(settings: RunSettings) -> list[tuple[bool, str]]:
    """Flags that only a chat server has a use for."""
    given = (settings.body, settings.price_in, settings.price_out, settings.max_cost)
    return [
        (
            any(value not in (None, {}) for value in given),
            "--body, --price-in, --price-out and --max-cost belong to --engine chat",
        ),
        (
            settings.base_url is not None and settings.engine != "openai",
            f"--base-url is of no use to --engine {settings.engine}: give --engine openai or chat",
        ),
    ]


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


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


def stored_settings(manifest: Manifest) -> RunSettings:
    """The settings that a stored run was started with; one whose samples came in rounds has those it came to.

    Raises `InputError` for another version's.
    """
    stored = dict(manifest.settings)
    if stored.get("until_width") is not None:
        tasks = manifest.protocol.tasks.items()
        stored |= {"until_width": None, "samples": ",".join(f"{name}={t.samples}" for name, t in tasks)}
    for name in ("tasks", "include_paths", "control_settings", "wait_strings", "stop"):
        stored[name] = tuple(stored.get(name, ()))
    stored["thinking"] = tuple(stored["thinking"]) if stored.get("thinking") else None
    try:
        return RunSettings(**stored)
    except TypeError as error:
        raise InputError(f"the run was written by another version of reghar: {error}") from error
