"""Corpora by name, and documents in files of many kinds."""
