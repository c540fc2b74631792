"""The settings of an experiment: what can be set, and the message for each mistake."""
