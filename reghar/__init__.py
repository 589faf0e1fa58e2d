"""reghar: accuracy at every token budget from one generation, and the reasoning efficiency gap (REG)."""

__version__ = "0.1.0"
