"""A language model judges stored traces: how verbose, how difficult, how valid their reasoning is."""
