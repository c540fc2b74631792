"""The text of an experiment: downloaded corpora, or the user's files."""
