"""Experiments with the library ``w2v``: settings, stages, cache, tracking, sweeps and reports."""
