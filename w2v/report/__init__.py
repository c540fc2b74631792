"""The charts of an evaluation, the interactive map of words, and the HTML report of a run."""
