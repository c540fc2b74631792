"""Sweeps: many runs with different settings, planned, run and compared together."""
