"""Stored runs as data for others.

training      prompts with completions, or with chosen and rejected ones, in TRL's JSON lines
inspect_log   a run as inspect_ai's logs
hub_folder    a run as a data set for the Hugging Face hub
"""
