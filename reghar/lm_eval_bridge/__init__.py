"""The whole curve inside lm-eval 0.4.13, from a model that runs our engine and schedule.

A `Task` of lm-eval cannot generate in two phases, so the model does: `RegharLM` makes a run (or
reads a stored one) and answers every request with a trace that carries the figures of its task.
`CurveTask` hands them to lm-eval. The run's folder stays the one truth: lm-eval's numbers are those
of `reghar report`, not computed again from texts.

Importing this registers the model with lm-eval as `reghar`.
"""

from reghar.lm_eval_bridge.evaluation import evaluate_run, write_results
from reghar.lm_eval_bridge.model import RegharLM
from reghar.lm_eval_bridge.task import CurveTask

__all__ = ["CurveTask", "RegharLM", "evaluate_run", "write_results"]
