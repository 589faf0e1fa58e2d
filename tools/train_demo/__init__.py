"""How the embedded models are trained. Not in the wheel: what it makes, `reghar/demo/models`, is."""
