"""The model of a run as its engine will have it: tokenizer, context, and how its tokens travel."""

from __future__ import annotations

from dataclasses import replace

from reghar.engines.version import require_version
from reghar.errors import InputError
from reghar.prompting.scripted import SCRIPTED_MODEL, scripted_model
from reghar.prompting.template_file import with_template_file
from reghar.prompting.tokenizer import Model, load_model
from reghar.protocol import Tokens
from reghar.run.settings import RunSettings


def model_of(settings: RunSettings) -> Model:
    """The model that is named, without its weights. Raises `InputError` for one that the engine has not."""
    model = _named(settings)
    if settings.chat_template is None:
        return model
    return replace(model, tokenizer=with_template_file(model.tokenizer, settings.chat_template))


def _named(settings: RunSettings) -> Model:
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


def ask_servers(settings: RunSettings, model: Model) -> tuple[Model, Tokens, list[str]]:
    """With the engine `openai`: the model with the servers' context, how tokens travel, and notes."""
    if settings.engine != "openai":
        return model, "ids", []
    from reghar.engines.address import base_urls
    from reghar.engines.preflight import ends_loops, inspect_server

    if settings.base_url is None:
        raise InputError("--engine openai needs --base-url, such as http://localhost:8000")
    servers = [
        inspect_server(url, model, settings.api_key_env, served_name=settings.served_model_name)
        for url in base_urls(settings.base_url)
    ]
    if settings.repetition_detection is not None:
        for server in servers:
            if not ends_loops(server, model, settings.api_key_env):
                raise InputError(
                    f"the server at {server.url} ends no loops (repetition_detection, vLLM from 0.17 on): "
                    "leave out --repetition-detection"
                )
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
