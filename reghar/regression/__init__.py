"""A run against a baseline or a limit: a verdict for each gate, and an exit code.

gates      what is gated, with which tolerance, from flags
gatefile   the same from `reghar.toml` or `[tool.reghar.check]`
sources    the figures of a side: from stored samples, or from a report.json alone
judge      paired where both sides have samples, else from the intervals; corrected for several gates
present    verdicts for a terminal, in Markdown and as JUnit XML
"""
