"""Stored runs as data for others.

training    prompts with completions, or with chosen and rejected ones, in TRL's JSON lines
"""
