"""Benchmark tasks: one YAML file each, valid for lm-eval as it is, and the problems behind them."""

from reghar.tasks.catalog import list_tasks, load_task
from reghar.tasks.problems import Problem, load_problems, problems_digest
from reghar.tasks.task import AnswerFormat, Dataset, Task

__all__ = [
    "AnswerFormat",
    "Dataset",
    "Problem",
    "Task",
    "list_tasks",
    "load_problems",
    "load_task",
    "problems_digest",
]
