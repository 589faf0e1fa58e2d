"""Faults put in by hand, each of which a named test must find."""
