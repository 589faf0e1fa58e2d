"""What a user asks of a run: each field a flag of `reghar run`, declared here alone, stored in `run.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_origin

from reghar.errors import InputError
from reghar.generation.release import Release
from reghar.protocol import BudgetCounts, Unclosed
from reghar.run.options import Bounds, Option, option, options_of
from reghar.run.samples import DEFAULT_SAMPLES

if TYPE_CHECKING:
    from reghar.store.manifest import Manifest

EngineName = Literal["vllm", "openai", "chat", "ray", "scripted"]
DEFAULT_MAX_TOKENS = 32_768
SEEDS = 2**32
"""How many there are: what vLLM takes."""
_TEMPERATURES = Bounds(low=0, high=2)
"""What vLLM and the OpenAI API take."""
_PENALTIES = Bounds(low=-2, high=2)
_MONEY = Bounds(low=0)
_POSITIVE = Bounds(low=1)

# The groups of the help, in its order.
_WHAT = "what to run"
_CURVE = "the curve"
_CONTROL = "test-time control (docs/control.md)"
_SAMPLING = "sampling and prompt"
ENGINE_AND_OUTPUT = "engine and output"
_SERVERS = "servers (--engine openai, chat)"
_CHAT = "chat servers (--engine chat, docs/chat.md)"
_REPLICAS = "replicas (--engine ray)"


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """All that `reghar run` was told, before anything of it is looked up.

    A field's flag, help, default and bounds are its `option`; what stands below it is what the help leaves
    out.
    """

    model: str = option(_WHAT, "folder, hub name, or demo:NAME", default_text="demo:verbose")
    revision: str | None = option(_WHAT, "revision of a hub model", default=None)
    adapters: tuple[str, ...] = option(
        _WHAT,
        "LoRA adapters of the model, a run for each in one engine; base among them: the model itself",
        metavar="NAME=PATH[,NAME=PATH...]",
        commas=True,
        default=(),
    )
    """Of a stored run its own one."""
    tasks: tuple[str, ...] = option(
        _WHAT, "comma-separated names; see `reghar tasks list`; a demo model needs none", commas=True
    )
    include_paths: tuple[str, ...] = option(
        _WHAT,
        "folder with task YAML files of your own",
        flags=("--include-path", "--include_path"),  # the second is lm-eval's
        metavar="DIR",
        default=(),
    )
    data_dir: str | None = option(
        _WHAT, "read DIR/<task>.jsonl[.gz] instead of the hub", metavar="DIR", default=None
    )
    limit: int | None = option(
        _WHAT, "only the first N problems of each task", metavar="N", bounds=_POSITIVE, default=None
    )
    window: str | None = option(
        _WHAT,
        "of tasks with dated contests, only problems from one day to another",
        metavar="FIRST,LAST",
        default=None,
        default_text="the task's own",
    )
    samples: str = option(
        _WHAT,
        "samples per problem: a number, or aime24=32,gsm8k=4",
        metavar="N",
        default=str(DEFAULT_SAMPLES),
    )
    """With `until_width` the most."""
    until_width: float | None = option(
        _WHAT,
        "4 samples first, then more in rounds, up to --samples, until the 95% interval of every task's final "
        "accuracy is narrower than W",
        metavar="W",
        bounds=Bounds(low=0, above=True, high=100, below=True, unit="percentage points"),
        default=None,
    )
    seed: int = option(_WHAT, "seed of the run", bounds=Bounds(low=0, high=SEEDS - 1), default=0)

    budgets: str = option(_CURVE, "reg, reg-32k, exp:N, linear:N or a list of tokens", default="reg")
    """See `reghar.budgets.parse_budgets`."""
    budget_counts: BudgetCounts = option(
        _CURVE, "tokens that a budget counts: all of the response, or its thinking alone", default="response"
    )
    max_tokens: int | None = option(
        _CURVE,
        "longest trace, in tokens",
        metavar="N",
        bounds=_POSITIVE,
        default=None,
        default_text=f"{DEFAULT_MAX_TOKENS}, or what the context allows",
    )
    probe: str | None = option(
        _CURVE,
        "reo-rl, final-answer, s1, summary or code",
        metavar="NAME",
        default=None,
        default_text="reo-rl; code for code tasks",
    )
    probe_text: str | None = option(
        _CURVE, "a probe of your own; {close_thinking} is filled in", metavar="TEXT", default=None
    )
    wrap_up: str | None = option(
        _CURVE,
        "in place of a probe what an engine's thinking budget appends, with a free answer after it: close, "
        "qwen, s1, seed, or a text with {close_thinking}; budgets then count thinking tokens",
        metavar="NAME",
        default=None,
    )
    """See `reghar.prompting.wrap_ups`."""
    probe_temperature: float | None = option(
        _CURVE,
        "temperature of forced answers",
        metavar="T",
        bounds=_TEMPERATURES,
        default=None,
        default_text="that of the traces",
    )
    max_answer_tokens: int | None = option(
        _CURVE,
        "longest forced answer, in tokens",
        metavar="N",
        default=None,
        default_text="64; 1024 without a box; 2048 for a program or after a wrap-up",
    )
    frontier: str = option(_CURVE, "auto, a name, a file, or none", default="auto")
    unclosed: Unclosed = option(
        _CURVE,
        "a finished response that never closed a thinking block which the prompt opened: graded as a whole, "
        "or no answer",
        default="grade",
    )
    """See `reghar.protocol.Unclosed`; without effect where no prompt opens a thinking block."""
    interval: Literal["problems", "samples"] = option(
        _CURVE, "bootstrap over problems, or over samples of these fixed problems", default="problems"
    )

    control: str = option(
        _CONTROL,
        "force (read off the curve), wait, tokens, steps, class, effort, template, or body",
        metavar="METHOD",
        default="force",
    )
    """See `reghar.prompting.control`."""
    control_settings: tuple[str, ...] = option(
        _CONTROL,
        "of the method: tokens, steps, times to ignore the end of thinking, efforts, or names",
        flags=("--settings",),
        metavar="A,B,...",
        commas=True,
        default=(),
    )
    wait_strings: tuple[str, ...] = option(
        _CONTROL,
        "in the place of an ignored end: Wait, none, or any text",
        flags=("--wait-string",),
        metavar="TEXT",
        default=(),
        default_text="Wait",
    )
    control_user: str | None = option(
        _CONTROL, "template: follows the question; holds {setting}", metavar="TEXT", default=None
    )
    control_system: str | None = option(
        _CONTROL, "effort, template: in the system prompt; holds {setting}", metavar="TEXT", default=None
    )

    sampling: Literal["flags", "model"] = option(
        _SAMPLING,
        "model: temperature, top_p, top_k, min_p and penalties from the model's generation_config.json, "
        "where no flag says otherwise",
        default="flags",
    )
    """Once resolved, by `reghar.run.model_sampling`, only a record: the numbers are in their own fields."""
    temperature: float = option(
        _SAMPLING, "temperature of the traces", metavar="T", bounds=_TEMPERATURES, default=0.6
    )
    top_p: float = option(
        _SAMPLING,
        "sample from the likeliest tokens of this probability together",
        metavar="P",
        bounds=Bounds(low=0, above=True, high=1),
        default=0.95,
    )
    top_k: int = option(
        _SAMPLING,
        "sample from the K likeliest tokens; 0: from all",
        metavar="K",
        bounds=Bounds(low=0),
        default=0,
    )
    min_p: float = option(
        _SAMPLING,
        "leave out tokens less likely than P times the likeliest; 0: none",
        metavar="P",
        bounds=Bounds(low=0, high=1),
        default=0.0,
    )
    presence_penalty: float = option(
        _SAMPLING,
        "against tokens that the response has already; 0 is off",
        metavar="P",
        bounds=_PENALTIES,
        default=0.0,
    )
    frequency_penalty: float = option(
        _SAMPLING,
        "the same, for each time that it has them; 0 is off",
        metavar="P",
        bounds=_PENALTIES,
        default=0.0,
    )
    repetition_penalty: float = option(
        _SAMPLING,
        "divides the weight of tokens that prompt or response have; 1 is off",
        metavar="P",
        bounds=Bounds(low=0, above=True, high=2),
        default=1.0,
    )
    stop: tuple[str, ...] = option(
        _SAMPLING, "ends a trace where it begins, for base models", metavar="TEXT", default=()
    )
    repetition_detection: str | None = option(
        _SAMPLING,
        "ends a trace that loops: a pattern of MIN to MAX tokens, COUNT times in a row, such as 16-512,3; it "
        "counts as unfinished",
        metavar="MIN-MAX,COUNT",
        default=None,
    )
    """See `reghar.protocol.RepetitionDetection`."""
    date: str | None = option(
        _SAMPLING,
        "what a chat template that tells the date is told",
        metavar="YYYY-MM-DD",
        default=None,
        default_text="2026-01-01, so that prompts stay the same tomorrow",
    )
    system_prompt: str | None = option(
        _SAMPLING,
        "system prompt",
        metavar="TEXT",
        default=None,
        default_text="what the chat template does without one",
    )
    few_shot: int = option(
        _SAMPLING,
        "examples that stand before every question: the first N of the task's own (fewshot_config)",
        metavar="N",
        bounds=Bounds(low=0),
        default=0,
    )
    chat_template: str | None = option(
        _SAMPLING,
        "Jinja file in the place of the tokenizer's own chat template",
        metavar="FILE",
        default=None,
    )
    chat_template_arguments: dict[str, Any] = option(
        _SAMPLING,
        "reaches the chat template, such as enable_thinking=false",
        flags=("--chat-template-arg",),
        metavar="KEY=VALUE",
        default={},
    )
    thinking: tuple[str, str] | None = option(
        _SAMPLING,
        "delimiters of the thinking block",
        flags=("--thinking-delimiters",),
        metavar=("OPEN", "CLOSE"),
        default=None,
        default_text="found from the tokenizer",
    )
    reasoning_parser: str | None = option(
        _SAMPLING,
        "thinking delimiters by the name of vLLM's parser: mistral, ...",
        metavar="NAME",
        default=None,
    )

    engine: EngineName = option(
        ENGINE_AND_OUTPUT,
        "vllm in this process; openai: servers; chat: servers that show no tokens; ray: many replicas; "
        "scripted: a stand-in without a model, for trying out",
        default="vllm",
    )
    unsafe_code: bool = option(
        ENGINE_AND_OUTPUT,
        "run programs of the model without a sandbox where there is none (docs/code.md)",
        default=False,
    )
    engine_arguments: dict[str, Any] = option(
        ENGINE_AND_OUTPUT,
        "any argument of vLLM's engine, such as tensor_parallel_size=2",
        flags=("--engine-arg",),
        metavar="KEY=VALUE",
        default={},
    )
    concurrency: int | None = option(
        ENGINE_AND_OUTPUT,
        "traces in flight at a time, on each replica with ray; auto: as many as fill the engine's KV cache",
        metavar="N",
        bounds=_POSITIVE,
        none="auto",
        default=None,
        default_text="auto",
    )
    """See `reghar.generation.concurrency`."""
    probe_release: Release = option(
        ENGINE_AND_OUTPUT,
        "when probes are sent: as their trace passes a budget, together at its end, or (auto) together "
        "unless the KV cache is scarce",
        default="auto",
    )
    """See `reghar.generation.release`: it changes the cost, not the answers."""

    base_url: str | None = option(
        _SERVERS,
        "servers of the OpenAI completions API with this model",
        metavar="URL[,URL...]",
        default=None,
    )
    served_model_name: str | None = option(
        _SERVERS, "what the servers call the model, if not by its own name", metavar="NAME", default=None
    )
    api_key_env: str | None = option(
        _SERVERS, "environment variable that holds the servers' key", metavar="NAME", default=None
    )
    """The key itself is never kept."""
    request_timeout: float = option(
        _SERVERS,
        "longest silence of a server in the middle of a request",
        metavar="SECONDS",
        bounds=Bounds(low=0, above=True, unit="seconds"),
        default=600.0,
    )
    patience: float = option(
        _SERVERS,
        "give up when no server has answered for so long, or start an engine that has made no token for so "
        "long again",
        metavar="SECONDS",
        bounds=Bounds(low=0, unit="seconds"),
        default=120.0,
    )

    body: dict[str, Any] = option(
        _CHAT,
        "a field of every request, such as stream=false; null removes one",
        metavar="KEY=VALUE",
        default={},
    )
    price_in: float | None = option(
        _CHAT, "price of a million prompt tokens, in any currency", metavar="X", bounds=_MONEY, default=None
    )
    price_out: float | None = option(
        _CHAT, "price of a million response tokens", metavar="X", bounds=_MONEY, default=None
    )
    max_cost: float | None = option(
        _CHAT, "stop before the run costs more", metavar="X", bounds=_MONEY, default=None
    )
    """All its sessions together."""

    replicas: int = option(
        _REPLICAS, "engines that Ray places, each with its own GPUs", metavar="N", bounds=_POSITIVE, default=1
    )
    address: str | None = option(
        _REPLICAS,
        "address of a Ray cluster, or auto",
        metavar="ADDRESS",
        default=None,
        default_text="one started on this machine",
    )


OF_A_PROBING = (
    "probe",
    "probe_text",
    "probe_temperature",
    "max_answer_tokens",
    "budgets",
    "unclosed",
    "frontier",
    "unsafe_code",
    "engine_arguments",
    "concurrency",
)
"""What may be asked again of stored traces."""


def run_options() -> Mapping[str, Option]:
    """The options of `reghar run` by the name of their field, in the order of its help."""
    return options_of(RunSettings)


def stored_settings(manifest: Manifest) -> RunSettings:
    """The settings that a stored run was started with; one whose samples came in rounds has those it came to.

    Raises `InputError` for another version's.
    """
    stored = dict(manifest.settings)
    if stored.get("until_width") is not None:
        tasks = manifest.protocol.tasks.items()
        stored |= {"until_width": None, "samples": ",".join(f"{name}={t.samples}" for name, t in tasks)}
    for name, each in run_options().items():
        if get_origin(each.type) is tuple and stored.get(name) is not None:
            stored[name] = tuple(stored[name])  # JSON has lists
    try:
        return RunSettings(**stored)
    except TypeError as error:
        raise InputError(f"the run was written by another version of reghar: {error}") from error
