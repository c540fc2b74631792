"""Measurements of speed: engines on a corpus, and how the time per pair grows."""
