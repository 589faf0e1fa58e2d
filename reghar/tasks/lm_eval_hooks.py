"""The name of `reghar.lm_eval_bridge.hooks` in task files written for earlier versions."""

from reghar.lm_eval_bridge.hooks import problems, process_results

__all__ = ["problems", "process_results"]
