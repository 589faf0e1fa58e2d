"""The schedule that the benchmarks time: default sampling and probe, one task, no test-time control."""

from reghar.engines.base import Engine
from reghar.generation.jobs import Activity
from reghar.generation.release import Release
from reghar.generation.schedule import Schedule
from reghar.prompting.probes import make_probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.thinking import find_delimiters
from reghar.prompting.tokenizer import Model
from reghar.protocol import SamplingProtocol

TASK = "t"


def plain_schedule(
    engine: Engine, model: Model, max_tokens: int, activity: Activity, release: Release = "auto"
) -> Schedule:
    """Over any engine; what it does is counted in `activity`."""
    return Schedule(
        engine=engine,
        model=model,
        prompt=PromptFormat(tokenizer=model.tokenizer),
        delimiters=find_delimiters(model.tokenizer),
        sampling=SamplingProtocol(temperature=0.6, top_p=0.95, top_k=0, min_p=0.0, max_tokens=max_tokens),
        budget_counts="response",
        probe=make_probe(None, None, None),
        probe_temperature=0.6,
        run_seed=0,
        activities={TASK: activity},
        release=release,
    )
