"""Experiments with the library ``w2v``: settings, stages, cache, tracking and reports."""
