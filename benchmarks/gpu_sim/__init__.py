"""Curves on a GPU, simulated: vLLM's own scheduler and KV cache manager, and a price for every step."""
