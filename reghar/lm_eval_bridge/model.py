"""A model for lm-eval that is a run of ours: traces, forced answers and scores, all in one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from reghar.errors import InputError
from reghar.lm_eval_bridge.requests import Requests, RunAnswers
from reghar.lm_eval_bridge.task import TraceText
from reghar.run.model_sampling import with_model_sampling
from reghar.run.plan import output_folder
from reghar.run.planning import make_plan
from reghar.run.settings import RunSettings
from reghar.store import StoredRun, load_run
from reghar.tasks.task import short_name

_FROM_LM_EVAL = ("tasks", "limit")
"""Settings that follow from lm-eval's requests."""


@register_model("reghar")
class RegharLM(LM):  # type: ignore[misc]
    """`lm_eval.simple_evaluate(model=RegharLM(model="M", budgets="reg", samples=32), tasks=[...])`.

    It asks our tasks as `reghar run` does: chat template, sampling, probes and grader are the run's,
    so `apply_chat_template`, few-shot examples and a system instruction of lm-eval's are refused.
    """

    def __init__(
        self,
        *,
        run: str | Path | None = None,
        out: str | Path | None = None,
        batch_size: object = None,  # noqa: ARG002 - lm-eval hands these to every model
        max_batch_size: object = None,  # noqa: ARG002
        device: object = None,  # noqa: ARG002
        **settings: Any,
    ) -> None:
        """`run`: a stored run's folder; nothing is generated. Else `settings` are those of `RunSettings`.

        `out` is the folder of the new run (default: as for `reghar run`); a run that it holds is gone on
        with. lm-eval's batch size and device have no meaning here: the engine batches by itself.
        Raises `InputError` for an unknown setting.
        """
        super().__init__()
        if run is not None and (settings or out is not None):
            raise InputError("a stored run has its settings: give run=FOLDER alone")
        self._settings = {} if run is not None else _checked(settings)
        self._out = None if out is None else Path(out)
        self._run = None if run is None else load_run(run)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[TraceText]:
        """A trace a request, in order; a request repeated k times gets the problem's first k samples.

        Makes the run first, if there is none. Raises `InputError` where a request is not what the run
        asks, `EngineError` where the engine fails.
        """
        asked = Requests(requests)
        if self._run is None:
            self._run = self._generate(asked, quiet=disable_tqdm)
        return RunAnswers(self._run).to(asked)

    def _generate(self, asked: Requests, *, quiet: bool) -> StoredRun:
        from rich.console import Console

        from reghar.run.pipeline import execute

        tasks = tuple(short_name(name) for name in asked.tasks)
        most = max(len(each) for each in asked.tasks.values())
        plan = make_plan(RunSettings(tasks=tasks, limit=most, **with_model_sampling(self._settings)))
        for name, problems in plan.problems.items():
            asked.check(name, problems, plan.protocol.sampling)
        path = self._out or output_folder(plan)
        execute(plan, path, resume=True, console=Console(stderr=True, quiet=quiet))
        return load_run(path)

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes under `config`: the run, its protocol, and how errors were estimated."""
        if self._run is None:
            return {"model": "reghar"}
        manifest = self._run.manifest
        content = manifest.as_dict()
        kept = ("digest", "protocol", "seed", "frontier", "interval", "versions")
        return {
            "model": "reghar",
            "model_args": {"model": self._run.model, "run": str(self._run.path)},
            "model_revision": manifest.revision,
            "reghar": {key: content.get(key) for key in kept},
        }

    def loglikelihood(self, requests: object, disable_tqdm: bool = False) -> NoReturn:  # noqa: ARG002
        """Not what a reasoning model's budget is about: raises `InputError`."""
        raise InputError("the model 'reghar' runs tasks that generate, not those that rank given answers")

    def loglikelihood_rolling(self, requests: object, disable_tqdm: bool = False) -> NoReturn:
        """See `loglikelihood`."""
        self.loglikelihood(requests, disable_tqdm)


def _checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields(RunSettings)} - set(_FROM_LM_EVAL)
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InputError(f"RegharLM has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
    checked = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    for name in ("samples", "budgets"):
        if name in checked:
            value = checked[name]
            checked[name] = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    paths = checked.get("include_paths", ())
    checked["include_paths"] = (paths,) if isinstance(paths, str) else tuple(map(str, paths))
    if "model" not in checked:
        raise InputError("RegharLM needs model=: a folder, a hub name, or demo:NAME")
    return checked
