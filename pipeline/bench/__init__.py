"""Timing of engines and losses."""
