"""The report of a run: built once as `schema.Report`, shown as JSON, Markdown, figures and a terminal table.

reference   which frontier, and what keeps a task from being compared with it
build       StoredRun and frontier to Report
schema      Report, and report.json
verdict     its one sentence
markdown    report.md
terminal    the table at the end of a run
ranking     several reports on one scale
figures     curves and what explains them, as functions of an Axes; axes and style beside it
write       all of them as files
"""
