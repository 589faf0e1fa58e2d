"""Runs against each other: paired by problem, or refused.

seeds      intervals over training seeds, from three runs of a side on
sides      one method: a run, or its runs of several training seeds, and what keeps two from being compared
measured   a side's measures against the shared frontier, and paired differences
table      all sides against the baseline, task by task and on average (REG table 1)
balanced   lengths on the problems that every side solves (REG table 2)
render     the table for a terminal, in Markdown, LaTeX and CSV
"""
