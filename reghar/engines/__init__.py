"""Engines: prompt token ids and sampling settings in, a stream of token ids out (see `base`)."""
