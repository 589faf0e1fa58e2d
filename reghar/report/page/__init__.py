"""The page in which every answer can be looked at: one self-contained file, or served from a run's folder."""
