"""Reports and comparisons in an experiment tracker: trackio, wandb or mlflow.

record      what is sent: figures, tables, pictures, whose they are
tracker     which trackers there are, and how a record reaches one
trackio     one adapter each, over the calls that the package's own examples show
wandb
mlflow
"""
