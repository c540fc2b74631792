"""Measurements of speed: engines on a corpus, and seconds per pair by vocabulary size and K."""
